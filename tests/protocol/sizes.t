#!/bin/bash
# Sizes without contents: what git says of each blob, where the host offers it.
set -u
# shellcheck source=probe.sh
. "$(dirname "$0")/probe.sh"
harness_start
probe_servers

make_odd_repo "$T/repos/sha1.git"
make_odd_repo "$T/repos/sha256.git" sha256
sample_repo "$T/repos" redis
# More blobs than fit into one request.
init_bare "$T/repos/many.git"
{
	fast_commit refs/heads/main 'Many files'
	awk 'BEGIN {
		for (i = 0; i < 12000; i++) {
			text = sprintf("%0*d", 1 + i % 50, i)
			printf "M 100644 inline d%03d/f%05d\ndata %d\n%s\n", i % 100, i, length(text), text
		}
	}'
} | repo_git many fast-import --quiet

for name in sha1 sha256 redis many; do
	repo_git "$name" ls-tree -r --format='%(objecttype) %(objectname)' HEAD |
		awk '$1 == "blob" && !seen[$2]++ { print $2 }' >"$T/ids"
	repo_git "$name" cat-file --batch-check='%(objectname) %(objectsize)' <"$T/ids" >"$T/sizes"
	count=$(wc -l <"$T/ids")
	for kind in full no-filter local; do
		probe "$(probe_url "$kind" "$name")" sizes "@$T/ids"
		ok "$kind $name: sizes of $count files" diff "$T/sizes" - <<<"$OUT"
		# The offer has to be known first.
		is "$kind $name: 5,000 in a request" "$REQUESTS" $(((count + 4999) / 5000 + 1))
		not_ok "$kind $name: no object comes" test -e "$T/out"
	done
done
within 'more than two requests were needed' "$count" 10001 12000

for name in sha1 sha256; do
	gone=$(printf none | "${name}sum" | cut -d ' ' -f 1)
	blob=$(repo_git "$name" rev-parse main:modes/tool)
	empty=$(repo_git "$name" rev-parse main:sizes/s0)
	for kind in full no-filter local; do
		url=$(probe_url "$kind" "$name")
		probe "$url" sizes "$gone" "$blob" "$gone" "$empty" "$blob" "$gone"
		is "$kind $name: unknown ids, empty files, the same twice" "$OUT" \
			"$gone ?
$blob 9
$gone ?
$empty 0
$blob 9
$gone ?"
		probe "$url" sizes
		is "$kind $name: no ids, no request" "$STATUS $REQUESTS $OUT" '0 0 '
		probe "$url" algo ';' features
		like "$kind $name: sizes are told" "$OUT" 'features.* sizes'
	done
	url=$(probe_url no-object-info "$name")
	probe "$url" sizes "$blob" ';' features ';' sizes "$blob"
	like "no-object-info $name: sizes are not told, in words" "$STATUS $OUT" \
		"^1 error EOPNOTSUPP .*$name.git: the server does not tell sizes"
	ok "no-object-info $name: as its features say" grep -q -x 'features lists' <<<"$OUT"
	is "no-object-info $name: it is asked once" "$REQUESTS" 1
done
done_testing
