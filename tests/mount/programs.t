#!/bin/bash
# check-builds: release
# Real programs in a writable mount: what they say and what they leave behind is what
# they say and leave in a folder of the disk, and it stays over an unmount and a kill.
# With GIT_FS_LONG=1 all of redis is built, too.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
. "$TAP_LIB/programs.sh"
harness_start
mount_start
export PYTHONDONTWRITEBYTECODE=1
sample_repo "$T/repos" redis
ORIGIN=$T/repos/redis.git
EDITOR_VIM=$(command -v vim || command -v vim.tiny)
mapfile -t SOURCES < <(git -C "$ORIGIN" ls-tree -r HEAD |
	awk '$1 == "100644" && $4 ~ /\.[ch]$/ { print $4 }' | head -n 60)
server_start full
url=$(server_url full)/redis.git
ok 'mounts' mount_repo desk "$url" --writable
mounted "$T/mnt/desk" || exit 1
work=$T/mnt/desk plain=$T/plain
git clone -q "$ORIGIN" "$plain" && rm -rf "$plain/.git"

# What tar and rsync are given: kinds, modes, times, links, a sparse file.
mkdir -p "$T/archive/sub/empty"
(cd "$T/archive" && echo plain >plain && echo tool >tool && chmod 755 tool && ln plain hard &&
	ln -s plain soft && ln -s nowhere dangling && : >sub/nothing && chmod 400 sub/nothing &&
	truncate -s 300000 sub/sparse && stream_bytes 200000 >sub/bytes && mkfifo sub/pipe &&
	chmod 2750 sub &&
	touch -h -d '2001-02-03 04:05:06.123456789Z' soft plain sub/bytes sub/empty sub)
tar -C "$T/archive" --format=posix -cf "$T/archive.tar" .

# program NAME: in both places; the same words, and each time without a failure
program() {
	local name=$1 place status

	for place in plain work; do
		status=0
		(cd "${!place}" && set -o pipefail && "do_$name" "$place") >"$T/out/$name.$place" \
			2>"$T/out/$name.$place.err" || status=$?
		is "$name: succeeds in $place" "$status $(cat "$T/out/$name.$place.err")" '0 '
	done
	ok "$name: says something" test -s "$T/out/$name.plain"
	ok "$name: says the same" diff -U 1 "$T/out/$name.plain" "$T/out/$name.work"
}

# Builds come first: the others edit what they build from.
if [ -f "$plain/deps/hiredis/Makefile" ]; then
	program make
	[ -z "${GIT_FS_LONG:-}" ] || program redis
else
	skip no-redis 'make: part of redis'
fi
for name in git clone tar rsync vim editing shell sqlite python; do
	program "$name"
done
if command -v npm >/dev/null; then
	program npm
else
	skip no-npm 'npm: installs'
fi

# Contents and modes. Of .git the index holds inodes, of databases pages have an order
# of their own: git and sqlite3 judge these.
listed() {
	find "$1" -path '*/.git/*' -prune -o -path '*/db-*/*' -prune -o -type d -printf '%P %y %m\n' -o \
		-printf '%P %y %m %s %l\n' | LC_ALL=C sort
}
ok 'the same names, kinds and modes are in both' diff -U 0 <(listed "$plain") <(listed "$work")
ok 'and the same bytes' diff -rq --no-dereference --exclude=.git \
	--exclude='db-*' --exclude=pipe "$plain" "$work"

# All there is, times included.
snapshot() {
	(cd "$work" && find . -type d -printf '%P %y %m %T@\n' -o -printf '%P %y %m %s %T@ %l\n' |
		LC_ALL=C sort && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
}
judged() {
	local mode

	for mode in wal delete truncate persist; do
		sqlite3 -readonly "$work/db-$mode/db" 'PRAGMA integrity_check;' || return 1
	done
	git -C "$work/project" fsck --strict --no-progress --no-dangling &&
		git -C "$work/cloned" fsck --no-progress &&
		git -C "$work/project" status --porcelain && git -C "$work/cloned" status --porcelain
}
snapshot >"$T/before"
within 'there is something to lose' "$(wc -l <"$T/before")" 3000 1000000
unchanged() {
	snapshot >"$T/after" && diff -U 0 "$T/before" "$T/after"
}
ok 'it unmounts' mount_stop desk
ok 'and mounts' mount_repo desk "$url" --writable
ok 'all is there' unchanged
is 'git and sqlite3 are content' "$(judged 2>&1)" $'ok\nok\nok\nok'
snapshot >"$T/before"
ok 'the daemon is killed' mount_kill desk
ok 'it mounts over the dead one' mount_repo desk "$url" --writable
ok 'all is there' unchanged
is 'git and sqlite3 are content' "$(judged 2>&1)" $'ok\nok\nok\nok'
is 'no request failed inside' "$(mount_status desk requests.failed)" 0

mount_end
