#!/bin/bash
# Names without contents: a commit's or a folder's trees, level by level.
set -u
# shellcheck source=probe.sh
. "$(dirname "$0")/probe.sh"
harness_start
probe_servers

# trees_of NAME TREE LEVELS: the tree and those below it, down to so many levels; 0 is all
trees_of() {
	{
		repo_git "$1" rev-parse "$2"
		repo_git "$1" ls-tree -r -d --format='%(objecttype) %(objectname) %(path)' "$2" |
			awk -v levels="$3" '$1 == "tree" {
				depth = gsub("/", "/") + 2
				if (levels == 0 || depth <= levels)
					print $2
			}'
	} | sort -u
}

# listed ROOT LEVELS [COMMIT]: what the last probe should have brought
listed() {
	local kind=$1 name=$2 root=$3 levels=$4 commit=$5 words=$6

	is "$words: exit code" "$STATUS" 0
	rm -rf "$T/wanted"
	{
		[ -z "$commit" ] || printf '%s\n' "$commit"
		trees_of "$name" "$root" "$levels"
	} >"$T/wanted.ids"
	if [ "$kind" != no-filter ]; then
		objects_of "$T/repos/$name.git" "$T/wanted" <"$T/wanted.ids"
		same_objects "$words: these and no contents" "$T/wanted"
		return
	fi
	# Everything comes: the names are among it.
	is "$words: names" "$(cut -d ' ' -f 1 <<<"$OUT" | sort | comm -23 \
		<(sort "$T/wanted.ids") - | wc -l)" 0
	is "$words: and contents" "$(cut -d ' ' -f 1 <<<"$OUT" | sort)" \
		"$(repo_git "$name" rev-list --objects --no-object-names -1 "${commit:-$root}" |
			sort)"
}

make_odd_repo "$T/repos/sha1.git"
make_odd_repo "$T/repos/sha256.git" sha256
sample_repo "$T/repos" redis
declare -A folder=([sha1]=level1 [sha256]=level1 [redis]=src)

for name in sha1 sha256 redis; do
	commit=$(repo_git "$name" rev-parse HEAD)
	below=$(repo_git "$name" rev-parse "HEAD:${folder[$name]}")
	for kind in "${KINDS[@]}"; do
		url=$(probe_url "$kind" "$name")
		for levels in 1 2 3 29 0; do
			probe "$url" list "$commit" "$levels"
			listed "$kind" "$name" HEAD: "$levels" "$commit" "$kind $name, $levels levels"
			[ "$kind" != no-filter ] || break
		done
		for levels in 1 2 3 0; do
			probe "$url" list "$below" "$levels" "$commit"
			listed "$kind" "$name" "$below" "$levels" '' \
				"$kind $name, $levels levels of a folder"
			[ "$kind" != no-filter ] || break
		done
		probe "$url" resolve HEAD ';' list tip 1 ';' features
		if [ "$kind" = no-filter ]; then
			not_ok "$kind $name: listing is known to be dear" grep -q 'features.* lists' <<<"$OUT"
		else
			ok "$kind $name: listing is cheap" grep -q 'features lists' <<<"$OUT"
		fi
		gone=$(printf none | "$(repo_git "$name" rev-parse --show-object-format)sum" |
			cut -d ' ' -f 1)
		probe "$url" list "$gone" 1
		like "$kind $name: an unknown commit" "$STATUS $OUT" \
			"^1 error ENOENT .*$name.git has no object $gone"
	done
done

# An empty tree has nothing below it, and some hosts take it for granted.
for name in sha1 sha256; do
	commit=$(repo_git "$name" rev-parse empty)
	for kind in "${KINDS[@]}"; do
		probe "$(probe_url "$kind" "$name")" list "$commit" 1
		is "$kind $name: a commit of nothing" "$(sort <<<"$OUT" | cut -d ' ' -f 1,2)" \
			"$(repo_git "$name" rev-parse empty empty: | sort |
				repo_git "$name" cat-file --batch-check='%(objectname) %(objecttype)')"
	done
done

# Filters that a host refuses: the next coarser one is taken, and it is asked once.
for filter in tree combine blob:none; do
	name=no-${filter%:*}
	git clone -q --bare "$T/repos/redis.git" "$T/repos/$name.git"
	repo_git "$name" config "uploadpackfilter.$filter.allow" false
	commit=$(repo_git "$name" rev-parse HEAD)
	url=$(probe_url full "$name")
	for levels in 1 2 0; do
		probe "$url" list "$commit" "$levels"
		is "$name, $levels levels: exit code" "$STATUS" 0
		is "$name, $levels levels: all names" "$(trees_of "$name" HEAD: "$levels" |
			comm -23 - <(cut -d ' ' -f 1 <<<"$OUT" | sort) | wc -l)" 0
		probe "$url" resolve HEAD ';' list tip "$levels" ';' traffic ';' list tip "$levels"
		first=$(sed -n 's/^requests \([0-9]*\) .*/\1/p' <<<"$OUT")
		is "$name, $levels levels: then it is one request" $((REQUESTS - first)) 1
		# Of several levels tree:N alone would bring the files, too.
		[ "$filter" != blob:none ] || [ "$levels" = 1 ] || continue
		is "$name, $levels levels: no contents" "$(grep -c ' blob ' <<<"$OUT")" 0
	done
done
done_testing
