#!/usr/bin/python3
"""A little of all that changes a mount, each step checked at once.

    smoke.py change DIR TMPFILE   in a mount of the odd repository (tests/lib/repos.sh);
                                  TMPFILE is yes or no: whether O_TMPFILE has to work
    smoke.py list DIR             what there is: the same after a remount. With --still,
                                  only what is the same in every such mount

As root, also what other users do.
"""
import errno
import hashlib
import mmap
import os
import stat
import sys

NOBODY = 65534


def expect(condition, words):
    if not condition:
        sys.exit(f"smoke: {words}")


def fails(code, call, *args):
    try:
        call(*args)
    except OSError as error:
        expect(error.errno == code, f"{call.__name__}{args}: {error}")
        return
    sys.exit(f"smoke: {call.__name__}{args} succeeded")


def get(path):
    with open(path, "rb") as file:
        return file.read()


def put(path, data, flags=os.O_CREAT | os.O_TRUNC, offset=0, mode=0o644):
    fd = os.open(path, os.O_WRONLY | flags, mode)
    expect(os.pwrite(fd, data, offset) == len(data), f"{path}: a short write")
    os.close(fd)


def names_of(folder):
    return sorted(os.listdir(folder))


def contents():
    data = bytes(range(256)) * 400
    fails(errno.ENOENT, os.stat, "new")
    put("new", data, os.O_CREAT | os.O_EXCL)
    fails(errno.EEXIST, os.open, "new", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    expect(get("new") == data, "new: is not what was written")
    put("new", b"middle", 0, 1000)
    put("new", b"end", os.O_APPEND)
    expect(get("new") == data[:1000] + b"middle" + data[1006:] + b"end", "new: write, append")
    for path in ("modes/plain", "sizes/s4096", "sizes/s1048577"):
        before = get(path)
        put(path, b"appended", os.O_APPEND)
        put(path, b"BASE", 0, 1)
        after = before[:1] + b"BASE" + before[5:] + b"appended"
        expect(get(path) == after and os.stat(path).st_size == len(after), path)
    put("sizes/s131072", b"short")
    expect(get("sizes/s131072") == b"short", "truncated by open")
    os.truncate("sizes/s131073", 70000)
    os.truncate("sizes/s131073", 70010)
    expect(get("sizes/s131073")[69990:] == get("sizes/s131073")[69990:70000] + bytes(10),
           "what is cut off comes to light again")


def mapped(path, data):
    """Through a mapping and by read(2), one sees what the other wrote."""
    fd = os.open(path, os.O_RDWR)
    size = os.fstat(fd).st_size
    with mmap.mmap(fd, size) as pages:
        pages[10:10 + len(data)] = data
        expect(os.pread(fd, len(data), 10) == data, f"{path}: not what was mapped")
        os.pwrite(fd, data, 4100)
        expect(pages[4100:4100 + len(data)] == data, f"{path}: the mapping is old")
        pages.flush()
    os.close(fd)
    expect(get(path)[10:10 + len(data)] == data, f"{path}: a mapping")


def names():
    os.mkdir("folder")
    expect(names_of("folder") == [], "folder: is not empty")
    for count in range(3):
        put(f"folder/{count}", b"%d" % count)
        expect(names_of("folder") == [str(n) for n in range(count + 1)], "folder: lists other")
    os.unlink("folder/1")
    expect(names_of("folder") == ["0", "2"], "folder: lists what was removed")
    fails(errno.ENOENT, os.stat, "folder/1")
    os.rename("folder/0", "folder/1")
    fails(errno.ENOENT, os.stat, "folder/0")
    os.rename("folder/1", "folder/2")
    expect(get("folder/2") == b"0", "folder/2: not what was renamed over it")
    os.rename("many/f0001", "many/f0002")
    expect(get("many/f0002") == b"file 0001\n", "many/f0002: not what was renamed over it")
    os.rename("folder", "many/moved")
    expect(names_of("many/moved") == ["2"], "many/moved: lists other")
    fails(errno.ENOTEMPTY, os.rmdir, "many/moved")
    os.link("many/f0003", "linked")
    put("linked", b"LINKED", 0)
    expect(get("many/f0003") == b"LINKED003\n", "many/f0003: not what its other name is")
    expect(os.stat("many/f0003").st_nlink == 2, "many/f0003: links")
    for target in ("one", "another, which is longer"):
        os.symlink(target, "pointer")
        expect(os.readlink("pointer") == target, "pointer: an old target")
        os.unlink("pointer")
    os.symlink("new", "pointer")


def unlinked():
    for path in ("many/f0010", "orphan"):
        put(path, b"before")
        fd = os.open(path, os.O_RDWR)
        os.unlink(path)
        fails(errno.ENOENT, os.stat, path)
        os.pwrite(fd, b"x" * 50000, 6)
        expect(os.pread(fd, 60000, 0) == b"before" + b"x" * 50000, f"{path}: while it is open")
        expect(os.fstat(fd).st_nlink == 0, f"{path}: has links")
        os.close(fd)


def nameless(works):
    if not works:
        fails(errno.EOPNOTSUPP, os.open, ".", os.O_TMPFILE | os.O_RDWR)
        return
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o640)
    os.write(fd, b"no name yet")
    # With a folder's descriptor, as Python calls link(2) without, which does not follow.
    top = os.open(".", os.O_RDONLY)
    os.link(f"/proc/self/fd/{fd}", "named", src_dir_fd=top, follow_symlinks=True)
    os.close(top)
    os.close(fd)
    expect(get("named") == b"no name yet", "named")
    os.unlink("named")


def as_nobody(call, *args):
    """In another process; it ends with an errno."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            call(*args)
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    expect(status == 0, f"another user's {call.__name__}{args}: {os.strerror(status)}")


def others():
    for how, path in enumerate(("setid", "modes/tool", "many/f0020")):
        put(path, b"w" * 40000 if how == 0 else b"w")
        os.chmod(path, 0o6777)
        put(path, b"as root", 0)
        expect(os.stat(path).st_mode & 0o7777 == 0o6777, f"{path}: root's write clears bits")
        as_nobody(put, path, b"as nobody", 0 if how < 2 else os.O_TRUNC)
        expect(os.stat(path).st_mode & 0o7777 == 0o777, f"{path}: set-id bits stay")
    os.mkdir("public")
    os.chmod("public", 0o1777)
    as_nobody(put, "public/read-only", b"by who made it", os.O_CREAT | os.O_EXCL, 0, 0o444)
    expect(os.stat("public/read-only").st_uid == NOBODY, "public/read-only: its owner")


def change(works):
    contents()
    mapped("new", b"through a mapping")
    mapped("sizes/s1048576", b"through another")
    names()
    unlinked()
    nameless(works)
    if os.geteuid() == 0:
        others()


def show(still):
    for folder, folders, files in os.walk("."):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            st = os.lstat(path)
            words = [f"{st.st_mode:o}", st.st_uid, st.st_gid]
            if stat.S_ISREG(st.st_mode):
                words += [st.st_nlink, st.st_size, hashlib.sha1(get(path)).hexdigest()]
            elif stat.S_ISLNK(st.st_mode):
                words.append(os.fsencode(os.readlink(path)))
            if not still:
                words += [st.st_mtime_ns, st.st_ctime_ns, st.st_ino]
            print(os.fsencode(path), *words)


os.umask(0o022)
os.chdir(sys.argv[2])
if sys.argv[1] == "change":
    change(sys.argv[3] == "yes")
else:
    show("--still" in sys.argv)
