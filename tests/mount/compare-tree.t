#!/bin/bash
# What the other tests rely on: that a difference is seen, of whatever kind.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
make_odd_repo "$T/repos/odd.git" || exit 1
repo=$T/repos/odd.git
umask 022
git clone -q "$repo" "$T/clone" 2>/dev/null
rm -rf "$T/clone/.git"

# sees NAME REGEX COMMAND...: after the command in a copy, a difference is told
sees() {
	local name=$1 regex=$2 output status=0

	shift 2
	rm -rf "$T/copy"
	cp -a "$T/clone" "$T/copy"
	(cd "$T/copy" && "$@") || diag "failed: $*"
	output=$(python3 "$COMPARE_TREE" "$T/copy" "$repo" main) || status=$?
	is "$name: is a difference" "$status" 1
	like "$name: and told" "$output" "$regex"
}

same_tree 'a clone is equal' "$T/clone" "$repo" main
sees 'a byte' "b'modes/plain': .*instead of" bash -c 'echo -n plaim >modes/plain'
sees 'a mode' "b'modes/tool': .*instead of" chmod 644 modes/tool
sees 'a target' "b'links/dangling': .*instead of" ln -sfn nowhere/at/all links/dangling
sees 'a kind' "b'modes/plain': .*instead of" bash -c 'rm modes/plain && mkdir modes/plain'
sees 'a file too few' "b'many/f0007': missing" rm many/f0007
sees 'a file too many' "b'many/more': not in the commit" touch many/more
sees 'something in a submodule' "b'submodules/lib/x': not in" touch submodules/lib/x
sees 'no folder for a submodule' "b'submodules/lib': missing" rmdir submodules/lib
sees 'a byte of a name' 'invalid' mv $'invalid\377\376\200utf8' $'invalid\377\376\201utf8'
sees 'a file cut off' "b'sizes/s1048577': .*instead of" truncate -s 1048576 sizes/s1048577
sees 'a name for two files' "has the inode of" bash -c 'ln -f many/f0001 many/f0002'
not_ok 'an owner is a difference' python3 "$COMPARE_TREE" --owner 4242:4242 "$T/clone" "$repo" main
not_ok 'a time is a difference' python3 "$COMPARE_TREE" --mtime 1700000000 "$T/clone" "$repo" main

mount_end
