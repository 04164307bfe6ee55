#!/bin/bash
# Makes FOLDER/npm once: a package.json and a lock file that name a package of middling
# size (webpack: about 60 packages, 3,800 files), and in `cache` all that
# `npm install --offline` wants for it. One that is there stays. Needs npm and, the first
# time, its registry; exits 3 where it has not got them.
#
#   bench/npm-cache.sh FOLDER
set -euo pipefail

made=$1/npm
package=webpack@5

if [ -d "$made" ]; then
	exit 0
fi
command -v npm >/dev/null || exit 3
mkdir -p "$1"
work=$(mktemp -d "$1/npm.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "making $made, once" >&2
echo '{ "private": true }' >"$work/package.json"
install() {
	timeout 300 npm install --prefix "$work" --cache "$work/cache" --logs-max=0 \
		--ignore-scripts --no-audit --no-fund --no-update-notifier "$@" >&2
}
# Once to make the lock file; with it, other answers of the registry are wanted.
install "$package" || exit 3
rm -rf "$work/node_modules"
install --prefer-offline || exit 3
rm -rf "$work/node_modules"
mv "$work" "$made"
