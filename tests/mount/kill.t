#!/bin/bash
# The daemon dies by SIGKILL, at any moment: the mount can be had again over the dead
# one, with the same numbers of nodes and the right bytes, and the cache stays sound.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
sample_repo "$T/repos" redis
repo=$T/repos/redis.git
server_start full
url=$(server_url full)/redis.git
some=$(git -C "$repo" ls-tree -r --name-only HEAD | sed -n 9p)
git -C "$repo" show "HEAD:$some" >"$T/some"
seed=${GIT_FS_TEST_SEED:-$RANDOM}
diag "GIT_FS_TEST_SEED=$seed"
RANDOM=$seed

# Readers that go on as long as the mount answers.
readers=()
start_readers() {
	local i

	readers=()
	for ((i = 0; i < $2; i++)); do
		(cd "$1" && find . -type f -print0 | shuf -z | xargs -0 cat >/dev/null) \
			2>"$T/out/reader$i.err" &
		readers+=($!)
	done
}
no_daemons_but_ready() {
	no_daemons || git_fs status "$T/mnt/start"
}
readers_end() {
	local pid

	for pid in "${readers[@]}"; do
		wait_for 20 process_gone "$pid" || return 1
		wait "$pid" || true
	done
}

ok 'mounts' mount_repo dead "$url"
numbers=$(inodes "$T/mnt/dead")
start_readers "$T/mnt/dead" 8
sleep 0.1
ok 'the daemon is killed' mount_kill dead
ok 'all readers end' readers_end
like 'they were told that nobody answers' "$(cat "$T"/out/reader*.err)" \
	'Transport endpoint is not connected'
like 'list knows it as dead' "$(git_fs list)" "dead +$T/mnt/dead"
not_ok 'status is not content' git_fs status "$T/mnt/dead"
ok 'it mounts again over the dead one' mount_repo dead "$url"
like 'and says what it took away' "$(cat "$T/out/dead.err")" 'took away a dead mount'
is 'there is one mount on the folder' \
	"$(awk -v dir="$T/mnt/dead" '$5 == dir' /proc/self/mountinfo | wc -l)" 1
same_tree 'it equals the commit' "$T/mnt/dead" "$repo" HEAD
is 'each file has the number that it had' "$(inodes "$T/mnt/dead")" "$numbers"
ok 'it unmounts' mount_stop dead
ok 'and mounts' mount_repo dead "$url"
is 'and has the numbers after that' "$(inodes "$T/mnt/dead")" "$numbers"
ok 'killed again' mount_kill dead
ok 'a dead mount is unmounted by the command' mount_stop dead
not_ok 'and is gone' mounted "$T/mnt/dead"

# A daemon, or the command that watches it, dies while the mount comes up: the next
# command needs no help.
early=0
for ((round = 0; round < 10; round++)); do
	mount_home "start$round"
	mkdir -p "$T/mnt/start"
	"$GIT_FS" mount "$url" "$T/mnt/start" >"$T/out/start.out" 2>&1 &
	pid=$!
	sleep "0.0$((RANDOM % 4))$((RANDOM % 10))"
	victim=$pid
	[ $((round % 2)) -eq 0 ] || victim=$(ps -o pid= --ppid "$pid")
	# shellcheck disable=SC2086 # blanks around a number
	[ -z "$victim" ] || kill -KILL $victim
	wait_for 20 process_gone "$pid" || fail "round $round: the command hangs"
	wait "$pid" || early=$((early + 1))
	# One that was up already serves on where the command alone was killed.
	wait_for 20 no_daemons_but_ready || fail "round $round: a daemon is left that is not ready"
	if git_fs status "$T/mnt/start" >"$T/out/status" 2>&1; then
		mount_stop start || fail "round $round: unmounts"
	fi
	if ! mount_repo start "$url" || ! cmp "$T/mnt/start/$some" "$T/some" ||
		! mount_stop start; then
		fail "round $round: killed while it came up"
	fi
done
diag "$early of 10 were killed before they were up"
within 'ten kills of daemons that come up' "$early" 1 10

# Kills amid a cold read, four on each cache.
caches=${GIT_FS_KILL_CACHES:-5}
died=0
for ((home = 0; home < caches; home++)); do
	mount_home "killed$home"
	for ((round = 0; round < 4; round++)); do
		if ! mount_repo killed "$url"; then
			fail "cache $home, round $round: mounts"
			continue
		fi
		start_readers "$T/mnt/killed" 4
		sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
		if mount_kill killed && readers_end; then
			died=$((died + 1))
		fi
	done
	ok "cache $home, after four kills: mounts" mount_repo killed "$url"
	same_tree "cache $home: equals the commit" "$T/mnt/killed" "$repo" HEAD
	is "cache $home: has no bad record" "$(mount_status killed store.bad_records)" 0
	is "cache $home: no request failed" "$(mount_status killed requests.failed)" 0
	ok "cache $home: unmounts" mount_stop killed
done
is 'the daemon died each time' "$died" $((4 * caches))

# What the daemons said whose commands were killed.
mount_end 'event=mount_failed reason="(called off|interrupted|the watching process is gone)'
