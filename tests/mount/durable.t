#!/bin/bash
# check-builds: release
# What an overlay promises while nothing goes wrong, and when its files do: it reaches the
# disk by itself, every way of ending leaves it whole, damage costs what was damaged, and
# the journal stays short.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
make_plain_repo "$T/repos/plain.git"
git clone -q "$T/repos/plain.git" "$T/checkout"
server_start full
url=$(server_url full)/plain.git
top=$T/mnt/lasting

mounts() {
	mount_repo lasting "$url" --writable
}
status_of() {
	mount_status lasting "journal.$1"
}
ok 'mounts' mounts
overlay=$(mount_status lasting overlay.folder)

# --- nobody calls fsync: within five seconds it is on the disk ---
all_synced() {
	[ "$(status_of unsynced_records)" = 0 ] && [ "$(status_of unsynced_files)" = 0 ]
}
written_not_synced() { # on a slow machine a sync may be quicker than the two questions
	stream_bytes 200000 >"$top/large$round"
	stream_bytes 100 >>"$top/src/part01/sub1/file0001.c"
	[ "$(status_of unsynced_records)" -gt 0 ] && [ "$(status_of unsynced_files)" -gt 0 ]
}
for round in 1 2; do
	echo "small $round" >"$top/small$round"
	mkdir "$top/folder$round"
	mv "$top/src/part00/sub0/file0000.c" "$top/folder$round/" 2>/dev/null ||
		rm -f "$top"/folder*/file0000.c
	ok "$round: written, and not yet synced" wait_for 10 written_not_synced
	sleep 4.5
	ok "$round: before five seconds are over it is on the disk" all_synced
done
# While somebody keeps writing, what is older is synced all the same.
python3 -c '
import sys, time
with open(sys.argv[1], "wb", buffering=0) as file:
    end = time.monotonic() + 7
    while time.monotonic() < end:
        file.write(b"x" * 100)
        time.sleep(0.001)' "$top/goes-on" &
writer=$!
sleep 3
most=0
for _ in 1 2 3 4 5 6 7 8; do
	unsynced=$(status_of unsynced_records)
	((unsynced > most)) && most=$unsynced
	sleep 0.3
done
wait "$writer"
is 'a program wrote all the time' "$?" 0
within 'never was more than five seconds of it unsynced' "$most" 1 5000
ok 'all of it is on the disk soon after' wait_for 5 all_synced
for call in fsync fdatasync; do
	ok "$call of a file syncs its contents and all records" python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o644)
os.write(fd, b"x" * 100000)
getattr(os, sys.argv[2])(fd)' "$top/$call" "$call"
	ok "$call: nothing is left to sync" all_synced
done

# --- each way of ending leaves it whole ---
manifest() {
	(cd "$top" && find . -path './src/part[123]*' -prune -o -printf '%P %y %m %s %T@ %i\n' | sort &&
		find . -path './src/part[123]*' -prune -o -type f -exec sha1sum {} + | sort)
}
ends() {
	case $1 in
	umount) timeout 20 umount "$top" ;;
	fusermount3) timeout 20 fusermount3 -u "$top" ;;
	git-fs) mount_stop lasting ;;
	*) kill "-$1" "$pid" ;;
	esac
}
for way in git-fs fusermount3 umount TERM INT HUP; do
	if [ "$way" = umount ] && [ "$(id -u)" -ne 0 ]; then
		continue
	fi
	echo "$way" >"$top/by $way"
	stream_bytes 70000 >"$top/large by $way"
	chmod 600 "$top/src/part03/sub0/file0003.c"
	manifest >"$T/out/before"
	pid=$(mount_status lasting pid)
	ok "$way: ends" ends "$way"
	ok "$way: the daemon goes" wait_for 20 process_gone "$pid"
	is "$way: the overlay is whole" "$(git_fs doctor "$url" | sed 's/.*: //')" healthy
	ok "$way: mounts" mounts
	manifest >"$T/out/after"
	ok "$way: all is there" diff "$T/out/before" "$T/out/after"
	is "$way: nothing was lost, cut or given up" "$(status_of damaged_records) $(
		status_of damaged_bytes) $(status_of given_up) $(status_of reverted_files)" '0 0 0 0'
done
is 'no daemon had to warn of anything' "$(mount_complaints)" ''

# --- the journal stays short ---
disk_kib() {
	du -sk "$overlay/journal" | cut -f 1
}
rewrite() {
	timeout -k 5 100 python3 "$CHECKOUT/tests/tools/rewrite.py" "$@"
}
mkdir "$top/short"
rewrite "$top/short" 20000 "$T/out/rewritten" &
writer=$!
most=0
while process_runs "$writer"; do
	kib=$(disk_kib)
	((kib > most)) && most=$kib
	sleep 0.2
done
wait "$writer"
is 'a file is rewritten 20,000 times, others come and go' "$?" 0
diag "the journal took $most KiB at most"
# Alive at the end: the file, and what the tests above have left, far less than 1 MiB.
within 'the journal never took more than 2 MiB and 64' "$most" 4096 $((66 << 10))
within 'it was compacted meanwhile' "$(status_of compactions)" 5 1000000
is 'the file is what was written last' "$(sha1sum <"$top/short/rewritten" | cut -d ' ' -f 1)" \
	"$(cat "$T/out/rewritten")"
is 'nothing else is left' "$(ls "$top/short")" rewritten
manifest >"$T/out/before"
ok 'the daemon is killed' mount_kill lasting
ok 'it mounts' mounts
manifest >"$T/out/after"
ok 'all is there' diff "$T/out/before" "$T/out/after"

# --- damage costs what was damaged ---
for count in 1 2 3 4 5 6 7 8 9; do
	printf '%0.sfile %d\n' {1..300} >"$top/damage$count" "$count"
	echo "$count" >"$top/little$count"
done
stream_bytes 100000 >"$top/lost"
stream_bytes 100000 >"$top/kept"
lost_id=$(stat -c %i "$top/lost")
for count in 1 2 3 4 5 6 7 8 9; do
	seq 1 400 | sed "s/^/damage $count /" >"$top/damage$count"
done
manifest >"$T/out/before"
ok 'unmounts' mount_stop lasting
ok 'bytes in the middle of the journal are changed' python3 - "$overlay/journal" <<'PY'
import glob, os, sys
found = 0
for path in glob.glob(os.path.join(sys.argv[1], "*.log")):
    with open(path, "r+b") as file:
        data = file.read()
        at = data.find(b"damage 5 200\n")
        if at >= 0:
            found += 1
            file.seek(at)
            file.write(b"DAMAGE")
assert found == 1, found
PY
ok 'and a data file is removed' rm "$(printf '%s/data/%016x' "$overlay" "$lost_id")".*
doctor=$(git_fs doctor "$url" 2>&1)
like 'doctor names the damage in the journal' "$doctor" 'journal'
like 'and the file without a data file' "$doctor" 'lost'
not_ok 'and exits with 1' git_fs doctor "$url"
ok 'it mounts' mounts
manifest >"$T/out/after" 2>"$T/out/errors"
is 'all other contents are the same' "$(diff <(grep -E '^[0-9a-f]{40} ' "$T/out/before") \
	<(grep -E '^[0-9a-f]{40} ' "$T/out/after") | sed -n 's/^[<>].*\.\///p' | sort -u | tr '\n' ' ')" \
	'damage5 lost '
like 'the lost file gives EIO' "$(cat "$T/out/errors")" '/?lost: (Input/output error|FAILED open)'
is 'and it alone does' "$(grep -c . "$T/out/errors")" 1
within 'status counts the damage' "$(status_of damaged_records)" 1 1
not_ok 'and exits with 1' git_fs status "$top"
like 'and names it' "$(git_fs status "$top")" 'problem .*the overlay was damaged'
ok 'the damaged bytes are set aside' grep -qF 'damage 5 100' "$overlay"/journal/damaged-*
like 'the log names the damage' "$(mount_logs | grep -E ' (warn|error) ')" 'damage'
# What is wrong no more is told no more.
ok 'the file is removed' rm "$top/lost"
echo new >"$top/damage5"
ok 'unmounts after that' mount_stop lasting
ok 'mounts' mounts
ok 'status is well again' git_fs status "$top"
is 'doctor finds nothing' "$(git_fs doctor "$top" | sed 's/.*: //')" healthy
is 'what was written over the damage stays' "$(cat "$top/damage5")" new
mount_end 'event=(journal_|overlay_)|path=/lost '
