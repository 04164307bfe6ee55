#!/bin/bash
# A real use: a build in an overlay whose lower folder is the mount. With GIT_FS_LONG=1
# all of redis is built, else some of its files.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
if [ "$(id -u)" -ne 0 ]; then
	skip_all overlay
fi
sample_repo "$T/repos" redis
repo=$T/repos/redis.git
server_start full
ok 'mounts' mount_repo lower "$(server_url full)/redis.git"
git clone -q "$repo" "$T/clone"
rm -rf "$T/clone/.git"

# Upper and work lie in a tmpfs: not every filesystem can hold them (another overlay).
mkdir "$T/upper" "$T/merged"
mount -t tmpfs none "$T/upper"
# overlay NAME: with an upper folder of its own
overlay() {
	mkdir "$T/upper/$1" "$T/upper/$1-work" && mount -t overlay none "$T/merged" \
		-o "lowerdir=$T/mnt/lower,upperdir=$T/upper/$1,workdir=$T/upper/$1-work"
}
ok 'an overlay over it mounts' overlay changes
top=$T/merged

found() {
	(cd "$1" && grep -rna 'redis\|line 1' . | LC_ALL=C sort | sha256sum)
}
is 'grep -r finds in it what it finds in a clone' "$(found "$top")" "$(found "$T/clone")"
is 'and in the mount itself' "$(found "$T/mnt/lower")" "$(found "$T/clone")"

# Changes go to the upper folder, copied up from the mount; a clone gets the same.
mapfile -t files < <(git -C "$repo" ls-tree -r HEAD | awk '$1 == "100644" { print $4 }')
folder=$(dirname "${files[-1]}")
# change DIR
change() {
	(cd "$1" && echo more >>"${files[0]}" && chmod 755 "${files[1]}" && mv "${files[2]}" moved &&
		rm -r "$folder" && mkdir "$folder" && ln -s nowhere "$folder/link" && touch new)
}
ok 'files and folders are changed in it' change "$top"
ok 'and in the clone' change "$T/clone"
ok 'both are equal' diff -r --no-dereference "$top" "$T/clone"
same_tree 'the mount has not changed' "$T/mnt/lower" "$repo" HEAD

# compile DIR: with relative names alone, so that the objects are the same in both places
compile() {
	(cd "$1/src" && for file in adlist dict sds zmalloc endianconv crc64 siphash intset lzf_c; do
		gcc -O1 -std=gnu11 -c "$file.c" -o "$file.o" || exit 1
	done)
}
if [ -f "$top/src/adlist.c" ]; then
	ok 'files compile in it' compile "$top"
	ok 'and in the clone' compile "$T/clone"
	ok 'to the same objects' diff -r --no-dereference "$top/src" "$T/clone/src"
else
	skip no-redis 'files compile in it'
fi

if [ -n "${GIT_FS_LONG:-}" ] && [ -f "$top/src/adlist.c" ]; then
	umount "$T/merged"
	ok 'a new overlay mounts' overlay build
	ok 'all of redis builds in it' timeout 900 make -s -j2 -C "$top/src" MALLOC=libc OPTIMIZATION=-O0
	like 'and runs' "$("$top/src/redis-server" --version)" '^Redis server v='
	same_tree 'the mount has not changed by it' "$T/mnt/lower" "$repo" HEAD
fi

ok 'the overlay unmounts' umount "$T/merged"
umount "$T/upper"
mount_end
