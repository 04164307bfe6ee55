#!/bin/bash
# Which commit a mount shows: what git would take the same word for.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start

# A history in which every ref stands for another commit, told apart by the file "which".
repo=$T/repos/refs.git
init_bare "$repo"
{
	for ref in heads/main heads/side heads/deep/er heads/both tags/both tags/light tags/first \
		odd/kind heads/main; do
		fast_commit "refs/$ref" "$ref"
		fast_file 100644 which "$ref"
		printf '\n'
	done
	printf 'tag v1\nfrom refs/tags/first\n'
	printf 'tagger Odd Person <odd@example.org> 1700000000 +0000\ndata 2\nv1\n'
} | git -C "$repo" fast-import --quiet --force || exit 1
git -C "$repo" symbolic-ref HEAD refs/heads/side
odd_commit git -C "$repo" -c advice.nestedTag=false tag -a -m nested nested v1
first=$(git -C "$repo" rev-parse refs/heads/main~1)
server_start full

# shows WORD REV [FULL]: mounting with --ref WORD shows git's REV, called FULL
shows() {
	local wanted

	mount_home "$way-$count"
	ok "$way: $1: mounts" mount_repo "$way-$count" "$url" ${1:+--ref "$1"}
	wanted=$(git -C "$repo" rev-parse "$2^{commit}")
	is "$way: $1: is that commit" "$(mount_status "$way-$count" commit)" "$wanted"
	is "$way: $1: has its file" "$(cat "$T/mnt/$way-$count/which")" \
		"$(git -C "$repo" show "$wanted:which")"
	if [ $# -gt 2 ]; then
		is "$way: $1: goes by its full name" "$(mount_status "$way-$count" ref)" "$3"
	fi
	mount_stop "$way-$count"
	count=$((count + 1))
}

for way in local http; do
	count=0
	url=$repo
	[ "$way" = local ] || url=$(server_url full)/refs.git
	shows '' HEAD refs/heads/side
	shows HEAD HEAD
	shows main refs/heads/main refs/heads/main
	shows heads/main refs/heads/main refs/heads/main
	shows refs/heads/main refs/heads/main refs/heads/main
	shows deep/er refs/heads/deep/er refs/heads/deep/er
	shows light refs/tags/light refs/tags/light
	shows v1 refs/tags/v1 refs/tags/v1
	shows tags/v1 refs/tags/v1 refs/tags/v1
	shows refs/tags/v1 refs/tags/v1 refs/tags/v1
	shows nested refs/tags/nested refs/tags/nested
	shows refs/odd/kind refs/odd/kind refs/odd/kind
	shows both both refs/tags/both
	shows heads/both refs/heads/both refs/heads/both
	shows "$(git -C "$repo" rev-parse refs/heads/main)" refs/heads/main ''
	shows "$first" "$first" ''
done

# HEAD of a server may stand for a commit alone.
git -C "$repo" update-ref --no-deref HEAD "$first"
mount_home detached
ok 'a detached HEAD mounts' mount_repo detached "$(server_url full)/refs.git"
is 'and is its commit' "$(mount_status detached commit)" "$first"

# A ref that moves: the mount stays on its commit, the next one has the new one.
before=$(git -C "$repo" rev-parse refs/heads/main)
ok 'a branch mounts' mount_repo moving "$(server_url full)/refs.git" --ref main
{
	fast_commit refs/heads/main 'later'
	printf 'from refs/heads/main^0\n'
	fast_file 100644 which 'later'
	printf '\n'
} | git -C "$repo" fast-import --quiet || exit 1
is 'it moves, and a mount stays on its commit' "$(cat "$T/mnt/moving/which")" \
	"$(git -C "$repo" show "$before:which")"
ok 'it unmounts' mount_stop moving
ok 'the same mounts again' mount_repo moving "$(server_url full)/refs.git" --ref main
is 'and has the new contents' "$(cat "$T/mnt/moving/which")" later

mount_end
