#!/bin/bash
# What cannot be mounted: an exit code, one clear last line on stderr, nothing mounted,
# nobody left behind.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
make_plain_repo "$T/repos/plain.git"
make_odd_repo "$T/repos/odd.git" || exit 1
init_bare "$T/repos/empty.git"
server_start full
url=$(server_url full)
point=$T/mnt/point
mkdir -p "$point"

# judge NAME CODE REGEX GOT_CODE: of what stands in $T/out/words
judge() {
	local words=$T/out/words

	is "$1: exit code" "$4" "$2"
	like "$1: last line" "$(tail -n 1 "$words")" "^git-fs: .*$3"
	if [ "$2" -eq 1 ]; then
		is "$1: no other line" "$(wc -l <"$words")" 1
	fi
	not_ok "$1: nothing is mounted" mounted "$point"
	ok "$1: no process is left" wait_for 10 no_daemons
}

# refused NAME CODE REGEX WORD...: git-fs WORD... fails with that code and last line
refused() {
	local name=$1 code=$2 regex=$3 status=0

	shift 3
	git_fs "$@" >"$T/out/stdout" 2>"$T/out/words" || status=$?
	is "$name: nothing on stdout" "$(cat "$T/out/stdout")" ''
	judge "$name" "$code" "$regex" "$status"
}

refused 'a ref that is not there' 1 'nonesuch' mount --ref nonesuch "$url/plain.git" "$point"
refused 'the same of a folder' 1 'nonesuch' mount --ref nonesuch "$T/repos/plain.git" "$point"
refused 'a commit that is not there' 1 'd0d0' mount --ref "$(printf 'd0%.0s' {1..20})" \
	"$url/plain.git" "$point"
refused 'a repository that is not there' 1 'nonesuch|not found' mount "$url/nonesuch.git" "$point"
refused 'a folder that is not there' 1 "$T/repos/nonesuch" mount "$T/repos/nonesuch" "$point"
refused 'a folder that is no repository' 1 "$T/out" mount "$T/out" "$point"
refused 'an empty repository' 1 'empty' mount "$url/empty.git" "$point"
refused 'an empty folder of a repository' 1 'empty' mount "$T/repos/empty.git" "$point"
refused 'a port where nobody listens' 1 'refused|connect|reach' \
	mount "http://127.0.0.1:$(free_port)/plain.git" "$point"
refused 'a host that does not exist' 1 'git-fs-test.invalid|resolve' \
	mount http://git-fs-test.invalid/plain.git "$point"
refused 'no such protocol' 1 'gopher' mount gopher://127.0.0.1/plain.git "$point"

refused 'a mount point that is missing' 1 "$point/below.*mkdir" mount "$url/plain.git" "$point/below"
echo text >"$T/mnt/file"
refused 'a mount point that is a file' 1 'not a folder' mount "$url/plain.git" "$T/mnt/file"
mkdir -p "$T/mnt/full"
echo text >"$T/mnt/full/file"
refused 'a mount point that is not empty' 1 'not empty' mount "$url/plain.git" "$T/mnt/full"
is 'what is in it stays' "$(cat "$T/mnt/full/file")" text
refused 'a mount point with an empty name' 1 'empty' mount "$url/plain.git" ''

refused 'an overlay with an odd name' 2 "overlay: '../x' is no name" \
	mount --writable --overlay ../x "$url/plain.git" "$point"
refused 'an unknown option' 2 "unknown option '--nonesuch'" mount --nonesuch "$url/plain.git" "$point"
refused 'an unknown short option' 2 "unknown option '-q'" mount -q "$url/plain.git" "$point"
refused 'an unknown word after -o' 2 "nonesuch" mount -o nonesuch "$url/plain.git" "$point"
refused 'a mechanism that there is not' 2 "no_nonesuch" mount -o no_nonesuch "$url/plain.git" "$point"
refused 'no number' 2 "soon" mount --timeout soon "$url/plain.git" "$point"
refused 'an option without its value' 2 "'--ref' needs a value" mount "$url/plain.git" "$point" --ref
refused 'one operand' 2 'needs REPOSITORY and DIR' mount "$url/plain.git"
refused 'three operands' 2 'needs REPOSITORY and DIR' mount "$url/plain.git" "$point" more
refused 'no words' 2 'missing'
refused 'a word that is no command' 2 'frobnicate' frobnicate
refused 'an option of another command' 2 "unknown option '--json'" mount --json "$url/plain.git" "$point"

# Where a mount is already.
ok 'one mounts' mount_repo taken "$url/plain.git"
git_fs mount "$url/plain.git" "$T/mnt/taken" >"$T/out/stdout" 2>"$T/out/words"
is 'a second on the same folder: exit code' $? 1
like 'a second on the same folder: last line' "$(tail -n 1 "$T/out/words")" 'already a git-fs mount'
git_fs mount "$url/odd.git" "$T/mnt/taken" >"$T/out/stdout" 2>"$T/out/words"
is 'another repository on that folder: exit code' $? 1
is 'the first is untouched' "$(awk -v dir="$T/mnt/taken" '$5 == dir' /proc/self/mountinfo | wc -l)" 1
same_tree 'and whole' "$T/mnt/taken" "$T/repos/plain.git" main
ok 'it unmounts' mount_stop taken

# Without a usable /dev/fuse, in a mount namespace of their own.
in_namespace() {
	unshare -m bash -c "$1"'; timeout 60 "$@"' - "$GIT_FS" mount "$T/repos/plain.git" "$point" \
		>"$T/out/stdout" 2>"$T/out/words"
}
if [ "$(id -u)" -eq 0 ] && unshare -m true; then
	in_namespace 'mount --bind /dev/null /dev/fuse'
	judge 'no FUSE behind /dev/fuse' 1 "$point|/dev/fuse" $?
	in_namespace 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3'
	judge 'no /dev/fuse' 1 'there is no /dev/fuse' $?
	mknod "$T/device" c 10 229
	in_namespace "mount --bind '$T/device' /dev/fuse && mount -o remount,bind,nodev /dev/fuse"
	judge 'a /dev/fuse that may not be opened' 1 'no permission to open /dev/fuse' $?
else
	skip namespaces 'no /dev/fuse'
fi

# A server that lies: whatever it says, the command comes back with words.
cp -R "$T/repos/plain.git" "$T/repos/broken.git"
for pack in "$T"/repos/broken.git/objects/pack/*.pack; do
	chmod 600 "$pack"
	stream_bytes $(($(stat -c %s "$pack") - 32)) |
		dd of="$pack" bs=4k seek=12 oflag=seek_bytes conv=notrunc status=none
done
refused 'a repository that is damaged' 1 '.' mount "$url/broken.git" "$point"

mount_end 'event=mount_failed'
