#!/bin/bash
# Names, kinds, modes and sizes that git can hold and filesystems trip over, with both
# kinds of object ids.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
make_odd_repo "$T/repos/sha1.git" || exit 1
make_odd_repo "$T/repos/sha256.git" sha256 || exit 1
server_start full
server_start sizeless --no-object-info
server_start whole --no-filter

for algo in sha1 sha256; do
	repo=$T/repos/$algo.git
	for way in local full sizeless whole; do
		name=$algo-$way
		url=$repo
		[ "$way" = local ] || url=$(server_url "$way")/$algo.git
		mount_home "$name"
		ok "$name: mounts" mount_repo "$name" "$url"
		same_tree "$name: equals the commit" --owner "$(id -u):$(id -g)" --mtime 1700000000 \
			"$T/mnt/$name" "$repo" refs/heads/main
		is "$name: nothing failed" "$(mount_status "$name" requests.failed)" 0
		is "$name: the submodule's folder is empty" "$(ls -A "$T/mnt/$name/submodules/lib")" ''
		not_ok "$name: and has nothing inside" test -e "$T/mnt/$name/submodules/lib/file"
		mount_stop "$name"
	done
done

# A listing of 2,000 entries, also where the reader goes back to a place of its own.
mount_home listing
ok 'mounts' mount_repo listing "$(server_url full)/sha1.git"
ok 'a listing of 2,000 entries can be left and taken up anywhere' python3 - \
	"$T/mnt/listing/many" <<'PY'
import ctypes, os, random, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
libc.opendir.argtypes = [ctypes.c_char_p]
libc.readdir.argtypes = libc.telldir.argtypes = libc.rewinddir.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
top = sys.argv[1]
wanted = sorted(["f%04d" % i for i in range(2000)] + [".", ".."])

def following(stream):
    entry = libc.readdir(stream)
    if not entry:
        return None
    length = struct.unpack("H", ctypes.string_at(entry + 16, 2))[0]
    return ctypes.string_at(entry, length)[19:].split(b"\0")[0].decode()

stream = libc.opendir(top.encode())
assert stream, os.strerror(ctypes.get_errno())
names, places = [], []
while True:
    places.append(libc.telldir(stream))
    name = following(stream)
    if name is None:
        break
    names.append(name)
assert sorted(names) == wanted, len(names)
seed = random.randrange(10**9)
print("seed", seed)
random.seed(seed)
for i in random.sample(range(len(names)), 200):
    libc.seekdir(stream, places[i])
    assert following(stream) == names[i], i
libc.rewinddir(stream)
assert following(stream) == names[0]
assert sorted(os.listdir(top)) == wanted[2:]
PY
is 'and find sees each once' "$(find "$T/mnt/listing/many" -type f | sort | uniq | wc -l)" 2000

# shown NAME REF: the names at the top
shown() {
	mount_repo "$1" "$T/repos/sha1.git" --ref "$2" && find "$T/mnt/$1" -mindepth 1 -printf '%m %P\n' |
		sort | tr '\n' ' '
}
is 'names that must not be shown are left out, the others are there' "$(shown refused refused)" \
	'644 git~1 644 good '
is 'status counts them' "$(mount_status refused nodes.hidden)" 5
is 'what is left can be read' "$(cat "$T/mnt/refused/good")" good
for name in .git .GIT .gIt; do
	not_ok "and not by its name: $name" test -e "$T/mnt/refused/$name"
done
is 'modes of old gits are shown as those of today' "$(shown modes modes)" \
	'644 group 644 private 755 tool '
is 'an empty commit is an empty folder' "$(shown empty empty)" ''

mount_end
