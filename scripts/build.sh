#!/bin/bash
# Sets up and compiles build/KIND; says nothing unless something is wrong.
#
#   scripts/build.sh KIND [TARGET...]      default: all that there is
#
#   release  what is installed          werror  the same, where a warning is an error
#   asan     ASan and UBSan             clang   by clang, where a warning is an error
#   tsan     TSan                       fuzz    by clang, with libFuzzer, ASan and UBSan
set -euo pipefail
cd "$(dirname "$0")/.."

memory=address,undefined
sanitize=(-Dbuildtype=debugoptimized -Db_lundef=false)
case ${1-} in
release) args=(-Dbuildtype=release -Dwerror="$([ "${CI-}" = true ] && echo true || echo false)") ;;
werror) args=(-Dbuildtype=release -Dwerror=true) ;;
asan) args=("${sanitize[@]}" -Db_sanitize="$memory") ;;
tsan) args=("${sanitize[@]}" -Db_sanitize=thread) ;;
clang) args=(-Dbuildtype=debugoptimized -Dwerror=true) ;;
fuzz) args=("${sanitize[@]}" -Db_sanitize="$memory" -Dfuzz=true) ;;
*)
	echo "usage: scripts/build.sh release|werror|asan|tsan|clang|fuzz" >&2
	exit 2
	;;
esac
case $1 in
clang | fuzz) export CC=clang ;;
*) export CC=gcc ;;
esac
dir=build/$1

# Debian's own first: another python's meson on PATH may be of any version.
meson=/usr/bin/meson
[ -x "$meson" ] || meson=meson

# A folder that was set up elsewhere, or otherwise, is set up anew. So is one from
# before the library of the tests was there.
stamp="$PWD $CC ${args[*]} cmocka=$(pkg-config --modversion cmocka 2>/dev/null || true)"
shift
if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.setup" 2>/dev/null)" != "$stamp" ]; then
	rm -rf "$dir"
	mkdir -p "$dir"
	if ! "$meson" setup "$dir" "${args[@]}" >"$dir/setup.log" 2>&1; then
		cat "$dir/setup.log" >&2
		echo "build: the set-up of $dir failed" >&2
		exit 1
	fi
	echo "$stamp" >"$dir/.setup"
fi
if ! ninja -C "$dir" --quiet "$@" >"$dir/ninja.log"; then
	cat "$dir/ninja.log" >&2
	echo "build: $dir did not compile" >&2
	exit 1
fi
# Warnings are to be seen, the news that there is nothing to do is not.
grep -v '^ninja: no work to do' "$dir/ninja.log" || true
