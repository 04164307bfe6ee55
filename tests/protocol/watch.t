#!/bin/bash
# Watching a ref: what becomes of it is seen, and nothing else is told.
set -u
# shellcheck source=probe.sh
. "$(dirname "$0")/probe.sh"
harness_start
server_start full
make_odd_repo "$T/repos/sha1.git"
make_odd_repo "$T/repos/sha256.git" sha256

# changes NAME SECONDS ARGUMENTS...: later, git update-ref with these
changes() {
	local name=$1 seconds=$2

	shift 2
	(sleep "$seconds" && repo_git "$name" update-ref "$@") &
	harness_adopt $!
}

for name in sha1 sha256; do
	old=$(repo_git "$name" rev-parse main)
	new=$(repo_git "$name" rev-parse empty)
	tag=$(repo_git "$name" rev-parse v1)
	for kind in full local; do
		url=$(probe_url "$kind" "$name")
		repo_git "$name" update-ref refs/heads/moving "$old"
		repo_git "$name" update-ref refs/heads/moving-too "$new"

		probe "$url" watch refs/heads/moving "$old" 1
		is "$kind $name: nothing new" "$STATUS $OUT" '0 unchanged'
		# Over a pipe each look needs a fresh child, which greets.
		within "$kind $name: was asked for every 100 ms" "$REQUESTS" 3 28
		probe "$url" watch refs/heads/moving "$old" 0
		is "$kind $name: a single look" "$STATUS $OUT" '0 unchanged'
		probe "$url" watch refs/heads/moving "$new" 10
		is "$kind $name: something else already" "$OUT" "ref refs/heads/moving $old $old"

		changes "$name" 0.5 refs/heads/moving "$new"
		probe "$url" watch refs/heads/moving "$old" 20 ';' fetch "$new"
		is "$kind $name: a change" "${OUT%%$'\n'*}" "ref refs/heads/moving $new $new"
		ok "$kind $name: and what it brought" test -e "$T/out/commit/$new"

		changes "$name" 0.5 -d refs/heads/moving
		probe "$url" watch refs/heads/moving "$new" 20
		like "$kind $name: the ref is gone" "$STATUS $OUT" \
			'^1 error ENOENT .*refs/heads/moving is gone'

		probe "$url" watch refs/tags/v1 "$tag" 0 ';' watch refs/tags/v1 "$old" 0
		is "$kind $name: a tag that holds, or stands for, what is known" "$OUT" \
			'unchanged
unchanged'
		probe "$url" watch refs/tags/v1 "$new" 0
		is "$kind $name: a tag that does not" "$OUT" "ref refs/tags/v1 $tag $old"

		probe "$url" cancel 300 ';' watch refs/heads/main "$old" 20
		like "$kind $name: a cancel ends it" "$STATUS $OUT" '^1 error ECANCELED '
		within "$kind $name: soon" "$REQUESTS" 1 14
	done
done
done_testing
