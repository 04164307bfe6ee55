#!/bin/bash
# A mount shows what the commit holds, byte for byte: a real repository, from a folder
# and from servers that can do more or less.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
sample_repo "$T/repos" redis
repo=$T/repos/redis.git
commit=$(git -C "$repo" rev-parse HEAD)
time=$(git -C "$repo" log -1 --format=%ct HEAD)

# mounted_equal NAME URL
mounted_equal() {
	mount_home "$1"
	ok "$1: mounts" mount_repo "$1" "$2"
	same_tree "$1: equals the commit" --owner "$(id -u):$(id -g)" --mtime "$time" \
		"$T/mnt/$1" "$repo" "$commit"
	same_tree "$1: equals it once more, from what is cached" "$T/mnt/$1" "$repo" "$commit"
	is "$1: nothing failed" "$(mount_status "$1" requests.failed)" 0
}

mounted_equal local "$repo"
mounted_equal file "file://$repo"
server_start full
mounted_equal full "$(server_url full)/redis.git"
server_start sizeless --no-object-info
mounted_equal sizeless "$(server_url sizeless)/redis.git"
server_start whole --no-filter
mounted_equal whole "$(server_url whole)/redis.git"
server_start neither --no-filter --no-object-info
mounted_equal neither "$(server_url neither)/redis.git"

# The same by other tools: an archive unpacked, a listing.
mkdir "$T/archive"
git -C "$repo" -c tar.umask=022 archive "$commit" | tar -x -C "$T/archive"
ok 'diff -r finds no difference from git archive' \
	diff -r --no-dereference "$T/archive" "$T/mnt/full"
listing() {
	(cd "$1" && find . -type f -printf '%s %m %p\n' | sort)
}
is 'find tells the sizes and modes' "$(listing "$T/mnt/full" | sha256sum)" \
	"$(listing "$T/archive" | sha256sum)"
# Sizes only: folders have one of their own on every filesystem.
ls_sizes() {
	(cd "$1" && LC_ALL=C ls -AlR --time-style=+ | awk '/^-/ { print $1, $5, $NF }')
}
is 'ls -lR tells the sizes' "$(ls_sizes "$T/mnt/full" | sha256sum)" \
	"$(ls_sizes "$T/archive" | sha256sum)"

# With object-info, a cold ls -lR brings no contents.
mount_home names
ok 'mounts, to list only' mount_repo names "$(server_url full)/redis.git"
is 'ls -lR of a cold mount tells the sizes' "$(ls_sizes "$T/mnt/names" | sha256sum)" \
	"$(ls_sizes "$T/archive" | sha256sum)"
links=$(git -C "$repo" ls-tree -r "$commit" | grep -c '^120000' || true)
trees=$(git -C "$repo" ls-tree -r -t "$commit" | awk '$2 == "tree" { print $3 }' | sort -u | wc -l)
within 'and brings no contents but targets of links' \
	"$(mount_status names store.objects)" $((trees + 2)) $((trees + 2 + links))

mount_end
