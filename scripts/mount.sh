#!/bin/bash
# make mount and make unmount: mount.sh mount|unmount
#
# From the environment, each with a default: REPO what to mount (this source tree),
# DIR where (build/mnt, made where missing), REF which branch, tag or commit, WRITABLE=1
# to be able to change it, GIT_FS_BUILD the program's build (build/release).
# Whatever touches the mount runs under timeout: a daemon that hangs must not take
# the terminal with it.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd -P)
git_fs=${GIT_FS_BUILD:-$top/build/release}/src/cli/git-fs

fail() {
	echo "$*" >&2
	exit 1
}

# The absolute name of a mount point, whose parent alone is looked at.
absolute() {
	local parent
	case $1 in
	/ | . | .. | */. | */..) fail "DIR=$1 does not name a folder of its own" ;;
	esac
	mkdir -p "$(dirname "$1")"
	parent=$(cd "$(dirname "$1")" && pwd -P)
	echo "${parent%/}/$(basename "$1")"
}

# The filesystem types mounted at $1; the kernel writes a blank as \040.
types_at() {
	at=${1// /\\040} awk '$5 == ENVIRON["at"] { sub(/.* - /, ""); print $1 }' /proc/self/mountinfo
}

# A repository to look at where the source tree is none: an unpacked release, or one
# without a commit yet.
make_sample() {
	local sample=$top/build/sample
	if ! git -C "$sample" rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
		rm -rf "$sample"
		mkdir -p "$sample/docs"
		echo "A sample repository, made by 'make mount'." >"$sample/README.md"
		cp "$top"/docs/*.md "$sample/docs/"
		git -C "$sample" init --quiet --initial-branch=main
		git -C "$sample" add --all
		git -C "$sample" -c user.name=git-fs -c user.email=git-fs@localhost \
			commit --quiet --message='Add a sample'
	fi
	echo "$sample"
}

# Where git refuses to look (a folder of somebody else's), its words say what to type.
default_repository() {
	local words
	if [ ! -e "$top/.git" ]; then
		make_sample
	elif ! words=$(git -C "$top" rev-parse --git-dir 2>&1); then
		fail "$words"
	elif git -C "$top" rev-parse --verify --quiet HEAD >/dev/null; then
		echo "$top"
	else
		make_sample
	fi
}

show() {
	local dir=$1 quoted program name file="" names
	mapfile -t names < <(timeout 60 ls -A "$dir" || echo /)
	if [ "${names[*]: -1}" = / ]; then # no name looks like this
		fail "the mount at $dir does not answer; 'make unmount' takes it away"
	fi
	printf '    %s\n' "${names[@]:0:12}"
	[ ${#names[@]} -le 12 ] || echo "    ... (${#names[@]} in all)"
	for name in "${names[@]}"; do
		case $name in
		README*) file=$name && break ;;
		esac
	done
	quoted=$(printf %q "$dir")
	program=$(printf %q "$git_fs")
	echo "Next:"
	echo "    ls -l $quoted"
	[ -z "$file" ] || echo "    cat $quoted/$file"
	if [ -n "${WRITABLE-}" ]; then
		echo "    echo text >$quoted/new-file      (stays on this machine)"
		echo "    $program diff $quoted"
	fi
	echo "    $program status $quoted"
	echo "    $program unmount $quoted      (or: make unmount${DIR:+ DIR=$quoted})"
}

# Whether the git-fs mount at $1 lost its daemon. What the kernel remembers of it can
# still be listed, so that is no sign of life.
is_dead() {
	local words
	words=$(timeout 60 "$git_fs" status "$1" 2>/dev/null) || true
	[[ $words =~ (^|$'\n')state\ +dead ]]
}

do_mount() {
	local dir=$1 types repo
	types=$(types_at "$dir")
	case $types in
	*fuse*git-fs*)
		if ! is_dead "$dir"; then
			echo "There is a mount at $dir already:"
			show "$dir"
			return
		fi
		;; # git-fs mount takes it away
	?*) fail "$dir is a mount of another kind ($types)" ;;
	*) mkdir -p "$dir" ;;
	esac
	repo=${REPO:-$(default_repository)}
	timeout 300 "$git_fs" mount ${REF:+--ref "$REF"} ${WRITABLE:+--writable} "$repo" "$dir"
	echo "There is:"
	show "$dir"
}

do_unmount() {
	local dir=$1
	if [ -z "$(types_at "$dir")" ]; then
		return 0
	fi
	if ! { [ -x "$git_fs" ] && timeout 60 "$git_fs" unmount "$dir"; }; then
		timeout 60 fusermount3 -u -z "$dir"
	fi
	echo "$dir is unmounted"
}

dir=$(absolute "${DIR:-$top/build/mnt}")
case ${1-} in
mount) do_mount "$dir" ;;
unmount) do_unmount "$dir" ;;
*) fail "usage: scripts/mount.sh mount|unmount" ;;
esac
