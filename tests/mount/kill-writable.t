#!/bin/bash
# check-builds: release
# A writable mount whose daemon dies by SIGKILL again and again while several programs
# change it: whatever they were told is done is there after the next mount, and nothing
# else. What they were told stands in files outside of the mount (tests/tools/churn.py).
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
top=$T/mnt/killed
kills=${GIT_FS_KILLS:-20}
workers=3
seed=${GIT_FS_TEST_SEED:-$RANDOM}
diag "GIT_FS_TEST_SEED=$seed"
RANDOM=$seed

churn() {
	timeout -k 5 120 python3 "$CHECKOUT/tests/tools/churn.py" "$@"
}

# Each worker has a folder of the base and is alone there.
folder_of() {
	printf 'src/part%02d\n' "$1"
}

start_workers() {
	local i

	pids=()
	rm -f "$T/stop"
	for ((i = 0; i < workers; i++)); do
		churn load "$top/$(folder_of "$i")" "$T/record$i" "$RANDOM" "$T/stop" \
			>"$T/out/worker$i" 2>&1 &
		pids+=($!)
	done
}

# All of them end as the mount has died, none for another reason.
workers_end() {
	local i status=0

	touch "$T/stop"
	for ((i = 0; i < workers; i++)); do
		wait_for 30 process_gone "${pids[i]}" || status=1
		if ! wait "${pids[i]}"; then
			diag "worker $i: $(tail -n 3 "$T/out/worker$i")"
			status=1
		fi
	done
	return "$status"
}

all_is_there() {
	local i status=0

	for ((i = 0; i < workers; i++)); do
		if ! churn check "$top/$(folder_of "$i")" "$T/record$i" >"$T/out/check$i" 2>&1; then
			diag "round $round, $(folder_of "$i"): $(cat "$T/out/check$i")"
			status=1
		fi
		changes=$((changes + $(awk 'NF == 2 { print $1 }' "$T/out/check$i")))
	done
	return "$status"
}

for ((i = 0; i < workers; i++)); do
	churn begin "$T/record$i" "$T/checkout/$(folder_of "$i")"
done
changes=0 died=0 right=0
for ((round = 0; round < kills; round++)); do
	if ! mount_repo killed --writable "$url"; then
		fail "round $round: mounts"
		break
	fi
	if ((round > 0)); then
		all_is_there || break
		right=$((right + 1))
	fi
	start_workers
	sleep "0.$((RANDOM % 6))$((RANDOM % 10))"
	if mount_kill killed && workers_end; then
		died=$((died + 1))
	else
		fail "round $round: a program was told something else than that the mount is dead"
		break
	fi
done
is 'the daemon died each time' "$died" "$kills"
is 'each time all that was acknowledged was there' "$right" "$((kills - 1))"
ok 'mounts after the last kill' mount_repo killed --writable "$url"
ok 'all is there' all_is_there
diag "$changes changes were acknowledged amid $died kills"
within 'there were changes' "$changes" "$kills" 100000000

# The rest of the base is as it was.
rest() {
	local i

	for ((i = workers; i < 32; i++)); do
		diff -r "$top/$(folder_of "$i")" "$T/checkout/$(folder_of "$i")" || return 1
	done
}
ok 'what nobody changed is as it was' rest
ok 'unmounts' mount_stop killed
ok 'mounts again' mount_repo killed --writable "$url"
ok 'all is there after a clean end, too' all_is_there
ok 'unmounts again' mount_stop killed
mount_end 'event=(mount_failed|journal_|overlay_)'
