#!/bin/bash
# The disk that holds an overlay is full: whoever needs room hears of it, nothing that was
# there is harmed, what makes room works, and so does mounting. The disk is an ext4 of
# 48 MiB in an image. tests/tools/fill.py makes the files and knows their contents.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
disk=$T/homes/first/state
truncate -s 48M "$T/image"
mkfs.ext4 -q -F -m 0 "$T/image" >/dev/null 2>&1 && mount -o loop "$T/image" "$disk" 2>/dev/null ||
	skip_all no-disk

stream_bytes 900000 >"$T/image.part"
make_plain_repo "$T/repos/plain.git"
git clone -q "$T/repos/plain.git" "$T/checkout"
server_start full
url=$(server_url full)/plain.git
top=$T/mnt/full

fill() {
	timeout -k 5 120 python3 "$CHECKOUT/tests/tools/fill.py" "$@"
}
healthy() {
	git_fs status "$top" >"$T/out/status" 2>&1
}

ok 'mounts' mount_repo full "$url" --writable
mkdir "$top/small" "$top/large" "$top/empty"
mkdir -p "$top/src/part00/new/deep"
echo changed >"$top/src/part00/sub0/file0000.c"
stream_bytes 300000 >"$top/shrinks"
stream_bytes 300000 >"$top/ends"
echo little >"$top/little"

# --- full ---
is 'large files are written' "$(fill fill "$top/large" l 1000000 "$T/large" 20)" '20 files'
small=$(fill fill "$top/small" s 6000 "$T/small")
like 'then small ones until there is no room' "$small" '^[0-9]+ (open|write) ENOSPC$'
within 'there were many' "${small%% *}" 1000 8000
like 'then large ones again' "$(fill fill "$top/large" m 100000 "$T/large")" \
	'^[0-9]+ (open|write) ENOSPC$'
# What the journal leaves free, others take.
others() {
	dd if=/dev/zero of="$(mktemp "$disk/others.XXXXXX")" bs=4096 status=none 2>/dev/null
	true
}
others
within 'nothing is free' "$(($(df --output=avail "$disk" | tail -n 1)))" 0 20

# --- whoever needs room hears of it, and nothing else happens ---
is_as_written() {
	fill check "$top/small" "$T/small" && fill check "$top/large" "$T/large"
}
# fails NAME WORDS COMMAND...: as a shell tells it
fails() {
	local name=$1 words=$2

	shift 2
	like "$name" "$(LC_ALL=C "$@" 2>&1; echo "exit $?")" "$words.*exit [1-9]"
}
no_space='No space left on device'
# Attributes still have room in the segment that is open, so they may succeed for a while.
until_full() {
	local i

	for ((i = 0; i < 100000; i++)); do
		"$@" "$i" || return 1
	done
}
one_more() {
	mkdir "$top/empty/folder$1"
}
fails 'folders are made until there is no room' "$no_space" until_full one_more
made=$(find "$top/empty" -mindepth 1 -type d | wc -l)
fails 'a file cannot be made' "$no_space" sh -c 'mkdir "$1/empty/x" && : >"$1/empty/y"' - "$top"
fails 'an append is refused' "$no_space" python3 - "$top/little" <<'PY'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
for _ in range(100000):
    os.write(fd, b"x" * 30000)
PY
fails 'a file of the base cannot be changed' "$no_space" \
	dd if=/dev/zero of="$top/src/part01/sub1/file0001.c" bs=1 count=1 seek=3 conv=notrunc status=none
ok 'it is as it was' cmp "$top/src/part01/sub1/file0001.c" "$T/checkout/src/part01/sub1/file0001.c"
fails 'a name cannot be changed' "$no_space" mv "$top/little" "$top/renamed"
ok 'it stands at the old one' test -f "$top/little" -a ! -e "$top/renamed"
others
is 'folders that could not be made are not there' \
	"$(find "$top/empty" -mindepth 1 | wc -l)" "$made"
ok 'what was written before is as it was written' is_as_written
is 'and what was changed' "$(cat "$top/src/part00/sub0/file0000.c")" changed

# --- reading goes on, of what nobody has looked at as well ---
rest_is_the_base() {
	diff -r -x file0000.c -x new "$top/src" "$T/checkout/src"
}
ok 'the base can be read, also where nobody was before' rest_is_the_base
ok 'the daemon is well' healthy

# --- mounting, while it is full ---
all_is_there() {
	is_as_written && rest_is_the_base &&
		[ "$(cat "$top/src/part00/sub0/file0000.c")" = changed ] &&
		[ "$(find "$top/empty" -mindepth 1 | wc -l)" = "$made" ]
}
ok 'the daemon is killed' mount_kill full
ok 'it mounts on the full disk' mount_repo full "$url" --writable
ok 'all is there' all_is_there
again() {
	mount_stop full && others && mount_repo full "$url" --writable
}
for i in 1 2 3 4 5 6 7 8; do
	ok "it unmounts and mounts, though others take what is free: $i" again
done
ok 'all is there still' all_is_there
like 'it is full again, if it was not' "$(fill fill "$top/large" n 4096 "$T/large")" \
	'^[0-9]+ (open|write) ENOSPC$'
ok 'the daemon is well then' healthy

# --- what makes room ---
fell() {
	(($(df --output=used "$disk" | tail -n 1) < $1))
}
used=$(($(df --output=used "$disk" | tail -n 1)))
ok 'a file is made shorter' truncate -s 1000 "$top/shrinks"
ok 'it is what it was, but shorter' cmp "$top/shrinks" <(stream_bytes 1000)
ok 'another is emptied' truncate -s 0 "$top/ends"
ok 'folders are removed' find "$top/empty" -mindepth 1 -depth -type d -delete
ok 'so are folders in a folder of the base' rmdir "$top/src/part00/new/deep" "$top/src/part00/new"
ok 'a change is taken back' git_fs discard "$top/src/part00/sub0/file0000.c"
ok 'it is taken back' cmp "$top/src/part00/sub0/file0000.c" \
	"$T/checkout/src/part00/sub0/file0000.c"
ok 'a file of the base is removed' rm "$top/src/part02/sub2/file0002.c"
ok 'large files are removed' find "$top/large" -name 'l0*' -delete
# First of all the journal takes back what it had spare.
ok 'the disk gets room for it' wait_for 10 fell $((used - 3000))
sed -i '/^l/d' "$T/large"
ok 'there is room for a large file' sh -c 'cp "$1" "$2" && cmp "$1" "$2"' - "$T/image.part" "$top/fits"
ok 'the rest is as it was written' is_as_written

# What was written to the journal gives room only when that is written anew.
fill fill "$top/large" o 100000 "$T/large" >/dev/null
fill fill "$top/large" p 4096 "$T/large" >/dev/null
fails 'full once more' "$no_space" python3 -c '
import sys
open(sys.argv[1], "wb").write(bytes(30 << 20))' "$top/fills"
rm -f "$top/fills"
ok 'most of the small files are removed' find "$top/small" -name 's*[0-7]' -delete
sed -i '/^s[0-9]*[0-7] /d' "$T/small"
ok 'others are written in their place' eval \
	'fill fill "$top/small" t 6000 "$T/small" >"$T/out/others"; awk "{ exit \$1 < 300 }" "$T/out/others"'
ok 'all are as written' is_as_written
ok 'the daemon is well after all that' healthy
ok 'the daemon is killed again' mount_kill full
ok 'it mounts' mount_repo full "$url" --writable
ok 'all are as written, still' is_as_written
is 'the overlay is whole' "$(git_fs doctor "$top" | sed 's/.*: //')" healthy

# --- a quota is met as a full disk is ---
ok 'it unmounts' mount_stop full
for where in journal.allocate journal.write contents.file.write; do
	mount_home "$where"
	GIT_FS_FAILPOINT=$where:4+=EDQUOT ok "$where: mounts" mount_repo full "$url" --writable
	fails "$where: a quota is told to whoever writes" 'Disk quota exceeded' python3 -c '
import sys
for i in range(1000):
    with open(sys.argv[1] + "/quota%d" % i, "wb", 0) as file:
        for piece in range(20):
            file.write(bytes(30000))' "$top"
	ok "$where: the daemon is well" healthy
	ok "$where: it unmounts" mount_stop full
done
mount_home first
ok 'the disk unmounts' umount "$disk"
mount_end
