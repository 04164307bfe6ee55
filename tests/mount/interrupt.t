#!/bin/bash
# Whoever waits for a server that does not answer can be interrupted, at once; nobody
# else is held up, and what is here can be read meanwhile.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
sample_repo "$T/repos" redis
repo=$T/repos/redis.git
server_start sizeless --no-object-info
url=$(server_url sizeless)/redis.git
ok 'mounts' mount_repo slow "$url"
top=$T/mnt/slow
# One file of each folder, as what lies beside a file that is read may come along.
mapfile -t files < <(git -C "$repo" ls-tree -r -l HEAD | awk '$1 ~ /^1006/ && $4 > 100 && !oids[$3]++ {
	folder = $5
	sub("[^/]*$", "", folder)
	if (!folders[folder]++)
		print $5
}')

trees_are_here() {
	[ "$(mount_status slow fetch.trees_complete)" = yes ]
}
ok 'the folders have come' wait_for 20 trees_are_here
local_file=${files[0]}
ok 'and one file' cat "$top/$local_file"

server_stall sizeless


# ends_soon NAME SIGNAL COMMAND...: what waits in vain is gone within a second after
# the signal
ends_soon() {
	local name=$1 signal=$2 pid start

	shift 2
	env --default-signal=INT,TERM "$@" >"$T/out/waits.out" 2>&1 &
	pid=$!
	sleep 0.3
	ok "$name: waits" process_runs "$pid"
	start=$(now_ms)
	kill "-$signal" "$pid"
	ok "$name: ends" wait_for 5 process_gone "$pid"
	within "$name: within a second" $(($(now_ms) - start)) 0 1000
	wait "$pid" 2>/dev/null
}

ends_soon 'a reader, by SIGINT' INT cat "$top/${files[1]}"
ends_soon 'a reader, by SIGTERM' TERM cat "$top/${files[2]}"
ends_soon 'a reader, by SIGKILL' KILL cat "$top/${files[3]}"
ends_soon 'whoever asks for a size, by SIGINT' INT stat "$top/${files[4]}"
ends_soon 'whoever asks for a size, by SIGTERM' TERM stat "$top/${files[5]}"
ends_soon 'a listing with sizes, by SIGINT' INT ls -l "$top/$(dirname "${files[9]}")"
start=$(now_ms)
timeout 1 cat "$top/${files[6]}" >"$T/out/timeout" 2>&1
is 'timeout(1) ends a reader' $? 124
within 'in time' $(($(now_ms) - start)) 900 2000

# A handler that only notes the signal sees EINTR, as of any slow system call.
ok 'a program with a handler gets EINTR' timeout 10 python3 - "$top/${files[7]}" <<'PY'
import errno, os, signal, sys, time
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.3)
start = time.monotonic()
try:
    os.stat(sys.argv[1])
except InterruptedError as error:
    assert error.errno == errno.EINTR
else:
    raise AssertionError("answered")
assert time.monotonic() - start < 1.3
PY
within 'status counts who gave up' "$(mount_status slow requests.interrupted)" 3 100

start=$(now_ms)
ok 'what is here can be read meanwhile' cmp "$top/$local_file" \
	<(git -C "$repo" show "HEAD:$local_file")
is 'names can be listed' "$(find "$top" -mindepth 1 | wc -l)" \
	"$(git -C "$repo" ls-tree -r -t --name-only HEAD | wc -l)"
within 'at once' $(($(now_ms) - start)) 0 3000

# Two wait for one file; one gives up, the other gets it when the server goes on.
cat "$top/${files[8]}" >"$T/out/patient" 2>"$T/out/patient.err" &
patient=$!
ends_soon 'one of two that wait for the same file' TERM cat "$top/${files[8]}"
ok 'the other still waits' process_runs "$patient"
server_go_on sizeless
ok 'until the server goes on' wait_for 20 process_gone "$patient"
ok 'and gets the right bytes' cmp "$T/out/patient" <(git -C "$repo" show "HEAD:${files[8]}")
same_tree 'all is well afterwards' "$top" "$repo" HEAD
is 'interrupts are no failures' "$(mount_status slow requests.failed)" 0

# A mount that waits can still be unmounted, and one that comes up called off.
mount_home stuck
ok 'mounts, with nothing cached' mount_repo stuck "$url"
server_stall sizeless
cat "$T/mnt/stuck/${files[1]}" >"$T/out/stuck" 2>&1 &
reader=$!
sleep 0.3
pid=$(mount_status stuck pid)
kill -TERM "$pid"
start=$(now_ms)
ok 'SIGTERM ends a daemon whose reader waits' wait_for 10 process_gone "$pid"
ok 'and the reader' wait_for 10 process_gone "$reader"
within 'both soon' $(($(now_ms) - start)) 0 5000
not_ok 'the mount is gone' mounted "$T/mnt/stuck"

mkdir -p "$T/mnt/called-off"
for signal in INT TERM; do
	mount_home "called-off-$signal"
	env --default-signal=INT,TERM "$GIT_FS" mount "$url" "$T/mnt/called-off" \
		>"$T/out/called-off" 2>&1 &
	pid=$!
	sleep 0.5
	start=$(now_ms)
	kill "-$signal" "$pid"
	ok "SIG$signal calls off a mount that comes up" wait_for 10 process_gone "$pid"
	within 'soon' $(($(now_ms) - start)) 0 2000
	wait "$pid"
	is 'its exit code says so' $? 1
	like 'its words, too' "$(tail -n 1 "$T/out/called-off")" 'nothing is mounted'
	not_ok 'and nothing is' mounted "$T/mnt/called-off"
done
server_go_on sizeless

mount_end
