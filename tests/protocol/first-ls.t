#!/bin/bash
# The first ls: what a mount asks for before it answers, a ref and the top folder,
# costs two requests on one connection, three round trips, and few bytes, whatever
# the repository's size.
set -u
# shellcheck source=probe.sh
. "$(dirname "$0")/probe.sh"
harness_start

RTT_MS=40
SLACK_MS=60
# So long that a fourth round trip cannot be taken for slowness.
LONG_RTT_MS=200
TRIES=20

sample_repo "$T/repos" redis
init_bare "$T/repos/large.git"
{
	fast_commit refs/heads/main '20,000 files in 500 folders'
	awk 'BEGIN {
		for (i = 0; i < 20000; i++)
			printf "M 100644 inline d%02d/e%02d/f%05d\ndata 8\nf %05d\n\n", i % 25, i / 25 % 20, i, i
	}'
} | repo_git large fast-import --quiet
is 'large: files' "$(repo_git large ls-tree -r HEAD | wc -l)" 20000
is 'large: folders' "$(repo_git large ls-tree -r -d HEAD | grep -c /)" 500
server_start near
server_start far --rtt "$RTT_MS"
server_start farther --rtt "$LONG_RTT_MS"

# first_ls SERVER NAME ENOUGH: milliseconds of the fastest of some tries, the last of
# which is the first to take no more than ENOUGH
first_ls() {
	local best=100000 took i

	for ((i = 0; i < TRIES && best > $3; i++)); do
		probe "$(server_url "$1")/$2.git" resolve HEAD ';' list tip 1 ';' clock
		took=${OUT##*clock }
		[ "$STATUS" -ne 0 ] || [ "$took" -ge "$best" ] || best=$took
	done
	printf '%d\n' "$best"
}

for name in redis large; do
	commit=$(repo_git "$name" rev-parse HEAD)
	server_log_reset near
	probe "$(server_url near)/$name.git" resolve HEAD ';' list tip 1
	like "$name: the ref" "$OUT" "^ref refs/heads/[a-z]+ $commit $commit"
	is "$name: the commit and its top folder, no more" \
		"$(tail -n +2 <<<"$OUT" | cut -d ' ' -f 1,2 | sort)" \
		"$(repo_git "$name" rev-parse HEAD HEAD: |
			repo_git "$name" cat-file --batch-check='%(objectname) %(objecttype)' | sort)"
	is "$name: two requests" "$REQUESTS" 2
	is "$name: as the server sees it" "$(server_requests near)" 2
	is "$name: both POST" "$(server_requests near '^POST /.*/git-upload-pack 200 ')" 2
	is "$name: on one connection" "$(server_log near | cut -d ' ' -f 6 | sort -u | wc -l)" 1
	within "$name: at most 16 KiB, headers included" "$(server_sent near)" 500 16384

	most=$((3 * RTT_MS + SLACK_MS))
	within "$name: three round trips of $RTT_MS ms" "$(first_ls far "$name" "$most")" \
		$((3 * RTT_MS)) "$most"
	most=$((4 * LONG_RTT_MS - 1))
	within "$name: and not four" "$(first_ls farther "$name" "$most")" $((3 * LONG_RTT_MS)) \
		"$most"
done
done_testing
