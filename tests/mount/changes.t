#!/bin/bash
# status, diff and discard: they tell exactly what was changed, and take it back. The same
# edits are made in a clone, and git is asked.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start

# --- a repository with something of each kind ---
make_base() {
	git init -q "$T/base" && cd "$T/base" || return 1
	mkdir -p src/deep/er docs
	for name in a b c d e f g; do
		seq 1 $((RANDOM % 50 + 20)) | sed "s/^/$name /" >"src/$name.c"
		printf 'page %s\n' "$name" >"docs/$name.md"
		printf 'deep %s\n' "$name" >"src/deep/er/$name"
	done
	head -c 3000 /dev/urandom >picture.bin
	printf '#!/bin/sh\n' >run.sh && chmod 755 run.sh
	ln -s src/a.c link
	: >empty
	printf 'no newline' >"tail"
	printf '*.o\n/build/\n' >.gitignore
	printf '%s\n' odd >$'od"d \303\274\n name'
	git add -A && git -c user.name=a -c user.email=b commit -qm base &&
		git update-index --add --cacheinfo "160000,$(git rev-parse HEAD),module" &&
		mkdir module && git -c user.name=a -c user.email=b commit -qm module &&
		git clone -q --bare . "$T/repos/base.git"
}
ok 'a repository is made' make_base
server_start full
url=$(server_url full)/base.git
repo=$T/repos/base.git
mnt=$T/mnt/desk
ok 'mounts' mount_repo desk "$url" --writable

changes() {
	git_fs status --json "$mnt" >"$T/out/status.json"
}
# told EXPRESSION: of the changes, called `it` in Python, and their paths, `paths`
told() {
	changes && python3 -c 'import json, sys
it = json.load(open(sys.argv[1]))["changes"]
paths = {c["path"]: c for c in it["paths"]}
assert eval("(" + sys.argv[2] + ")"), json.dumps(it, indent=1)' "$T/out/status.json" "$1"
}
nothing_differs() {
	told 'it["paths"] == [] and it["bytes_pending"] == 0'
}

# scenario NAME FUNCTION: the function edits the folder that it runs in
scenario() {
	rm -rf "$T/clone" "$T/applied"
	git clone -q -c core.protectNTFS=false "$T/base" "$T/clone"
	printf '%s\n' '*.swp' '*.swo' '*~' '.#*' 4913 '.nfs*' >"$T/clone/.git/info/exclude"
	ok "$1: in a clone" edit "$T/clone" "$2"
	ok "$1: in the mount" edit "$mnt" "$2"
	git -C "$T/clone" add -A
	changes
	ok "$1: status lists what git lists" \
		python3 "$TAP_LIB/../tools/compare-changes.py" "$T/out/status.json" "$T/clone"
	git -C "$T/clone" diff --cached --binary -M HEAD >"$T/out/wanted.diff"
	ok "$1: diff exits 0" eval 'git_fs diff "$mnt" >"$T/out/got.diff"'
	ok "$1: diff is git's, byte for byte" cmp "$T/out/wanted.diff" "$T/out/got.diff"
	git clone -q -c core.protectNTFS=false "$T/base" "$T/applied"
	if [ -s "$T/out/got.diff" ]; then
		ok "$1: the diff applies" git -C "$T/applied" apply --index "$T/out/got.diff"
		is "$1: and makes the same tree" "$(git -C "$T/applied" write-tree)" \
			"$(git -C "$T/clone" write-tree)"
	fi
	ok "$1: a remount" eval 'mount_stop desk && mount_repo desk "$url" --writable'
	changes
	ok "$1: lists the same" \
		python3 "$TAP_LIB/../tools/compare-changes.py" "$T/out/status.json" "$T/clone"
	ok "$1: all of it is taken back" git_fs discard --all "$mnt"
	ok "$1: nothing differs then" nothing_differs
	is "$1: diff is empty" "$(git_fs diff "$mnt")" ''
	same_tree "$1: the mount is the base" "$mnt" "$repo" HEAD
}
edit() {
	(cd "$1" && set -e && "$2")
}

everything() {
	echo more >>src/a.c
	sed -i s/3/three/ src/b.c
	echo new >new.txt
	mkdir -p added/two
	echo deep >added/two/file
	: >added/nothing
	rm src/c.c docs/a.md
	mv src/d.c src/moved.c
	mv docs/b.md moved.md
	chmod +x src/e.c
	chmod -x run.sh
	chmod 600 src/f.c
	ln -sfn docs link
	ln -s "nowhere at all" new-link
	cp picture.bin other.bin
	printf '\0\1\2' >>picture.bin
	echo full >empty
	: >"tail"
	touch src/g.c
	cp docs/c.md docs/c.tmp
	mv docs/c.tmp docs/c.md
	echo object >src/a.o
	mkdir build
	echo made >build/out
	echo swap >src/.a.c.swp
	echo backup >docs/d.md~
	rmdir module
}
saved_by_rename() {
	seq 1 90 >src/a.tmp
	mv src/a.tmp src/a.c
	# As vim does: the old file is kept beside until the new one is written.
	mv src/b.c src/b.c~
	seq 2 80 >src/b.c
	mv src/c.c src/c.bak
	seq 3 70 >src/c.c
	mv docs/a.md docs/a.md~
	chmod +x src/d.c
	cp src/d.c src/d.tmp
	echo x >>src/d.tmp
	mv src/d.tmp src/d.c
}
in_each_others_place() {
	mv src/a.c src/b.c
	mv src/c.c swap
	mv src/d.c src/c.c
	mv swap src/d.c
	rm docs/a.md
	mkdir docs/a.md
	echo in >docs/a.md/file
	rm -r src/deep
	echo file >src/deep
	rm link
	echo file >"link"
	rm tail
	ln -s empty tail
	mv docs/b.md docs/c.md
	mv docs/d.md docs/b.md
	mv docs/f.md docs/f.o
}
moved_folder() {
	mv docs pages
}
changed_in_a_moved_folder() {
	mv src source
	echo more >>source/a.c
	rm source/b.c
	mv source/c.c source/renamed.c
	mv source/d.c out.c
	mv docs/a.md source/in.md
	chmod +x source/e.c
	echo new >source/new.c
	mv source/deep deeper
	echo more >>deeper/er/a
	mv deeper/er deeper/est
	rm deeper/est/b
}
replaced_folder() {
	mv src old
	mkdir -p src/deep/er
	echo other >src/a.c
	cp old/b.c src/b.c
	echo deep >src/deep/er/a
	echo new >src/new.c
	rm -r docs
	mv old/deep docs
}
odd_names() {
	mv $'od"d \303\274\n name' $'od"d \303\274\n other\t'
	echo 1 >' leading and trailing '
	echo 2 >$'tab\tand "quotes" and \\back'
	echo 3 >$'\303\244\342\202\254.txt'
	mkdir $'new\nline'
	echo 4 >$'new\nline/-dash'
	echo 5 >'*'
	echo 6 >'#comment'
	echo 7 >'git~1'
}
scenario 'everything' everything
scenario 'saved by rename' saved_by_rename
scenario "in each other's place" in_each_others_place
scenario 'a moved folder' moved_folder
scenario 'changes in a moved folder' changed_in_a_moved_folder
scenario 'a replaced folder' replaced_folder
scenario 'odd names' odd_names

# --- kinds that a clone has no word for ---
ok 'a moved folder is one rename' eval 'mv "$mnt/docs" "$mnt/pages" &&
	told "list(paths) == [\"pages\"] and paths[\"pages\"][\"old_path\"] == \"docs\" and it[\"renamed\"] == 1 and it[\"bytes_pending\"] == 0"'
ok 'and comes back' eval 'git_fs discard "$mnt/pages" && nothing_differs'
mkfifo "$mnt/fifo"
mkdir -p "$mnt/hollow" "$mnt/src/.git" "$mnt/.git"
echo ref >"$mnt/src/.git/HEAD"
echo ref >"$mnt/.git/HEAD"
ok 'fifos, empty folders and what is in .git are local' told \
	'sorted(paths) == [".git/HEAD", "fifo", "hollow", "src/.git/HEAD"] and it["local"] == 4'
is 'and in no diff' "$(git_fs diff "$mnt")" ''
ok 'status of a healthy mount with changes exits 0' git_fs status "$mnt"
like 'and says how many there are' "$(git_fs status "$mnt")" 'changes +4: 4 local; 0 bytes pending'
ok 'they are taken back' git_fs discard --all "$mnt"
rm "$mnt/docs/e.md"
mkfifo "$mnt/docs/e.md"
ok 'a fifo in the place of a file is a deletion and something local' told \
	'[(c["kind"], c["path"]) for c in it["paths"]] == [("deleted", "docs/e.md"), ("local", "docs/e.md")]'
like 'in the diff the one alone' "$(git_fs diff "$mnt")" '^diff --git a/docs/e.md b/docs/e.md
deleted file mode 100644'
ok 'it is taken back' git_fs discard "$mnt/docs/e.md"
ok 'mv of a submodule moves it' eval 'mv "$mnt/module" "$mnt/elsewhere" &&
	told "paths[\"elsewhere\"][\"old_path\"] == \"module\" and paths[\"elsewhere\"][\"mode\"] == \"160000\""'
like 'diff, too' "$(git_fs diff "$mnt")" 'rename from module
rename to elsewhere'
ok 'and back' git_fs discard "$mnt/elsewhere"
head -c 60000 /dev/zero >"$mnt/large"
git_fs unmount "$mnt"
git config --global fs.maxFileSize 50k
# git expands it, not the shell.
# shellcheck disable=SC2088
git config --global core.excludesFile '~/excludes'
git config --global fs.localOnly '*.private #x'
echo '*.everywhere' >"$HOME/excludes"
ok 'mounts with settings' mount_repo desk "$url" --writable
touch "$mnt/a.private" "$mnt/#x" "$mnt/b.everywhere" "$mnt/c.own" "$mnt/d~"
echo '*.own' >"$(mount_status desk overlay.folder)/exclude"
ok 'a file over fs.maxFileSize is held, and rules of all three places hold' told \
	'paths["large"]["kind"] == "held" and it["bytes_pending"] == 0 and it["added"] == 1 and
	paths["d~"]["kind"] == "added" and it["ignored"] == 4'
like 'a held file is in the diff' "$(git_fs diff "$mnt")" 'a/large'
ok 'all goes back' git_fs discard --all "$mnt"
git config --global --unset fs.maxFileSize
git config --global --unset core.excludesFile
git config --global --unset fs.localOnly
ok 'mounts without them' eval 'mount_stop desk && mount_repo desk "$url" --writable'
# What was written to is not what differs.
cp "$mnt/src/a.c" "$T/out/a.c"
cat "$T/out/a.c" >"$mnt/src/a.c"
ok 'a file with the same contents as before does not differ' nothing_differs
echo x >"$mnt/.gitignore"
ok 'rules that were changed hold at once' eval 'touch "$mnt/new.o" &&
	told "paths[\"new.o\"][\"kind\"] == \"added\""'
ok 'and those of the base when they are back' eval 'git_fs discard "$mnt/.gitignore" &&
	told "paths[\"new.o\"][\"kind\"] == \"ignored\""'
ok 'a written mapping is not missed' eval 'python3 -c "
import mmap, os, subprocess, sys
fd = os.open(\"$mnt/docs/a.md\", os.O_RDWR)
m = mmap.mmap(fd, 6)
m[0:4] = b\"PAGE\"
out = subprocess.run([\"$GIT_FS\", \"diff\", \"$mnt\"], stdout=subprocess.PIPE, timeout=60).stdout
assert b\"+PAGE a\" in out, out
"'
ok 'all goes back' git_fs discard --all "$mnt"
for i in $(seq 30); do
	: >"$mnt/many-$i"
done
is 'status shows 20 of a kind' "$(git_fs status "$mnt" | grep -c 'added     many-')" 20
like 'and says so' "$(git_fs status "$mnt")" 'and 10 more added: git-fs status --all'
is 'with --all, all' "$(git_fs status --all "$mnt" | grep -c 'added     many-')" 30
ok 'all goes back' git_fs discard --all "$mnt"

# --- diff of a part ---
edit "$mnt" everything
is 'diff of a folder' "$(git_fs diff "$mnt/docs" | grep -c '^diff --git')" 2
is 'in it' "$(cd "$mnt/docs" && git_fs diff . | grep -c '^diff --git')" 2
is 'of two paths after a mount' \
	"$(git_fs diff "$mnt" -- src/a.c docs | grep '^diff --git' | cut -d' ' -f3 | tr '\n' ' ')" \
	'a/docs/a.md a/docs/b.md a/src/a.c '
is 'of a path that did not change' "$(git_fs diff "$mnt/src/g.c")" ''
git_fs diff "$mnt/src/a.c" "$T/out" 2>"$T/out/words"
is 'of a path elsewhere: exit code' $? 1
like 'of a path elsewhere: words' "$(cat "$T/out/words")" 'is not in the mount at'
is 'nothing is left of it' "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'git-fs-[0-9]*' -newer "$T/base")" ''
# A terminal has git's pager and colours; the folder is there as long as the pager.
GIT_PAGER="sed s/^/PAGED:/" timeout 60 script -qec "'$GIT_FS' diff '$mnt' -- src/a.c picture.bin" /dev/null \
	</dev/null >"$T/out/terminal"
is 'on a terminal it exits 0, too' $? 0
like 'there it is paged and coloured' "$(head -n 1 "$T/out/terminal")" $'^PAGED:\033\\[1mdiff --git a/picture.bin'
like 'and spares it binary bytes' "$(cat "$T/out/terminal")" 'Binary files a/picture.bin and b/picture.bin differ'
git_fs diff "$mnt" | head -n 1 >/dev/null
is 'nothing is left of one that nobody reads' "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'git-fs-[0-9]*' -newer "$T/base")" ''
git_fs discard --all "$mnt" >"$T/out/stdout"

# --- diff of what has to be fetched, and what is called off ---
mount_home second
mkdir "$T/tmp"
ok 'mounts with a cold cache' mount_repo cold "$url" --writable
rm "$T/mnt/cold/docs/a.md"
mv "$T/mnt/cold/src/deep" "$T/mnt/cold/deep"
server_stall full
TMPDIR=$T/tmp env --default-signal=INT "$GIT_FS" diff "$T/mnt/cold" >"$T/out/stdout" 2>"$T/out/words" &
pid=$!
ok 'a diff that has to wait makes its folder' wait_for 10 eval '[ -n "$(ls "$T/tmp")" ]'
kill -INT "$pid"
wait "$pid"
is 'called off, it exits 1' $? 1
is 'and leaves nothing' "$(ls -A "$T/tmp")" ''
server_go_on full
ok 'the next one fetches' eval 'git_fs diff "$T/mnt/cold" >"$T/out/got.diff"'
like 'what it needs' "$(cat "$T/out/got.diff")" '-page a'
ok 'moved files are not read for it' eval '! grep -q "^[-+]deep" "$T/out/got.diff"'
ok 'unmounts' mount_stop cold
mount_home first

# --- discard ---
# taken NAME PATH EDIT...: after the edit in the mount the path is discarded
taken() {
	local name=$1 path=$2

	shift 2
	ok "$name" eval "(cd '$mnt' && $*)"
	ok "$name: taken back" git_fs discard "$mnt/$path"
	ok "$name: nothing differs" nothing_differs
}
taken 'an added file' new 'echo x >new'
taken 'a modified file' src/a.c 'echo x >>src/a.c'
taken 'a deleted file' src/a.c 'rm src/a.c'
taken 'a renamed file, by its new name' moved 'mv src/a.c moved'
taken 'a renamed file, by its old name' src/a.c 'mv src/a.c moved'
taken 'an executable file' src/a.c 'chmod +x src/a.c'
taken 'a symlink' link 'ln -sfn x link'
taken 'a deleted folder' src 'rm -r src'
taken 'a moved folder' source 'mv src source && echo x >>source/a.c'
taken 'an ignored file' a.o 'echo x >a.o'
taken 'a fifo' fifo 'mkfifo fifo'
taken 'a folder that was made' made 'mkdir -p made/in/it && echo x >made/in/it/file'
taken 'a folder with all kinds of changes' src 'echo x >>src/a.c; rm src/b.c; mv src/c.c src/d.c; echo n >src/n'
same_tree 'the mount is the base' "$mnt" "$repo" HEAD
echo one >>"$mnt/src/a.c"
echo two >>"$mnt/src/b.c"
like 'it says how many' "$(git_fs discard "$mnt/src/a.c")" "^took back 1 change: $mnt/src/a.c\$"
ok 'and takes no other' told 'list(paths) == ["src/b.c"]'
git_fs discard "$mnt/src/g.c" 2>"$T/out/words" >"$T/out/stdout"
is 'a path without changes: exit code' $? 1
like 'a path without changes: words' "$(cat "$T/out/words")" 'src/g.c does not differ from the base'
git_fs discard "$mnt" 2>"$T/out/words"
is 'the whole mount is not taken without --all' $? 1
like 'and it says so' "$(cat "$T/out/words")" 'the whole mount.*--all'
git_fs discard --all "$mnt/src" 2>"$T/out/words"
is 'nor a folder with it' $? 1
git_fs discard 2>"$T/out/words"
is 'discard of nothing is a wrong use' $? 2
ok 'the change is still there' told 'list(paths) == ["src/b.c"]'
(cd "$mnt/src" && git_fs discard b.c >"$T/out/stdout")
ok 'a relative path' nothing_differs
exec 7<>"$mnt/src/a.c" 8<>"$mnt/made"
echo written >&7
echo written >&8
ok 'files that are held open' git_fs discard "$mnt/src/a.c" "$mnt/made"
is 'are what they were' "$(cat "$mnt/src/a.c" | sha256sum)" \
	"$(git -C "$repo" show HEAD:src/a.c | sha256sum)"
not_ok 'or gone' test -e "$mnt/made"
is 'whoever has one open reads the base' "$(head -n 1 <&7 | wc -l)" 1
exec 7<&- 8<&-
ok 'nothing differs' nothing_differs
same_tree 'the mount is the base again' "$mnt" "$repo" HEAD

# --- mounts where nothing can change ---
ok 'mounts read-only' mount_repo plain "$url"
git_fs diff "$T/mnt/plain" 2>"$T/out/words"
is 'diff of a read-only mount: exit code' $? 1
like 'diff of a read-only mount: words' "$(cat "$T/out/words")" 'read-only'
git_fs status --json "$T/mnt/plain" >"$T/out/status.json"
ok 'its status knows no changes' python3 -c 'import json, sys
it = json.load(open(sys.argv[1]))
assert it["changes"] is None and it["overlay"]["name"] is None and it["journal"]["bytes"] is None' \
	"$T/out/status.json"

mount_end
