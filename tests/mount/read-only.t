#!/bin/bash
# No kind of write gets through, each is answered EROFS, and nothing changes.
. "$(dirname "$0")/../lib/tap.sh"
. "$TAP_LIB/servers.sh"
. "$TAP_LIB/repos.sh"
. "$TAP_LIB/mount.sh"
harness_start
mount_start
repo=$T/repos/odd.git
make_odd_repo "$repo" || exit 1
ok 'mounts' mount_repo odd "$repo"
top=$T/mnt/odd

cat >"$T/write.py" <<'PY'
import ctypes, errno, os, sys
os.chdir(sys.argv[1])
plain, folder, link, module = "modes/plain", "modes", "links/relative", "submodules/lib"
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *args):
    if getattr(libc, name)(*args) < 0:
        raise OSError(ctypes.get_errno(), name)

def flags(extra):
    return lambda: os.close(os.open(plain, extra))

ways = {
    "create": lambda: os.close(os.open("new", os.O_CREAT | os.O_WRONLY, 0o644)),
    "create in a folder": lambda: os.close(os.open(folder + "/new", os.O_CREAT | os.O_EXCL | os.O_RDWR)),
    "create in a submodule": lambda: os.close(os.open(module + "/new", os.O_CREAT | os.O_WRONLY)),
    "create without a name": lambda: os.close(os.open(".", os.O_TMPFILE | os.O_RDWR)),
    "open for writing": flags(os.O_WRONLY),
    "open for both": flags(os.O_RDWR),
    "open to append": flags(os.O_WRONLY | os.O_APPEND),
    "open to cut off": flags(os.O_WRONLY | os.O_TRUNC),
    "mkdir": lambda: os.mkdir("new"),
    "mkdir in a submodule": lambda: os.mkdir(module + "/new"),
    "mknod": lambda: os.mknod("new", 0o644),
    "mkfifo": lambda: os.mkfifo("new"),
    "unlink": lambda: os.unlink(plain),
    "unlink a link": lambda: os.unlink(link),
    "rmdir": lambda: os.rmdir(folder),
    "rmdir a submodule": lambda: os.rmdir(module),
    "rename": lambda: os.rename(plain, "modes/other"),
    "rename over": lambda: os.rename(plain, "modes/tool"),
    "rename a folder": lambda: os.rename(folder, "other"),
    "chmod": lambda: os.chmod(plain, 0o600),
    "chown": lambda: os.chown(plain, 1, 1),
    "lchown": lambda: os.lchown(link, 1, 1),
    "truncate": lambda: os.truncate(plain, 0),
    "utime": lambda: os.utime(plain, (1, 1)),
    "utime of a folder": lambda: os.utime(folder, (1, 1)),
    "symlink": lambda: os.symlink("target", "new"),
    "link": lambda: os.link(plain, "new"),
    "setxattr": lambda: os.setxattr(plain, "user.name", b"value"),
    "setxattr of security": lambda: os.setxattr(plain, "security.name", b"value"),
    "removexattr": lambda: os.removexattr(plain, "user.name"),
}
for name, way in ways.items():
    try:
        way()
        print(name, "succeeded")
    except OSError as error:
        if error.errno != errno.EROFS:
            print(name, errno.errorcode[error.errno])
print(len(ways), "ways")
PY
is 'every kind of write is answered EROFS' "$(python3 "$T/write.py" "$top")" '30 ways'
mkdir -p "$T/plain/modes" "$T/plain/links" "$T/plain/submodules/lib"
touch "$T/plain/modes/plain" "$T/plain/modes/tool" "$T/plain/links/relative"
like 'where they may be, they are not' "$(python3 "$T/write.py" "$T/plain")" 'create succeeded'
not_ok 'a shell cannot write' bash -c "echo x >'$top/new'"
is 'the kernel knows it as read-only' \
	"$(awk -v dir="$top" '$5 == dir { print substr($6, 1, 2) }' /proc/self/mountinfo)" ro
same_tree 'nothing has changed' "$top" "$repo" main

# What readers get that ask for things that do not exist.
ok 'absent names, attributes and offsets are answered as on any filesystem' python3 - "$top" <<'PY'
import errno, os, sys
os.chdir(sys.argv[1])

def expect(number, way, *args):
    try:
        way(*args)
    except OSError as error:
        assert error.errno == number, (way, args, error)
    else:
        raise AssertionError((way, args))

expect(errno.ENOENT, os.stat, "absent")
expect(errno.ENOENT, os.stat, "absent")
expect(errno.ENOENT, os.stat, "modes/absent")
expect(errno.ENOENT, os.stat, "links/dangling")
expect(errno.ELOOP, os.stat, "links/self")
expect(errno.ENOTDIR, os.stat, "modes/plain/below")
expect(errno.ENOTDIR, os.listdir, "modes/plain")
expect(errno.ENAMETOOLONG, os.stat, "n" * 256)
expect(errno.ENOENT, os.stat, "n" * 255)
expect(errno.EINVAL, os.readlink, "modes/plain")
expect(errno.ENOTSUP, os.getxattr, "modes/plain", "user.name")
expect(errno.ENOTSUP, os.listxattr, "modes/plain")
folder = os.open("modes", os.O_RDONLY)
expect(errno.EISDIR, os.read, folder, 10)
assert os.access("modes/tool", os.X_OK)
assert os.stat("links/folder/tool").st_ino == os.stat("modes/tool").st_ino
assert os.stat("modes/..").st_ino == os.stat(".").st_ino
assert os.statvfs(".").f_flag & os.ST_RDONLY and os.statvfs(".").f_namemax == 255
PY
is 'a program in it runs' "$("$top/modes/tool"; echo $?)" 0
is 'so does a script through a link' "$(bash "$top/links/folder/tool"; echo $?)" 0

mount_end
