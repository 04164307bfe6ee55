#!/bin/bash
# check-builds: release
# -o writeback: the kernel gathers writes. What was written is the same after a remount; what
# was fsynced or closed survives the death of the daemon. tests/tools/gather.py writes.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
make_odd_repo "$T/repos/odd.git" || exit 1
server_start full
url=$(server_url full)/odd.git
top=$T/mnt/back

gather() {
	timeout -k 5 100 python3 "$CHECKOUT/tests/tools/gather.py" "$@"
}
mounts() {
	mount_repo back "$url" --writable -o writeback
}
requests() {
	mount_status back requests.total
}

ok 'mounts' mounts
like 'status says that writeback is in use' "$(git_fs status "$top")" 'used:[a-z_ ]* writeback'
like 'and what it means' "$(git_fs status "$top")" 'what the kernel had not sent yet is lost'
before=$(requests)
ok 'ten thousand small writes' python3 -c '
import sys
with open(sys.argv[1], "wb", buffering=0) as file:
    for count in range(10000):
        file.write(b"%09d\n" % count)' "$top/many-writes"
within 'are few requests' $(($(requests) - before)) 1 300
ok 'files are written in many ways' gather change "$top" "$T/changed"
ok 'each reads as it was written' gather check "$top" "$T/changed"
ok 'unmounts at once' mount_stop back
ok 'mounts' mounts
is 'each is as it was, with size and time' "$(gather check "$top" "$T/changed" 2>&1)" 12
is 'the many writes are there' "$(wc -l <"$top/many-writes")" 10000
is 'nothing failed' "$(mount_status back requests.failed)" 0

# umount(8) and signals bring out what the kernel has, as git-fs unmount does.
for way in 'fusermount3 -u' umount TERM; do
	if [ "$way" = umount ] && [ "$(id -u)" -ne 0 ]; then
		continue
	fi
	python3 -c '
import sys
with open(sys.argv[1], "wb", buffering=0) as file:
    for count in range(200):
        file.write(b"%09d\n" % count)' "$top/before ${way%% *}"
	pid=$(mount_status back pid)
	if [ "$way" = TERM ]; then
		kill "$pid"
	else
		ok "$way" timeout 20 $way "$top"
	fi
	ok "$way: the daemon ends" wait_for 20 process_gone "$pid"
	ok "$way: mounts" mounts
	is "$way: all is there" "$(wc -l <"$top/before ${way%% *}")" 200
done

# status and diff see what is written, not what was sent.
python3 -c '
import sys, time
file = open(sys.argv[1], "wb", buffering=0)
file.write(b"x" * 1234)
print("ready", flush=True)
time.sleep(60)' "$top/pending" >"$T/out/pending" &
writer=$!
ok 'a file is being written' wait_for 10 grep -q ready "$T/out/pending"
like 'status counts what the kernel has not sent' "$(git_fs status --json "$top" |
	tr -d '\n ')" '"path":"pending",[^}]*"bytes":1234'
kill "$writer"
wait "$writer" 2>/dev/null

for round in 1 2 3; do
	# Itself, not by a function: it is what is to be ended.
	python3 "$CHECKOUT/tests/tools/gather.py" synced "$top" "$T/synced" >"$T/out/synced" 2>&1 &
	writer=$!
	ok "$round: files are written and synced" wait_for 60 grep -q ready "$T/out/synced"
	ok "$round: the daemon is killed" mount_kill back
	kill "$writer" 2>/dev/null
	wait "$writer" 2>/dev/null
	ok "$round: mounts" mounts
	is "$round: what was synced or closed is there" "$(gather check "$top" "$T/synced" 2>&1)" 16
	ok "$round: what was neither is none of anything else" python3 -c '
import os, random, sys
for name in ("open0", "open1", "open2"):
    path = os.path.join(sys.argv[1], name)
    whole = random.Random(name).randbytes(60000)
    if os.path.exists(path):
        found = open(path, "rb").read()
        assert all(f in (w, 0) for f, w in zip(found, whole)), name
        os.unlink(path)' "$top"
	find "$top" -maxdepth 1 \( -name 'closed*' -o -name '*synced*' -o -name 'mapped?' \) -delete
done
is 'what was written at first is still there' "$(gather check "$top" "$T/changed" 2>&1)" 12
is 'the overlay is whole' "$(git_fs doctor "$top" | sed 's/.*: //')" healthy
ok 'unmounts' mount_stop back
mount_end
