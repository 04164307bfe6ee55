#!/bin/bash
# Names to commits: what git says a name means, over every kind of server.
set -u
# shellcheck source=probe.sh
. "$(dirname "$0")/probe.sh"
harness_start
probe_servers

# What git takes each name for: SPEC FULL-NAME; "=" is the same.
meanings=(
	'HEAD refs/heads/main'
	'main refs/heads/main'
	'heads/main refs/heads/main'
	'refs/heads/main ='
	'feature refs/heads/feature'
	'feature-x refs/heads/feature-x'
	'mainline refs/heads/mainline'
	'topic/deep refs/heads/topic/deep'
	'both refs/tags/both'
	'heads/both refs/heads/both'
	'v1 refs/tags/v1'
	'tags/v1 refs/tags/v1'
	'refs/tags/v1 ='
	'heads/v1 refs/heads/v1'
	'light refs/tags/light'
	'nested refs/tags/nested'
	'grün refs/heads/grün'
	'notes/commits refs/notes/commits'
	'refs/pull/1/head ='
	'up/main refs/remotes/up/main'
	'up refs/remotes/up/HEAD'
)
absent=(nothere feat featur topic refs/heads/feat refs refs/heads heads tags/main deep)
impossible=('a..b' 'main~1' 'v1^{}' '@{1}' 'with blank' '*' '/main' 'main/')

# make_refs NAME [sha256]: names that are prefixes of others, and twice the same
make_refs() {
	local dir=$T/repos/$1.git tip

	shift
	make_odd_repo "$dir" "$@"
	tip=$(git -C "$dir" rev-parse refs/heads/empty)
	git -C "$dir" update-ref refs/heads/feature "$tip"
	git -C "$dir" update-ref refs/heads/feature-x refs/heads/main
	git -C "$dir" update-ref refs/heads/mainline "$tip"
	git -C "$dir" update-ref refs/heads/topic/deep "$tip"
	git -C "$dir" update-ref refs/heads/both refs/heads/main
	git -C "$dir" update-ref refs/tags/both "$tip"
	git -C "$dir" update-ref refs/heads/v1 "$tip"
	git -C "$dir" update-ref 'refs/heads/grün' "$tip"
	git -C "$dir" update-ref refs/notes/commits "$tip"
	git -C "$dir" update-ref refs/pull/1/head "$tip"
	git -C "$dir" update-ref refs/remotes/up/main "$tip"
	git -C "$dir" symbolic-ref refs/remotes/up/HEAD refs/remotes/up/main
}

# Words for what is not there: refuses KIND NAME SPEC REGEX
refuses() {
	probe "$(probe_url "$1" "$2")" resolve "$3"
	like "$1 $2: '$3' is refused" "$STATUS $OUT" "^1 error ENOENT .*$4"
}

# All of a list in one process: $LINES is what came for each.
resolve_all() {
	local url=$1 spec commands=()

	shift
	for spec; do
		commands+=(resolve "$spec" ';')
	done
	probe "$url" "${commands[@]}" traffic
	mapfile -t LINES <<<"$OUT"
}

make_refs sha1
make_refs sha256 sha256
init_bare "$T/repos/bare.git"
init_bare "$T/repos/bare256.git" sha256
mkdir "$T/repos/folder.git"

for name in sha1 sha256; do
	wanted=()
	for meaning in "${meanings[@]}"; do
		read -r spec full <<<"$meaning"
		wanted+=("ref ${full/#=/$spec} $(repo_git "$name" rev-parse "$spec" \
			"$spec^{commit}" 2>/dev/null | paste -sd ' ')")
	done
	for kind in "${KINDS[@]}"; do
		url=$(probe_url "$kind" "$name")
		resolve_all "$url" "${meanings[@]%% *}"
		is "$kind $name: exit code" "$STATUS" 0
		for i in "${!meanings[@]}"; do
			is "$kind $name: '${meanings[i]%% *}'" "${LINES[i]}" "${wanted[i]}"
		done
		resolve_all "$url" "${absent[@]}"
		is "$kind $name: exit code where something is missing" "$STATUS" 1
		for i in "${!absent[@]}"; do
			like "$kind $name: no '${absent[i]}'" "${LINES[i]}" \
				"^error ENOENT .* has no branch, tag or ref '${absent[i]}'$"
		done
		resolve_all "$url" "${impossible[@]}"
		for i in "${!impossible[@]}"; do
			is "$kind $name: '${impossible[i]}'" "${LINES[i]}" \
				"error ENOENT '${impossible[i]}' cannot be the name of a ref"
		done
		is "$kind $name: nobody is asked for those" "$REQUESTS" 0
		probe "$url" resolve $'new\nline\e[1m'
		is "$kind $name: control bytes are escaped" "$OUT" \
			"error ENOENT 'new\\x0aline\\x1b[1m' cannot be the name of a ref"
		probe "$url" resolve ''
		is "$kind $name: no name is HEAD" "$OUT" "${wanted[0]}"
		id=$(repo_git "$name" rev-parse refs/heads/empty)
		probe "$url" resolve "$id"
		is "$kind $name: a full id, of which nobody is asked" "$REQUESTS $OUT" \
			"0 ref - $id $id"
		probe "$url" algo
		is "$kind $name: object format" "$OUT" "algo $name"
	done
done

for kind in "${KINDS[@]}"; do
	for name in bare bare256; do
		refuses "$kind" "$name" HEAD 'the repository is empty'
		refuses "$kind" "$name" main 'the repository is empty'
	done
	probe "$(probe_url "$kind" bare256)" algo
	is "$kind: object format of an empty repository" "$OUT" 'algo sha256'
	refuses "$kind" folder HEAD 'folder.git: .*(no such repository|not a git repository)'
	refuses "$kind" missing HEAD "(missing.git: .*no such repository|at '.*missing.git')"
done

tip=$(repo_git sha1 rev-parse main)
repo_git sha1 symbolic-ref HEAD refs/heads/unborn
for kind in "${KINDS[@]}"; do
	refuses "$kind" sha1 HEAD 'HEAD names a branch that is not there'
	probe "$(probe_url "$kind" sha1)" resolve main
	is "$kind: and a branch that is" "$OUT" "ref refs/heads/main $tip $tip"
done
repo_git sha1 update-ref --no-deref HEAD "$tip"
for kind in "${KINDS[@]}"; do
	probe "$(probe_url "$kind" sha1)" resolve HEAD
	is "$kind: a detached HEAD" "$OUT" "ref HEAD $tip $tip"
done

# However many refs there are, few of them come.
make_plain_repo "$T/repos/refs.git"
tip=$(repo_git refs rev-parse main)
for ((i = 0; i < 5000; i++)); do
	printf 'create refs/heads/topic-%04d %s\n' "$i" "$tip"
done | repo_git refs update-ref --stdin
is 'a repository has 5,001 refs' "$(repo_git refs for-each-ref | wc -l)" 5001
for kind in "${KINDS[@]}"; do
	url=$(probe_url "$kind" refs)
	for ref in main topic-0042; do
		probe "$url" resolve "$ref"
		is "$kind: $ref, one of 5,001" "$OUT" "ref refs/heads/$ref $tip $tip"
		# Over a pipe the greeting counts, too.
		within "$kind: few bytes come" "$RECEIVED" 50 400
	done
	refuses "$kind" refs nothere "no branch, tag or ref 'nothere'"
	within "$kind: and not many more to find none" "$RECEIVED" 50 80000
done
done_testing
