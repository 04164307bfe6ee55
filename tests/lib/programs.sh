# shellcheck shell=bash
# shellcheck disable=SC2317 # called by name
#
# What real programs do in a folder, for tests/mount/programs.t. Each do_NAME works in
# the current folder, a work tree or a copy of one, and says what it saw: the same words
# wherever it runs, so no times, inodes or absolute names. It fails where a program does.
# $T, $ORIGIN (a bare repository) and $SOURCES (an array of some of its files) are given.

# Commits that have the same ids everywhere.
dated() {
	GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000' "$@"
}

do_git() {
	mkdir project && cd project && git init -q &&
		(cd .. && tar -cf - "${SOURCES[@]}") | tar -xf - &&
		git add -A && dated git commit -q -m first && git status --porcelain &&
		printf 'more\n' >>"${SOURCES[0]}" && git mv "${SOURCES[1]}" moved &&
		git rm -q "${SOURCES[2]}" && git status --porcelain &&
		dated git commit -q -a -m second && git status --porcelain &&
		git checkout -q -b side HEAD^ && echo side >side && git add side &&
		dated git commit -q -m side && git checkout -q main &&
		dated git merge -q -m merged side && git log --format='%H %s' &&
		echo dirty >>moved && dated git stash -q && git status --porcelain &&
		git stash pop -q && git diff --stat && git checkout -q -- moved &&
		git tag v1 && git gc -q && git fsck --strict --no-progress 2>&1 &&
		git status --porcelain && git count-objects -v | grep -E '^(count|packs|garbage)' &&
		git worktree add -q ../second-tree side && git -C ../second-tree status --porcelain &&
		git worktree remove ../second-tree && git reset -q --hard HEAD^ &&
		git clean -qfdx && git status --porcelain && git write-tree
}

do_clone() {
	git clone -q --no-local "$ORIGIN" cloned && git -C cloned fsck --strict --no-progress 2>&1 &&
		git -C cloned status --porcelain && git -C cloned rev-parse HEAD 'HEAD^{tree}'
}

# What tar and rsync keep: modes, times to the nanosecond, links.
kept() {
	find "$1" -mindepth 1 \( -type d -printf '%P %y %m %T@\n' -o \
		-printf '%P %y %m %n %s %T@ %l\n' \) |
		LC_ALL=C sort
}

do_tar() {
	tar --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner -cf - "${SOURCES[@]}" |
		sha256sum &&
		mkdir extracted && tar -xpf "$T/archive.tar" -C extracted && kept extracted &&
		tar -df "$T/archive.tar" -C extracted &&
		diff -r --no-dereference --exclude=pipe extracted "$T/archive" &&
		tar -czf again.tar.gz extracted && tar -tzf again.tar.gz | LC_ALL=C sort | sha256sum &&
		rm again.tar.gz && tar -xpf "$T/archive.tar" -C extracted && kept extracted |
		sha256sum
}

do_rsync() {
	rsync -aH "$T/archive/" synced && kept synced && rsync -aHin "$T/archive/" synced/ &&
		rm -rf "$T/back" && rsync -aH synced/ "$T/back" && kept "$T/back" | sha256sum &&
		diff -r --no-dereference --exclude=pipe "$T/archive" "$T/back" &&
		printf 'changed in place' >synced/plain && chmod 600 synced/tool && touch synced/extra &&
		rsync -aHi --delete --inplace --checksum "$T/archive/" synced/ &&
		rsync -aHin --checksum "$T/archive/" synced/
}

do_vim() {
	local how number=0

	for how in 'nobackup nowritebackup' 'nobackup writebackup backupcopy=no' \
		'backup backupcopy=no' 'backup backupcopy=yes'; do
		number=$((number + 1))
		seq 200 >"edited$number" && chmod 640 "edited$number" &&
			timeout 60 "$EDITOR_VIM" -es -u NONE -N -i NONE -c "set $how" \
				-c '100s/$/ edited/' -c '$d' -c 'wq!' "edited$number" </dev/null &&
			sha256sum "edited$number" && stat -c '%n %a %s' edited"$number"* || return 1
	done
	timeout 60 "$EDITOR_VIM" -es -u NONE -N -i NONE -c 'normal ihello' -c 'saveas edited5' -c 'wq' \
		"${SOURCES[0]}" </dev/null || return 1
	find . -maxdepth 1 -name '.*.sw?' && wc -c <edited5
}

do_editing() {
	sed -i 's/the/THE/g' "${SOURCES[@]:0:20}" && sed -i.bak '1d' "${SOURCES[3]}" &&
		perl -pi -e 's/THE/the/' "${SOURCES[@]:0:10}" &&
		cat "${SOURCES[@]:0:20}" | sha256sum && ls "${SOURCES[3]}.bak" &&
		cp "${SOURCES[4]}" before && sed '1s/^/new /' before >after &&
		{ diff -u --label before --label after before after >change || true; } &&
		patch -s before change && cmp before after &&
		patch -s -R -b before change && cmp before.orig after && ! cmp -s before after &&
		{ echo garbage >before && ! patch -s -f before change >/dev/null; } && ls before*
}

do_shell() {
	mkdir -p tools/a/b && seq 1000 >tools/numbers && split -l 100 tools/numbers tools/part. &&
		cat tools/part.* | cmp - tools/numbers && ls tools &&
		dd if=tools/numbers of=tools/copy bs=1000 conv=fsync status=none &&
		dd if=tools/numbers of=tools/copy bs=512 oflag=append conv=notrunc status=none &&
		wc -c <tools/copy && install -m 750 tools/numbers tools/a/b/installed &&
		cp -a tools/a tools/c && mv tools/a "$T/moved-$1" && mv "$T/moved-$1" tools/back &&
		ln tools/copy tools/hard && ln -sf numbers tools/soft && ln -sfn copy tools/soft &&
		truncate -s 1M tools/sparse && cp --sparse=always tools/sparse tools/sparse2 &&
		sort -R tools/numbers | sort -n -o tools/numbers && mkfifo tools/pipe &&
		{ cat tools/numbers >tools/pipe & sha256sum <tools/pipe; } &&
		flock tools/lock -c 'echo locked' && rm tools/pipe &&
		(exec 9<>tools/hard && rm tools/hard && echo through >&9 && head -c 8 /proc/self/fd/9) &&
		find tools -printf '%P %y %m\n' | LC_ALL=C sort &&
		find tools/back -delete && rm -r tools/c && ls tools
}

sqlite() {
	sqlite3 -batch -bail -cmd '.timeout 20000' "$@"
}

# One writer moves amounts between rows; readers must always see the same sum.
sqlite_readers() {
	local i pids=()

	for i in 1 2; do
		(for _ in $(seq 15); do
			sqlite "$1" 'SELECT sum(amount) = 100000 FROM account;' || echo broken
		done | sort -u | tr '\n' ' ') &
		pids+=($!)
	done
	for i in $(seq 12); do
		sqlite "$1" "BEGIN IMMEDIATE; UPDATE account SET amount = amount - $i WHERE id = $i;
			UPDATE account SET amount = amount + $i WHERE id = $i + 1; COMMIT;" || return 1
	done
	for i in "${pids[@]}"; do
		wait "$i" || return 1
	done
}

do_sqlite() {
	local mode

	for mode in wal delete truncate persist; do
		mkdir "db-$mode" && sqlite "db-$mode/db" "PRAGMA journal_mode = $mode;
			CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER, words TEXT);
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
			INSERT INTO account SELECT i, 100, hex(zeroblob(i)) FROM n;" &&
			{ [ "$mode" = truncate ] || [ "$mode" = persist ] ||
				sqlite_readers "db-$mode/db"; } && echo &&
			sqlite "db-$mode/db" 'PRAGMA mmap_size = 1000000;
			BEGIN; DELETE FROM account; ROLLBACK;
			SELECT count(*), sum(amount), sum(length(words)) FROM account;
			CREATE INDEX w ON account (words); PRAGMA integrity_check;' &&
			sqlite_killed "db-$mode/db" && ls "db-$mode" &&
			sqlite "db-$mode/db" 'PRAGMA integrity_check;
			SELECT count(*), sum(amount) FROM account;
			VACUUM; PRAGMA integrity_check;' || return 1
	done
}

# It dies amid a transaction whose pages do not fit into its cache.
sqlite_killed() {
	coproc DYING { exec sqlite3 -batch -cmd 'PRAGMA cache_size = 60;' "$1" 2>&1; }
	local pid=$DYING_PID out=${DYING[0]}

	echo "BEGIN; UPDATE account SET amount = 7, words = words || 'x'; SELECT 'amid';" >&"${DYING[1]}"
	grep -q -m 1 amid <&"$out"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	[ $? -eq 137 ]
}

# In a C project's own library, a part that takes seconds.
do_make() {
	local make=(make -s -C deps/hiredis -j2 DEBUG_FLAGS= OPTIMIZATION=-O0)

	[ -f deps/hiredis/Makefile ] || return 1
	"${make[@]}" static >/dev/null && "${make[@]}" -q static && echo 'nothing is left to do' &&
		sha256sum deps/hiredis/*.o && touch -d '1 hour' deps/hiredis/sds.h &&
		! "${make[@]}" -q static 2>/dev/null && touch deps/hiredis/sds.h &&
		"${make[@]}" static >/dev/null && sha256sum deps/hiredis/*.o &&
		gcc -O0 -Ideps -o uses-it -x c - -x none deps/hiredis/libhiredis.a <<'C' && ./uses-it &&
#include <stdio.h>
#include "hiredis/hiredis.h"
int main(void)
{
	char *command = NULL;
	int length = redisFormatCommand(&command, "SET %s %d", "key", 7);
	return printf("%d %zu\n", length, sizeof(redisContext)) < 0;
}
C
	gcc -MM -Ideps -Isrc src/sds.c && "${make[@]}" clean >/dev/null && ls deps/hiredis
}

do_redis() {
	{ make -s -j2 -C src MALLOC=libc OPTIMIZATION=-O0 >"$T/make.log" 2>&1 ||
		! tail -n 20 "$T/make.log" >&2; } &&
		src/redis-server --version | cut -d ' ' -f 1-3 &&
		src/redis-benchmark --version >/dev/null && make -s -C src distclean >/dev/null &&
		rm src/release.h # it holds the moment of its build
}

# A package out of a file and one out of a folder: no registry is asked.
do_npm() {
	mkdir -p packages/one packages/two app && cd packages &&
		echo '{"name": "one", "version": "1.0.0", "main": "index.js", "bin": {"one": "./run.js"}}' \
			>one/package.json && echo 'module.exports = 1;' >one/index.js &&
		printf '#!/usr/bin/env node\nconsole.log("one runs");\n' >one/run.js &&
		echo '{"name": "two", "version": "2.0.0"}' \
			>two/package.json && echo 'module.exports = 2;' >two/index.js &&
		(cd one && npm pack --silent --pack-destination ..) && cd ../app &&
		echo '{"name": "app", "version": "1.0.0"}' >package.json &&
		npm install --offline --no-audit --no-fund --silent ../packages/one-1.0.0.tgz \
			../packages/two &&
		npm ls --offline --parseable --depth=1 | sed 's|.*/app|app|' | LC_ALL=C sort &&
		node -e 'console.log(require("one") + require("two"))' && node_modules/.bin/one &&
		npm uninstall --offline --no-audit --no-fund --silent one && ls node_modules &&
		npm ci --offline --no-audit --no-fund --silent && ls node_modules
}

do_python() {
	python3 - <<'PY'
import compileall, dbm.dumb, mmap, os, pickle, shutil, tempfile, zipfile, zlib
with open("mapped", "w+b") as file:
    file.truncate(1 << 20)
    with mmap.mmap(file.fileno(), 0) as block:
        for i in range(0, 1 << 20, 997):
            block[i] = i % 255 + 1
        block.move(1 << 19, 0, 1 << 18)
    file.seek(0)
    print("mapped", zlib.crc32(file.read()))
with zipfile.ZipFile("pack.zip", "w", zipfile.ZIP_DEFLATED) as pack:
    for i in range(50):
        pack.writestr(zipfile.ZipInfo(f"f{i}"), b"%d" % i * 1000)
with zipfile.ZipFile("pack.zip", "a") as pack:
    pack.writestr(zipfile.ZipInfo("late"), "late")
with zipfile.ZipFile("pack.zip") as pack:
    print("zip", pack.testzip(), len(pack.namelist()))
with dbm.dumb.open("store", "c") as store:
    for i in range(200):
        store[str(i)] = pickle.dumps(i)
with dbm.dumb.open("store", "r") as store:
    print("dbm", sum(pickle.loads(store[key]) for key in store.keys()))
os.makedirs("lib/sub")
with open("lib/sub/module.py", "w") as file:
    file.write("answer = 42\n")
print("compiled", compileall.compile_dir("lib", quiet=1, invalidation_mode=
                                         compileall.py_compile.PycInvalidationMode.CHECKED_HASH))
shutil.copytree("lib", "lib2", symlinks=True)
shutil.rmtree("lib")
with tempfile.NamedTemporaryFile(dir=".") as file:
    file.write(b"temporary")
    file.flush()
    print("temporary", os.path.getsize(file.name))
with tempfile.TemporaryFile(dir=".") as file:
    file.write(b"unnamed")
    print("unnamed", file.tell(), os.fstat(file.fileno()).st_nlink)
PY
}
