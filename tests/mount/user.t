#!/bin/bash
# An ordinary user mounts, through fusermount3; nobody else sees anything of it.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null; then
	skip_all namespaces
fi
make_odd_repo "$T/repos/odd.git" || exit 1

# In a mount namespace of its own: a /dev/fuse that all may open, and a place that an
# ordinary user can reach (what is above $T may be closed to him).
place=/mnt
cp "$GIT_FS" "$COMPARE_TREE" "$T/"
mknod "$T/device" c 10 229
chmod 666 "$T/device"
cat >"$T/inside" <<'SH'
place=$1 T=$2
mount -t tmpfs -o mode=755 none "$place" && mount --bind "$T/device" /dev/fuse || exit 1
mkdir -m 700 "$place/home" "$place/home/run" "$place/home/m"
cp -R "$T/repos/odd.git" "$place/odd.git"
cp "$T/git-fs" "$T/compare-tree.py" "$place"
chmod -R a+rX "$place/odd.git" "$place/git-fs" "$place/compare-tree.py"
chown -R 65534:65534 "$place/home" "$place/odd.git"
cd "$place"
user() {
	setpriv --reuid="$1" --regid="$1" --clear-groups env HOME="$place/home" \
		GIT_CONFIG_GLOBAL=/dev/null XDG_RUNTIME_DIR="$place/home/run" \
		XDG_CACHE_HOME="$place/home/cache" XDG_STATE_HOME="$place/home/state" \
		timeout 60 "${@:2}"
}
# answer WORD COMMAND...: one line, its exit code and what it said
answer() {
	local word=$1 status=0 output

	shift
	output=$("$@" 2>&1) || status=$?
	printf '%s %s %s\n' "$word" "$status" "${output//$'\n'/|}"
}
owner="user 65534"
other="user 65533"
m=$place/home/m
answer mount $owner ./git-fs mount "$place/odd.git" "$m"
answer type awk -v dir="$m" '$5 == dir' /proc/self/mountinfo
answer equal $owner python3 ./compare-tree.py --owner 65534:65534 "$m" "$place/odd.git" main
answer status $owner ./git-fs status "$m"
answer folders find home/cache home/state home/run -perm /077
# Others, even where every folder above is open to them; root, too, is another here.
chmod 755 home home/run home/cache home/state
answer other-ls $other ls "$m"
answer other-cat $other cat "$m/modes/plain"
answer root-ls ls "$m"
answer other-cache $other ls home/cache/git-fs
answer other-state $other ls home/state/git-fs
answer other-socket $other ls home/run/git-fs
socket=$(find home/run/git-fs -name '*.sock')
chmod 755 home/run/git-fs
answer other-connect $other python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$socket"
chmod 700 home/run/git-fs
answer other-unmount $other ./git-fs unmount "$m"
answer other-mount $other ./git-fs mount "$place/odd.git" "$m"
answer root-unmounts-not $owner cat "$m/modes/plain"
answer allow-other $owner ./git-fs mount --allow-other "$place/odd.git" "$place/home/m/links"
answer unmount $owner ./git-fs unmount "$m"
answer left awk -v dir="$m" '$5 == dir' /proc/self/mountinfo
for try in 1 2 3 4 5 6 7 8 9 10; do
	pgrep -u 65534 -x git-fs >/dev/null || break
	sleep 0.2
done
answer processes pgrep -u 65534 -x git-fs
answer log $owner bash -c 'cat home/state/git-fs/mounts/*/log'
SH
timeout 200 unshare -m bash "$T/inside" "$place" "$T" >"$T/out/answers" 2>"$T/out/inside.err"
is 'the namespace could be made' "$(cat "$T/out/inside.err")" ''
answer() {
	sed -n "s/^$1 //p" "$T/out/answers"
}
like 'a user mounts' "$(answer mount)" '^0 mounted /mnt/odd.git .*on /mnt/home/m'
like 'read-only, without suid and devices' "$(answer type)" ' ro,nosuid,nodev,.* - fuse.git-fs '
like 'it equals the commit and is his' "$(answer equal)" '^0 .* 0 differences'
like 'status is content' "$(answer status)" '^0 .*state +ok'
is 'no folder or file is open to others' "$(answer folders)" '0 '
for what in other-ls other-cat root-ls; do
	like "$what: nobody else sees the mount" "$(answer "$what")" '^[12] .*Permission denied'
done
for what in cache state socket; do
	like "another user cannot look into the folder: $what" "$(answer "other-$what")" \
		'^2 .*Permission denied'
done
like 'nor connect to the socket' "$(answer other-connect)" '^1 .*PermissionError'
like 'nor unmount it' "$(answer other-unmount)" '^1 git-fs: '
like 'nor mount over it' "$(answer other-mount)" '^1 git-fs: '
is 'it still answers its owner' "$(answer root-unmounts-not)" '0 plain'
like 'what fusermount3 does not allow is said in a line' "$(answer allow-other)" '^1 git-fs: [^|]*$'
is 'its owner unmounts it' "$(answer unmount)" '0 '
is 'it is gone' "$(answer left)" '0 '
is 'no process is left' "$(answer processes)" '1 '
like 'the log is clean' "$(answer log)" '^0 .*event=mounted.*event=unmounted'
not_ok 'no complaint stands in it' grep -aE '^log .*( error | warn |Sanitizer|runtime error)' \
	"$T/out/answers"

mount_end
