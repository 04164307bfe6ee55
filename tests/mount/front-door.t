#!/bin/bash
# `make mount` and `make unmount`, as far as scripts/mount.sh does them: the default
# repository, another one, a mount that is there already, one whose daemon died.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
make_odd_repo "$T/repos/odd.git" || exit 1
export GIT_FS_BUILD
script=$TAP_LIB/../../scripts/mount.sh

# Runs the script with what it prints in $T/out/door.
door() {
	timeout 120 "$script" "$@" >"$T/out/door" 2>&1
}
said() {
	cat "$T/out/door"
}

export DIR=$T/mnt/door
ok 'mounts the source tree, or a sample where it is no repository' door mount
like 'says what it mounted' "$(said)" "^mounted .* on $DIR"
like 'and what to try' "$(said)" "status $DIR"
ok 'a file of it can be read' test -s "$DIR/README.md"
ok 'again: succeeds' door mount
like 'and says that it is there' "$(said)" 'There is a mount at .* already'
ls "$DIR" >/dev/null
ok 'its daemon is killed' mount_kill door
ok 'again: mounts over the dead one' door mount
like 'and says so' "$(said)" 'took away a dead mount'
ok 'it can be read again' test -s "$DIR/README.md"
ok 'unmounts' door unmount
not_ok 'it is gone' mounted "$DIR"
ok 'unmounting what is not mounted succeeds' door unmount

export DIR=$T/mnt/another/place REPO=$T/repos/odd.git
ok 'mounts another repository on a folder that it makes' door mount
same_tree 'which equals its commit' "$DIR" "$REPO" HEAD
ok 'unmounts' door unmount
export REF=no-such-ref
not_ok 'a ref that is not there is a failure' door mount
like 'in words' "$(tail -n 1 "$T/out/door")" 'no-such-ref'
not_ok 'and nothing is mounted' mounted "$DIR"
unset REF
export DIR=/proc
not_ok 'a folder with another mount is refused' door mount
like 'in words' "$(said)" '/proc is a mount of another kind'

mount_end
