#!/bin/bash
# list, status, unmount; git fs; mounts in front.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
make_odd_repo "$T/repos/odd.git" || exit 1
repo=$T/repos/odd.git
commit=$(git -C "$repo" rev-parse main)

# json NAME COMMAND...: what the command prints is JSON; it stays in $T/out/json
json() {
	local name=$1

	shift
	"$@" >"$T/out/json"
	ok "$name is JSON" python3 -m json.tool "$T/out/json"
}
# holds NAME EXPRESSION: of the last JSON, called `it` in Python; of a list, of what is ours
holds() {
	ok "$1" python3 -c 'import json, sys
it = json.load(open(sys.argv[1]))
if isinstance(it, list):
    it = [m for m in it if m["mount_point"].startswith(sys.argv[3] + "/")]
assert eval("(" + sys.argv[2] + ")"), it' "$T/out/json" "$2" "$T"
}
# The machine may have other mounts.
listed() {
	git_fs list | grep -F " $T/" || true
}

# --- none ---
is 'without mounts: list is empty' "$(listed)" ''
json 'an empty list' git_fs list --json
holds 'an empty one' 'it == []'
git_fs status "$T/mnt" >"$T/out/stdout" 2>"$T/out/words"
is 'status of a folder that is no mount: exit code' $? 1
like 'status of a folder that is no mount: words' "$(tail -n 1 "$T/out/words")" '^git-fs: .*no git-fs mount'

# --- some, one with a name that needs care ---
odd_name=$'with "quotes",\tblank\\slash \303\274 and\nline'
ok 'mounts' mount_repo plain "$repo"
ok 'mounts on a folder with an odd name' mount_repo "$odd_name" "$repo" --ref v1
like 'mount says what it did' "$(cat "$T/out/plain.out")" \
	"^mounted $repo \(refs/heads/main at ${commit:0:12}\) on $T/mnt/plain\$"
is 'list has two lines' "$(listed | wc -l)" 2
like 'with state, folder, repository, ref and commit' "$(listed | grep "$T/mnt/plain ")" \
	"^ok +$T/mnt/plain +$repo +refs/heads/main +${commit:0:12}\$"
json 'list --json' git_fs list --json
holds 'with both mounts' "sorted(m['mount_point'] for m in it) == sorted(['$T/mnt/plain', '$T/mnt/' + '''with \"quotes\",\tblank\\\\slash \u00fc and\nline'''])"
holds 'and their keys' "all(m['repository'] == '$repo' and m['commit'] == '$commit' and
	m['state'] == 'ok' and m['pid'] > 1 for m in it)"
ok 'status exits 0 where all is well' git_fs status "$T/mnt/plain"
like 'status names the commit' "$(git_fs status "$T/mnt/plain")" "$commit"
ok 'status takes a folder inside' git_fs status "$T/mnt/plain/links"
is 'and the current folder' "$(cd "$T/mnt/plain/modes" && git_fs status --json | grep -c "$commit")" 1
json 'status --json' git_fs status --json "$T/mnt/plain"
holds 'with its keys' "it['repository'] == '$repo' and it['ref'] == 'refs/heads/main' and
	it['commit'] == '$commit' and it['commit_time'] == 1700000000 and
	it['mount_point'] == '$T/mnt/plain' and it['writable'] is False and it['state'] == 'ok' and
	it['problem'] is None and it['offline'] is False and it['pid'] > 1"
holds 'and its groups' "all(isinstance(it[g], dict) for g in
	('store', 'fetch', 'traffic', 'nodes', 'requests', 'kernel')) and
	all(set(m) == {'name', 'use'} for m in it['mechanisms'])"
json 'status --json of the odd one' git_fs status --json "$T/mnt/$odd_name"
holds 'with its ref' "it['ref'] == 'refs/tags/v1' and it['ref_asked'] == 'v1'"
is 'the daemon stands in no folder of the mount' \
	"$(readlink "/proc/$(mount_status plain pid)/cwd")" /

# --- git fs ---
mkdir "$T/bin"
ln -s "$GIT_FS" "$T/bin/git-fs"
is 'git fs finds the program' "$(PATH=$T/bin:$PATH git fs --version)" "$(git_fs --version)"
ok 'git fs mount' env PATH="$T/bin:$PATH" bash -c \
	"mkdir '$T/mnt/git' && cd '$repo' && timeout 60 git fs mount '$repo' '$T/mnt/git'"
same_tree 'mounts' "$T/mnt/git" "$repo" main
ok 'git fs unmount' env PATH="$T/bin:$PATH" timeout 60 git fs unmount "$T/mnt/git"
mkdir -p "$T/mnt/short" "$T/work"
ok 'the word mount may be left out, paths be relative' bash -c \
	"cd '$T/work' && timeout 60 '$GIT_FS' ../repos/odd.git ../mnt/short"
is 'and it is there' "$(cat "$T/mnt/short/modes/plain")" plain
ok 'help' bash -c "'$GIT_FS' help | grep -q 'git-fs mount'"
for command in mount unmount list status diff discard doctor; do
	ok "help on $command" bash -c "'$GIT_FS' help $command | grep -q '^usage: git-fs $command'"
	ok "$command --help" bash -c "'$GIT_FS' $command --help | grep -q '^usage: git-fs $command'"
done

# --- unmount ---
(cd "$T/mnt/short" && exec sleep 60) &
holder=$!
(exec 8<"$T/mnt/plain/modes/plain" && exec sleep 60) &
reader=$!
wait_for 5 grep -qx sleep "/proc/$holder/comm" && wait_for 5 grep -qx sleep "/proc/$reader/comm"
git_fs unmount "$T/mnt/short" 2>"$T/out/words"
is 'a mount in use stays: exit code' $? 1
like 'and names who uses it' "$(cat "$T/out/words")" "busy.* $holder \(sleep: current folder\)"
git_fs unmount "$T/mnt/plain" 2>"$T/out/words"
like 'also who has a file open' "$(cat "$T/out/words")" "busy.* $reader \(sleep: open file\)"
ok 'both are still mounted' eval 'mounted "$T/mnt/short" && mounted "$T/mnt/plain"'
is 'and work' "$(cat "$T/mnt/short/modes/plain")" plain
kill "$holder" "$reader"
wait "$holder" "$reader" 2>/dev/null
git_fs unmount "$T/mnt/nonesuch" 2>"$T/out/words"
is 'what is no mount cannot be unmounted: exit code' $? 1
like 'what is no mount cannot be unmounted: words' "$(cat "$T/out/words")" 'is no git-fs mount'
git_fs unmount "$T/mnt/plain/modes" 2>"$T/out/words"
is 'nor a folder in one: exit code' $? 1
like 'nor a folder in one: words' "$(cat "$T/out/words")" "lies in the git-fs mount at $T/mnt/plain"
git_fs unmount >"$T/out/stdout" 2>"$T/out/words"
is 'unmount of nothing is a wrong use' $? 2
pid=$(mount_status plain pid)
git_fs unmount "$T/mnt/plain" "$T/mnt/nonesuch" "$T/mnt/$odd_name" 2>"$T/out/words"
is 'of several, one of them no mount: exit code' $? 1
is 'one line for it' "$(wc -l <"$T/out/words")" 1
not_ok 'the others are gone' eval 'mounted "$T/mnt/plain" || [ -e "$T/mnt/$odd_name/modes" ]'
ok 'and their daemons' process_gone "$pid"
ok 'a link to a mount stands for it' bash -c \
	"ln -s '$T/mnt/short' '$T/link' && timeout 60 '$GIT_FS' unmount '$T/link'"
is 'the folder is empty again' "$(ls -A "$T/mnt/short")" ''
is 'no socket is left' "$(find "$T/run" -name '*.sock')" ''

# --- others' ways to unmount ---
for way in 'umount' 'fusermount3 -u' 'kill -TERM' 'kill -HUP'; do
	ok "mounts, for $way" mount_repo ways "$repo"
	pid=$(mount_status ways pid)
	case $way in
	kill*) ok "$way" $way "$pid" ;;
	*) ok "$way" $way "$T/mnt/ways" ;;
	esac
	ok 'ends the daemon' wait_for 10 process_gone "$pid"
	not_ok 'and the mount' mounted "$T/mnt/ways"
done
ok 'mounts, for umount -l' mount_repo ways "$repo"
pid=$(mount_status ways pid)
exec 7<"$T/mnt/ways/modes/plain"
ok 'umount -l of a mount in use' umount -l "$T/mnt/ways"
is 'whoever has a file reads on' "$(cat <&7)" plain
like 'list knows it as detached' "$(listed)" "^detached +$T/mnt/ways"
exec 7<&-
ok 'the last close ends the daemon' wait_for 10 process_gone "$pid"

# --- in front ---
mkdir -p "$T/mnt/front"
for signal in TERM INT; do
	env --default-signal=INT,TERM "$GIT_FS" mount -f "$repo" "$T/mnt/front" \
		>"$T/out/stdout" 2>"$T/out/words" &
	pid=$!
	ok "mount -f for SIG$signal comes up" wait_for 20 test -e "$T/mnt/front/modes/plain"
	process_runs "$pid" || diag "$(cat "$T/out/words")"
	is 'it is the daemon itself' "$(mount_status front pid)" "$pid"
	ok 'it logs to stderr' wait_for 5 grep -q 'info cli event=mounted' "$T/out/words"
	kill "-$signal" "$pid"
	ok 'the signal ends it' wait_for 10 process_gone "$pid"
	wait "$pid"
	is 'with exit code 0' $? 0
	not_ok 'nothing is mounted' mounted "$T/mnt/front"
	is 'no socket is left' "$(find "$T/run" -name '*.sock')" ''
done

# Everything is for its owner alone.
is 'others may look into nothing' \
	"$(find "$T/homes/first/cache/git-fs" "$T/homes/first/state/git-fs" "$T/run" -perm /077 |
		head -n 3)" ''

mount_end
