#!/bin/bash
# Objects by their ids, byte for byte what git has, over every kind of server.
set -u
# shellcheck source=probe.sh
. "$(dirname "$0")/probe.sh"
harness_start
probe_servers

# blob_ids NAME REV FILE: the blobs of a tree, each once
blob_ids() {
	repo_git "$1" ls-tree -r --format='%(objecttype) %(objectname)' "$2" |
		awk '$1 == "blob" && !seen[$2]++ { print $2 }' >"$3"
}

# absent_id ALGO NUMBER: an id that no repository has
absent_id() {
	printf '%s %d' absent "$2" | "${1}sum" | cut -d ' ' -f 1
}

make_odd_repo "$T/repos/sha1.git"
make_odd_repo "$T/repos/sha256.git" sha256
sample_repo "$T/repos" redis
declare -A rev=([sha1]=main [sha256]=main [redis]=HEAD)

for name in sha1 sha256 redis; do
	blob_ids "$name" "${rev[$name]}" "$T/$name.ids"
	objects_of "$T/repos/$name.git" "$T/$name" <"$T/$name.ids"
	count=$(wc -l <"$T/$name.ids")
	within "$name: a tree of many blobs" "$count" 500 5000
	for kind in "${KINDS[@]}"; do
		probe "$(probe_url "$kind" "$name")" fetch "@$T/$name.ids"
		is "$kind $name: all blobs" "$STATUS ${OUT##*$'\n'}" "0 missing 0"
		same_objects "$kind $name: byte for byte, and nothing else" "$T/$name"
		is "$kind $name: each came once" "$(grep -c ' blob ' <<<"$OUT")" "$count"
		# Over a pipe a greeting comes before; without filters the first guess fails.
		within "$kind $name: in batches of 500" "$REQUESTS" $(((count + 499) / 500)) \
			$(((count + 499) / 500 + 2))
	done
	rm -rf "${T:?}/$name"
done

for name in sha1 sha256; do
	algo=$name
	head -n 60 "$T/$name.ids" >"$T/few.ids"
	rm -rf "$T/few"
	objects_of "$T/repos/$name.git" "$T/few" <"$T/few.ids"
	{
		absent_id "$algo" 1
		head -n 30 "$T/few.ids"
		absent_id "$algo" 2
		tail -n 30 "$T/few.ids"
		absent_id "$algo" 3
	} >"$T/holes.ids"
	for kind in "${KINDS[@]}"; do
		url=$(probe_url "$kind" "$name")
		probe "$url" fetch "@$T/holes.ids"
		is "$kind $name: three unknown ids among 60" "$STATUS ${OUT##*$'\n'}" '0 missing 3'
		same_objects "$kind $name: the others come" "$T/few"
		within "$kind $name: an attempt for each unknown one, and one more" "$REQUESTS" 4 8
		probe "$url" fetch "$(absent_id "$algo" 1)" "$(absent_id "$algo" 2)"
		is "$kind $name: nothing but unknown ids" "$STATUS $OUT" '0 missing 2'
		probe "$url" fetch "@$T/few.ids" "@$T/few.ids"
		is "$kind $name: the same ids twice" "$STATUS ${OUT##*$'\n'}" '0 missing 0'
		same_objects "$kind $name: come all the same" "$T/few"
		probe "$url" fetch
		is "$kind $name: no ids, no request" "$STATUS $REQUESTS $OUT" '0 0 missing 0'
	done
done

# Objects of all types at once, in orders in which a filter of git's own server takes
# things that were asked for by name as parts of others. A tag brings what it points to.
for name in sha1 sha256; do
	repo_git "$name" rev-parse main main: main:modes main:modes/tool main:case >"$T/mixed.ids"
	rm -rf "$T/mixed"
	objects_of "$T/repos/$name.git" "$T/mixed" <"$T/mixed.ids"
	tag=$(repo_git "$name" rev-parse nested)
	for kind in full no-object-info local; do
		url=$(probe_url "$kind" "$name")
		probe "$url" fetch "@$T/mixed.ids"
		same_objects "$kind $name: a commit, two trees, two blobs" "$T/mixed"
		is "$kind $name: none is missing" "$STATUS ${OUT##*$'\n'}" '0 missing 0'
		tac "$T/mixed.ids" >"$T/backwards.ids"
		probe "$url" fetch "@$T/backwards.ids"
		same_objects "$kind $name: the same, backwards" "$T/mixed"
		probe "$url" fetch "@$T/mixed.ids" "$(absent_id "$name" 1)"
		same_objects "$kind $name: the same and an unknown one" "$T/mixed"
		is "$kind $name: which is missing" "$STATUS ${OUT##*$'\n'}" '0 missing 1'
		probe "$url" fetch "$tag"
		ok "$kind $name: a tag of a tag" cmp "$T/out/tag/$tag" \
			<(repo_git "$name" cat-file tag nested)
	done
	probe "$(probe_url no-filter "$name")" fetch "@$T/mixed.ids"
	is "no-filter $name: all of these, too" "$STATUS ${OUT##*$'\n'}" '0 missing 0'
	is "no-filter $name: with all that is below" \
		"$(grep -v missing <<<"$OUT" | cut -d ' ' -f 1 | sort)" \
		"$(repo_git "$name" rev-list --objects --no-object-names -1 main | sort)"
done

# Ids of the other object format are nobody's.
for kind in "${KINDS[@]}"; do
	probe "$(probe_url "$kind" sha256)" fetch "$(absent_id sha1 1)"
	like "$kind: an id of sha1 in a repository of sha256" "$STATUS $OUT" \
		'^1 error (ENOENT|EPROTO) .*sha256.git.*(sha256|sha1)'
	probe "$(probe_url "$kind" sha1)" fetch "$(absent_id sha256 1)"
	like "$kind: an id of sha256 in a repository of sha1" "$STATUS $OUT" \
		'^1 error (ENOENT|EPROTO) .*sha1.git.*(sha256|sha1)'
done
done_testing
