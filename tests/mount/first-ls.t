#!/bin/bash
# The first ls of a repository over a slow link: three round trips, whatever the size of
# the repository, and few bytes.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
sample_repo "$T/repos" redis
sample_repo "$T/repos" git
server_start far --rtt 40
server_start farther --rtt 200

# Beyond the round trips: what a quiet machine needs. Sanitizers slow programs down, and
# so does whoever else computes.
slack=60
read -r load _ </proc/loadavg
[ "${load%.*}" -lt "$(nproc)" ] || slack=140
! sanitized || slack=400
diag "load $load, so $slack ms on top of the round trips"

# first_ls NAME SERVER REPO LIMIT: leaves the best time, in ms, in $best and the most bytes
# that the server sent until the top folder had come in $most. Tries again until the limit
# is kept, as noise only ever adds.
first_ls() {
	local name=$1 server=$2 repo=$3 limit=$4 try start took sent top

	best=1000000
	most=0
	top=$(git -C "$T/repos/$repo" ls-tree --name-only HEAD | wc -l)
	mkdir -p "$T/mnt/$name"
	for ((try = 0; try < 20; try++)); do
		[ "$try" -lt 3 ] || [ "$best" -gt "$limit" ] || break
		mount_home "$name$try"
		server_log_reset "$server"
		start=$(now_ms)
		git_fs mount "$(server_url "$server")/$repo" "$T/mnt/$name" >/dev/null || return 1
		# shellcheck disable=SC2012 # to be measured as a user does it
		[ "$(ls -A "$T/mnt/$name" | wc -l)" -eq "$top" ] || return 1
		took=$(($(now_ms) - start))
		[ "$took" -ge "$best" ] || best=$took
		mount_stop "$name" || return 1
		# The first POST is for the ref, the second for the commit and the top folder;
		# the folders below come behind.
		sent=$(server_log "$server" |
			awk '{ n += $4 } /POST/ && ++posts == 2 { exit } END { print n }')
		[ "$sent" -le "$most" ] || most=$sent
	done
	diag "$name: $best ms, $most bytes, $try tries"
}

for repo in redis git; do
	if first_ls "$repo-far" far "$repo.git" $((3 * 40 + slack)); then
		within "$repo: at 40 ms the first ls comes after three round trips" "$best" 120 \
			$((120 + slack))
		within "$repo: for few bytes" "$most" 100 16384
	else
		fail "$repo: at 40 ms it mounts and lists"
	fi
	if first_ls "$repo-farther" farther "$repo.git" $((3 * 200 + slack)); then
		within "$repo: at 200 ms there are three, not four" "$best" 600 \
			$((slack < 200 ? 780 : 600 + slack))
	else
		fail "$repo: at 200 ms it mounts and lists"
	fi
done

# With a cache the tip is asked for, by one request on one new connection, and nothing else.
mount_home warm
ok 'mounts' mount_repo warm "$(server_url farther)/redis.git"
ok 'all of it comes' bash -c "find '$T/mnt/warm' -type f -print0 | xargs -0 cat >/dev/null"
ok 'it unmounts' mount_stop warm
server_log_reset farther
best=1000000
for ((try = 0; try < 5; try++)); do
	start=$(now_ms)
	mount_repo warm "$(server_url farther)/redis.git" || break
	took=$(($(now_ms) - start))
	[ "$took" -ge "$best" ] || best=$took
	mount_stop warm || break
done
diag "warm: $best ms"
within 'with a cache there are two round trips, not three' "$best" 400 \
	$((slack < 200 ? 580 : 400 + slack))
is 'the server was asked once each time' "$(server_requests farther)" 5

mount_end
