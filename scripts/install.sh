#!/bin/bash
# Installs build/release, which is built: scripts/install.sh DESTDIR PREFIX
set -euo pipefail
cd "$(dirname "$0")/.."
meson=/usr/bin/meson
[ -x "$meson" ] || meson=meson

destdir=$1
[ -z "$destdir" ] || destdir=$(realpath -m "$destdir")
prefix=$(realpath -ms "$2")
log=build/install.log
if ! {
	"$meson" configure build/release -Dprefix="$prefix" &&
		DESTDIR=$destdir "$meson" install -C build/release
} >"$log" 2>&1; then
	cat "$log" >&2
	exit 1
fi
echo "git-fs is installed in $destdir$prefix/bin"
