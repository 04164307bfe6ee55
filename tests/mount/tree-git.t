#!/bin/bash
# The same as tree-redis.t for a larger repository, with submodules and symbolic links.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
sample_repo "$T/repos" git
repo=$T/repos/git.git
commit=$(git -C "$repo" rev-parse HEAD)
time=$(git -C "$repo" log -1 --format=%ct HEAD)

# mounted_equal NAME URL
mounted_equal() {
	mount_home "$1"
	ok "$1: mounts" mount_repo "$1" "$2"
	same_tree "$1: equals the commit" --owner "$(id -u):$(id -g)" --mtime "$time" \
		"$T/mnt/$1" "$repo" "$commit"
	is "$1: nothing failed" "$(mount_status "$1" requests.failed)" 0
}

mounted_equal local "$repo"
server_start full
mounted_equal full "$(server_url full)/git.git"
server_start sizeless --no-object-info
mounted_equal sizeless "$(server_url sizeless)/git.git"
server_start whole --no-filter
mounted_equal whole "$(server_url whole)/git.git"

git clone -q "$repo" "$T/clone"
found() {
	(cd "$1" && grep -rnaE --exclude-dir=.git 'line 1?7|struct object_id' . | LC_ALL=C sort)
}
within 'grep -r finds something in a clone' "$(found "$T/clone" | wc -l)" 100 1000000
is 'and the same, warm, in the mount' "$(found "$T/mnt/full" | sha256sum)" \
	"$(found "$T/clone" | sha256sum)"
mount_home grep
ok 'mounts, with nothing cached' mount_repo grep "$(server_url full)/git.git"
is 'and the same, cold' "$(found "$T/mnt/grep" | sha256sum)" "$(found "$T/clone" | sha256sum)"

mount_end
