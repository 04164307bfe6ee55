#!/bin/bash
# Overlays: whose they are, who may have them, what is told of those that nobody has
# mounted, and what becomes of them when the remote, the cache or the disk changes.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
make_plain_repo "$T/repos/plain.git" || exit 1
repo=$T/repos/plain.git
first_commit=$(git -C "$repo" rev-parse HEAD)
server_start full
url=$(server_url full)/plain.git
mapfile -t files < <(git -C "$repo" ls-tree -r --name-only HEAD | grep /)
# Two in one folder: a folder that the journal knows is another one in the next commit.
file=${files[0]}
second=${files[1]}
state=$XDG_STATE_HOME/git-fs

# json COMMAND EXPRESSION: holds of what the command prints, called `it` in Python; of a list,
# of what is ours
json() {
	eval "$1" >"$T/out/json" 2>/dev/null
	python3 -c 'import json, sys
it = json.load(open(sys.argv[1]))
if isinstance(it, list):
    it = [m for m in it if m["repository"] == sys.argv[3]]
assert eval("(" + sys.argv[2] + ")"), json.dumps(it, indent=1)' "$T/out/json" "$2" "$url"
}
# The folder of an overlay, by its name.
overlay_dir() {
	dirname "$(grep -lx "overlay=$1" "$state"/overlays/*/info)"
}
# refused WORDS...: the command fails; words: its last line
refused() {
	local status=0

	"$@" >"$T/out/stdout" 2>"$T/out/words" || status=$?
	[ "$status" -eq 1 ]
}
words() {
	tail -n 1 "$T/out/words"
}
# damage DIR TEXT: the record in the journal of an overlay in which the text stands
damage() {
	local segment offset

	segment=$(grep -laF "$2" "$1"/journal/*.log | tail -n 1)
	offset=$(grep -aboF -- "$2" "$segment" | tail -n 1 | cut -d: -f1)
	printf 'damage' | dd of="$segment" bs=1 seek="$offset" conv=notrunc status=none
}

# --- one writer ---
ok 'mounts' mount_repo one "$url" --writable
echo one >"$T/mnt/one/new"
mkdir "$T/mnt/two"
ok 'a second writer is refused' refused git_fs mount -w "$url" "$T/mnt/two"
like 'by the name of the first' "$(words)" "open for writing at $T/mnt/one .process $(mount_status one pid)."
not_ok 'and nothing is mounted' mounted "$T/mnt/two"
ok 'one with a name of its own is not' mount_repo two "$url" --writable --overlay other.name-2
not_ok 'it does not see the changes of the first' test -e "$T/mnt/two/new"
echo two >"$T/mnt/two/new"
is 'nor the first its own' "$(cat "$T/mnt/one/new")" one
ok 'a reader is none, either' mount_repo reader "$url"
not_ok 'what it shows is the base' test -e "$T/mnt/reader/new"
is 'status names the overlay' "$(mount_status two overlay.name)" other.name-2
is 'and its folder' "$(mount_status two overlay.folder)" "$(overlay_dir other.name-2)"
ok 'list, too' json 'git_fs list --json' '{m["overlay"] for m in it} == {"default", "other.name-2", None}
	and all(m["state"] == "ok" and m["changes"] is None for m in it)'
for name in '' .hidden a/b "$(printf '%065d' 0)"; do
	git_fs mount -w --overlay "$name" "$url" "$T/mnt/bad" 2>"$T/out/words"
	is "'$name' is no name of an overlay" $? 2
done
ok 'unmount' mount_stop reader two one

# --- not mounted ---
like 'list shows what is not mounted' "$(git_fs list | grep -F "$url" | sort)" \
	"^unmounted -  $url  refs/heads/main  ${first_commit:0:12}  overlay default, 1 change
unmounted -  $url  refs/heads/main  ${first_commit:0:12}  overlay other.name-2, 1 change\$"
ok 'as JSON, too' json 'git_fs list --json' 'len(it) == 2 and all(m["state"] == "unmounted" and
	m["mount_point"] is None and m["pid"] is None and m["changes"] == 1 and
	m["ref"] == "refs/heads/main" and m["commit"] == "'"$first_commit"'" for m in it)'
ok 'a reader mounts' mount_repo reader "$url"
is 'and is told of both' "$(grep -c 'git-fs: there are unpublished changes to this branch in the overlay' "$T/out/reader.err")" 2
like 'by their names' "$(cat "$T/out/reader.err")" 'overlay default:.*overlay other.name-2:'
ok 'the default overlay mounts elsewhere' mount_repo elsewhere "$url" --writable
is 'its changes are there' "$(cat "$T/mnt/elsewhere/new")" one
like 'it is told of the other' "$(cat "$T/out/elsewhere.err")" '^[^
]*in the overlay other.name-2:[^
]*$'
ok 'list shows that one alone' json 'git_fs list --json' \
	'[m["overlay"] for m in it if m["state"] == "unmounted"] == ["other.name-2"]'
ok 'what was taken back is not shown' eval 'git_fs discard --all "$T/mnt/elsewhere" &&
	mount_stop elsewhere reader && json "git_fs list --json" "[m[\"overlay\"] for m in it] == [\"other.name-2\"]"'
ok 'unless the state is elsewhere' json 'git_fs list --json --state-dir "$T/none"' 'it == []'

# --- the remote moves ---
ok 'mounts' mount_repo desk "$url" --writable
echo mine >"$T/mnt/desk/$file"
ok 'unmounts' mount_stop desk
git clone -q "$repo" "$T/clone"
(cd "$T/clone" && echo theirs >"$file" && echo theirs >"$second" && echo more >theirs && git add -A &&
	git -c user.name=a -c user.email=b commit -qm second && git push -q origin HEAD)
second_commit=$(git -C "$repo" rev-parse HEAD)
ok 'mounts again' mount_repo desk "$url" --writable
is 'it is on the commit that the changes are over' "$(mount_status desk commit)" "$first_commit"
is 'and knows the one of the remote' "$(mount_status desk overlay.remote_commit)" "$second_commit"
like 'status says so' "$(git_fs status "$T/mnt/desk")" "over an older commit.*$second_commit"
is 'the change is there' "$(cat "$T/mnt/desk/$file")" mine
not_ok 'what the remote has since is not' test -e "$T/mnt/desk/theirs"
is 'what was read is of that commit' "$(cat "$T/mnt/desk/$second")" "$(git -C "$repo" show "$first_commit:$second")"
like 'diff is against that commit' "$(git_fs diff "$T/mnt/desk")" '\+mine'
ok 'another overlay begins with the new one' mount_repo fresh "$url" --writable --overlay fresh
is 'commit' "$(mount_status fresh commit)" "$second_commit"
ok 'one without changes' mount_stop fresh
ok 'is on the remote'"'"'s commit when it is mounted again' eval 'git_fs discard --all "$T/mnt/desk" &&
	mount_stop desk && mount_repo desk "$url" --writable &&
	[ "$(mount_status desk commit)" = "$second_commit" ]'

is 'and has its files' "$(cat "$T/mnt/desk/$file" "$T/mnt/desk/$second")" 'theirs
theirs'
same_tree 'and is that commit' "$T/mnt/desk" "$repo" "$second_commit"

# --- the cache is not needed ---
mv "$T/mnt/desk/$file" "$T/mnt/desk/moved"
echo 'to be damaged' >"$T/mnt/desk/new"
head -c 200000 /dev/urandom >"$T/mnt/desk/large"
large=$(sha256sum <"$T/mnt/desk/large")
git_fs diff "$T/mnt/desk" >"$T/out/before.diff"
ok 'unmounts' mount_stop desk
rm -rf "$XDG_CACHE_HOME/git-fs"
ok 'list needs no cache' json 'git_fs list --json' \
	'[m["changes"] for m in it if m["overlay"] == "default"] == [3]'
ok 'mounts without its cache' mount_repo desk "$url" --writable
is 'a new file is there' "$(cat "$T/mnt/desk/new")" 'to be damaged'
is 'a large one' "$(sha256sum <"$T/mnt/desk/large")" "$large"
is 'a moved one' "$(cat "$T/mnt/desk/moved")" theirs
git_fs diff "$T/mnt/desk" >"$T/out/after.diff"
ok 'diff tells the same' cmp "$T/out/before.diff" "$T/out/after.diff"

# --- doctor ---
is 'doctor asks a daemon' "$(git_fs doctor "$T/mnt/desk")" "$url refs/heads/main (overlay default): healthy"
ok 'a mounted one is not repaired' refused git_fs doctor --repair "$T/mnt/desk"
like 'and it says why' "$(words)" "the overlay default is mounted at $T/mnt/desk; unmount that first"
ok 'unmounts' mount_stop desk
is 'doctor knows where it was mounted' "$(git_fs doctor "$T/mnt/desk")" \
	"$url refs/heads/main (overlay default): healthy"
is 'by the repository and a name' "$(git_fs doctor --overlay other.name-2 "$url")" \
	"$url refs/heads/main (overlay other.name-2): healthy"
is 'all of them' "$(git_fs doctor | grep -c ': healthy$')" 3
ok 'none of that name' refused git_fs doctor --overlay nonesuch
like 'is said' "$(words)" 'there is no such overlay'
dir=$(overlay_dir default)
cp -a "$dir" "$T/whole"
damage "$dir" 'to be damaged'
git_fs doctor "$T/mnt/desk" >"$T/out/stdout" 2>"$T/out/words"
is 'doctor finds damage: exit code' $? 1
like 'doctor finds damage: words' "$(cat "$T/out/stdout")" 'overlay default.: the journal was damaged'
like 'and says what to do' "$(cat "$T/out/words")" 'git-fs doctor --repair'
git_fs doctor "$T/mnt/desk" >"$T/out/again" 2>&1
is 'looking changes nothing' "$(head -n 1 "$T/out/again")" "$(head -n 1 "$T/out/stdout")"
cp -a "$dir" "$T/damaged"
git_fs doctor --repair "$T/mnt/desk" >"$T/out/stdout" 2>"$T/out/words"
is 'it is repaired: exit code' $? 0
like 'it says what was lost' "$(cat "$T/out/stdout")" 'repaired: [0-9]+ records lost'
aside=$(sed -n 's/^.*: moved aside: //p' "$T/out/stdout" | head -n 1)
ok 'and where the damaged part is' test -s "$aside"
is 'it is healthy then' "$(git_fs doctor "$T/mnt/desk")" "$url refs/heads/main (overlay default): healthy"
ok 'mounts' mount_repo desk "$url" --writable
is 'and shows what is left' "$(sha256sum <"$T/mnt/desk/large")" "$large"
ok 'nothing is wrong with it' git_fs status "$T/mnt/desk"
ok 'unmounts' mount_stop desk
# A mount repairs as well, and says so.
rm -rf "$dir" && cp -a "$T/damaged" "$dir"
ok 'a damaged one mounts' mount_repo desk "$url" --writable
git_fs status "$T/mnt/desk" >"$T/out/stdout" 2>"$T/out/words"
is 'status tells of the damage: exit code' $? 1
like 'status tells of the damage: words' "$(tail -n 1 "$T/out/words")" "damaged when it was opened.*kept in $dir/journal"
ok 'unmounts' mount_stop desk
rm -rf "$dir" && cp -a "$T/whole" "$dir"
ok 'the whole one mounts' mount_repo desk "$url" --writable
is 'and has what it had' "$(cat "$T/mnt/desk/new")" 'to be damaged'

# --- where it may lie ---
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$T/memory" && mount -t tmpfs none "$T/memory"
	mkdir -p "$T/mnt/memory"
	ok 'a state folder in memory is refused' refused git_fs mount -w --state-dir "$T/memory/state" "$url" "$T/mnt/memory"
	like 'in words' "$(words)" 'a filesystem in memory.*--state-dir-unsafe'
	ok 'a reader may have it' mount_repo memory "$url" --state-dir "$T/memory/state"
	ok 'unmounts' mount_stop memory
	ok 'so may a writer who says so' mount_repo memory "$url" --writable --state-dir "$T/memory/state" --state-dir-unsafe
	like 'whose status does not promise more' "$(mount_status memory promise)" 'state-dir-unsafe'
	echo x >"$T/mnt/memory/new"
	ok 'unmounts' mount_stop memory
	ok 'list finds it there' json 'git_fs list --json --state-dir "$T/memory/state"' \
		'[m["overlay"] for m in it if m["state"] == "unmounted"] == ["default"]'
	umount "$T/memory"
else
	skip no-root 'a state folder in memory is refused'
fi

# --- the daemon dies ---
echo kept >"$T/mnt/desk/kept"
mount_kill desk
ok 'the overlay of a dead daemon is free' json 'git_fs list --json' \
	'("dead", None) in [(m["state"], m["changes"]) for m in it] and
	("unmounted", 4) in [(m["state"], m["changes"]) for m in it]'
ok 'and mounts again' mount_repo desk "$url" --writable
is 'with what was acknowledged' "$(cat "$T/mnt/desk/kept")" kept

mount_end 'event=overlay_damaged|event=mount_failed'
