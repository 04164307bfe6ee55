#!/bin/bash
# Runs pjdfstest, which is no part of git-fs, in a writable mount.
#
#   sudo PJDFSTEST=DIR tests/tools/pjdfstest.sh [TEST...]
#
# DIR is a checkout of https://github.com/pjd/pjdfstest; nothing is written there. A TEST
# is a file or folder below its tests/, as rename or rename/09.t; without any all are run.
# GIT_FS_BUILD is the build under test (build/release). GIT_FS_PLACE=DIR runs it in that
# folder instead, for a comparison with another filesystem. Needs root, gcc, make,
# autoconf and automake, perl and openssl.
#
# The last lines are prove's own: `Files=238, Tests=8827`, `Result: PASS`.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${GIT_FS_BUILD:-$top/build/release}

usage() {
	sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
[ -f "${PJDFSTEST:-}/pjdfstest.c" ] || usage
[ "$(id -u)" -eq 0 ] || usage
for tool in autoreconf automake gcc make prove openssl; do
	command -v "$tool" >/dev/null || { echo "pjdfstest: $tool is not here" >&2 && exit 1; }
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/git-fs-pjdfstest.XXXXXX")
clean_up() {
	cd /
	if grep -qF " $scratch/mnt " /proc/self/mountinfo; then
		timeout 60 "$build/src/cli/git-fs" unmount "$scratch/mnt" ||
			timeout 20 fusermount3 -uz "$scratch/mnt" || true
	fi
	[ -z "${place:-}" ] || rm -rf --one-file-system "$place"
	rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# The tests act as other users, in folders below.
chmod 755 "$scratch"

cp -R "$PJDFSTEST" "$scratch/suite"
(cd "$scratch/suite" && autoreconf -ifs && ./configure && make pjdfstest) >"$scratch/log" 2>&1 ||
	{ cat "$scratch/log" >&2 && exit 1; }
# Assertions about what a rename does to ctime are made on filesystems alone that the
# suite knows by name. A mount is to do as ext4 does: it goes by that name.
echo 'fs=EXT4' >>"$scratch/suite/tests/conf"

if [ -n "${GIT_FS_PLACE:-}" ]; then
	place=$(mktemp -d "$GIT_FS_PLACE/pjdfstest.XXXXXX")
	chmod 755 "$place"
else
	export HOME="$scratch/home" XDG_CACHE_HOME="$scratch/home/cache"
	export XDG_STATE_HOME="$scratch/home/state" XDG_RUNTIME_DIR="$scratch/home/run"
	export GIT_CONFIG_GLOBAL="$scratch/home/gitconfig" GIT_CONFIG_NOSYSTEM=1
	mkdir -p "$HOME" "$XDG_RUNTIME_DIR" "$scratch/mnt"
	chmod 700 "$XDG_RUNTIME_DIR"
	git config --global user.name 'A Tester'
	git config --global user.email tester@example.com
	git config --global init.defaultBranch main
	git init -q "$scratch/repo"
	echo 'a file' >"$scratch/repo/file"
	git -C "$scratch/repo" add file
	git -C "$scratch/repo" commit -q -m 'a file'
	"$build/src/cli/git-fs" mount --writable --allow-other -o xattr "$scratch/repo" "$scratch/mnt"
	mkdir -m 755 "$scratch/mnt/desk"
	place=
	work=$scratch/mnt/desk
fi
cd "${work:-$place}"
tests=()
for test in "${@:-}"; do
	tests+=("$scratch/suite/tests/$test")
done
prove -r --timer "${tests[@]}" </dev/null
