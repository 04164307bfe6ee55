#!/bin/bash
# A writable mount does what ext4 does: tests/tools/posixprobe says what each operation
# answers and changes, of files that come from git and of files made in the mount, and
# says the same words in both. What may differ stands in posix.allowed, with reasons.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
export PYTHONDONTWRITEBYTECODE=1
options=(--writable -o xattr)
if [ "$(id -u)" -eq 0 ]; then
	options+=(--allow-other)
fi

probe() {
	timeout -k 5 300 python3 "$TAP_LIB/../tools/posixprobe" "$@"
}

# A folder of ext4 to compare with: here, or in an image of its own.
oracle=$T/oracle
mkdir "$oracle"
if [ "$(stat -f -c %T "$oracle")" != ext2/ext3 ]; then
	truncate -s 512M "$T/image"
	mkfs.ext4 -q -F "$T/image" >/dev/null 2>&1 && mount -o loop "$T/image" "$oracle" 2>/dev/null ||
		skip_all no-ext4
fi

mkdir "$T/layout"
probe layout "$T/layout" || exit 1
git -C "$T/layout" init -q && git -C "$T/layout" add -A && git -C "$T/layout" commit -q -m files &&
	git clone -q --bare "$T/layout" "$T/repos/posix.git" || exit 1
git -C "$T/layout" -c tar.umask=022 archive HEAD | tar -x -C "$oracle" || exit 1

ok 'mounts' mount_repo posix "$T/repos/posix.git" "${options[@]}"
mounted "$T/mnt/posix" || exit 1
mount=$T/mnt/posix
for place in "$oracle" "$mount"; do
	mkdir "$place/made"
done

# The lines of ext4, those of posix.allowed in the place of their own.
allowed() {
	awk -F ': ' 'NR == FNR { if (!/^(#|$)/) instead[$1] = $0; next }
		$1 in instead { print instead[$1]; next } { print }' \
		"$CHECKOUT/tests/mount/posix.allowed" "$1"
}
# A case of $1 and $2 by name, line by line
same_case() {
	diff -U 0 <(grep -a "^$3 " "$1") <(grep -a "^$3 " "$2") | grep -a '^[-+][^-+]'
	[ "${PIPESTATUS[0]}" -eq 0 ]
}
for what in base local; do
	folder=.
	[ "$what" = base ] || folder=made
	ok "$what: the probe runs on ext4" eval 'probe "$what" "$oracle/$folder" >"$T/out/$what.ext4"'
	ok "$what: and in the mount" eval 'probe "$what" "$mount/$folder" >"$T/out/$what.mount"'
	is "$what: the probe has no fault" "$(grep -a PROBE-ERROR "$T/out/$what.ext4")" ''
	allowed "$T/out/$what.ext4" >"$T/out/$what.wanted"
	mapfile -t cases < <(cut -d ' ' -f 1 "$T/out/$what.wanted" | uniq)
	within "$what: there are cases" "${#cases[@]}" 30 200
	for case in "${cases[@]}"; do
		ok "$what: $case" same_case "$T/out/$what.wanted" "$T/out/$what.mount" "$case"
	done
	is "$what: the mount has no case more" "$(cut -d ' ' -f 1 "$T/out/$what.mount" | uniq)" \
		"$(printf '%s\n' "${cases[@]}")"
done
# An entry that ext4 agrees with, or that no case says, has no business there.
while IFS= read -r line; do
	not_ok "it is a difference: $line" grep -qaxF -- "$line" "$T/out/base.ext4" "$T/out/local.ext4"
	ok "a case says: ${line%%: *}" grep -qaF -- "${line%%: *}: " "$T/out/local.ext4"
done < <(grep -vE '^(#|$)' "$CHECKOUT/tests/mount/posix.allowed")
if [ "$(id -u)" -ne 0 ]; then
	skip posix-root 'cases of other users, owners and devices'
fi

# All that the cases left behind is the same, and stays.
ok 'what is left on ext4 is listed' eval \
	'probe list "$oracle" | grep -v "lost+found" >"$T/out/list.ext4"'
ok 'and in the mount' eval 'probe list "$mount" >"$T/out/list.mount"'
ok 'the same is left in both' diff -U 0 "$T/out/list.ext4" "$T/out/list.mount"
same_list() {
	probe list "$mount" >"$T/out/list" && diff -U 0 "$T/out/list.mount" "$T/out/list"
}
ok 'it unmounts' mount_stop posix
ok 'and mounts' mount_repo posix "$T/repos/posix.git" "${options[@]}"
ok 'all is there' same_list
ok 'the daemon is killed' mount_kill posix
ok 'it mounts over the dead one' mount_repo posix "$T/repos/posix.git" "${options[@]}"
ok 'all is there still' same_list
is 'no request failed inside' "$(mount_status posix requests.failed)" 0
ok 'it unmounts at last' mount_stop posix

# Without the option no attribute is taken or shown, not even one that was set.
mount_home no-xattr
ok 'mounts without -o xattr' mount_repo no-xattr "$T/repos/posix.git" --writable
cat >"$T/no-xattr.py" <<'PY'
import errno, os, sys
os.chdir(sys.argv[1])
open("new", "w").close()
for path in ("f", "d", "new"):
    for call, args in ((os.setxattr, ("user.a", b"1")), (os.getxattr, ("user.a",)),
                       (os.removexattr, ("user.a",)), (os.listxattr, ()),
                       (os.setxattr, ("security.a", b"1")), (os.setxattr, ("trusted.a", b"1"))):
        try:
            call(path, *args)
            print(path, call.__name__, args, "is taken")
        except OSError as error:
            # The kernel itself answers the owner of no capability.
            if error.errno != errno.EOPNOTSUPP and (error.errno != errno.EPERM or not os.geteuid()):
                print(path, call.__name__, args, error)
PY
is 'each call is not supported' "$(python3 "$T/no-xattr.py" "$T/mnt/no-xattr/xattr_user" 2>&1)" ''

if mountpoint -q "$oracle"; then
	umount "$oracle"
fi
mount_end
