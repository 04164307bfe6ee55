"""Which times move, of what an operation is applied to and of the folders around it."""
import os
import stat

from kit import (AT_SYMLINK_NOFOLLOW, BASE, EXCHANGE, FALLOC_KEEP_SIZE, FALLOC_PUNCH, FALLOC_ZERO,
                 OLD_NS, OTHER, TICK_S, USER, case, fallocate, got, linkat_fd, moved, opens, rename,
                 user_gets, utimensat, write)
import time


@case
def times_of_making(say):
    for word, call, args in (("create", opens, (os.O_CREAT | os.O_WRONLY,)), ("mkdir", os.mkdir, ()),
                             ("mkfifo", os.mkfifo, ()), ("mknod", os.mknod, (stat.S_IFREG | 0o644,))):
        path = f"e-{word}"
        say(word, moved([path, "."], call, path, *args))
    say("symlink", moved(["e-link", ".", "f"], os.symlink, "f", "e-link"))
    say("link", moved(["f", "e-hard", "."], os.link, "f", "e-hard"))
    say("open that creates nothing", moved(["f", "."], opens, "f", os.O_CREAT | os.O_WRONLY))
    say("mkdir that fails", moved(["d", "."], os.mkdir, "d"))
    say("in a subfolder", moved(["d/new", "d", "."], opens, "d/new", os.O_CREAT | os.O_WRONLY))
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR)
    say("tmpfile linked", moved([fd, "."], linkat_fd, fd, "e-tmp"))
    os.close(fd)


@case
def times_of_removing(say):
    os.link("f", "f2")
    fd = os.open("f", os.O_RDONLY)
    say("unlink of one of two", moved(["f2", "."], os.unlink, "f"))
    say("unlink of the last", moved([fd, "."], os.unlink, "f2"))
    os.close(fd)
    os.mkdir("e")
    say("rmdir", moved(["."], os.rmdir, "e"))
    say("unlink inside", moved(["d", "."], os.unlink, "d/inside"))
    say("unlink that fails", moved(["d", "."], os.unlink, "d"))


@case
def times_of_renaming(say):
    os.mkdir("e")
    say("in one folder", moved(["."], rename, "f", "f2"))
    # The new name is looked at after, the times set before under the old one.
    for old, new in (("f2", "e/f"), ("d", "e/d"), ("l", "e/l")):
        os.utime(old, ns=(OLD_NS, OLD_NS), follow_symlinks=False)
        before = os.lstat(old)
        say(f"{old} to {new}", moved([".", "e"], rename, old, new))
        after = os.lstat(new)
        say(f"{old} itself", f"{after.st_mtime_ns == before.st_mtime_ns} "
            f"{after.st_atime_ns == before.st_atime_ns} {after.st_ctime_ns > before.st_ctime_ns}")
    fd = os.open("e/f", os.O_RDONLY)
    say("over a file", moved([fd, "e", "."], rename, "x", "e/f"))
    os.close(fd)
    write("g", b"")
    say("exchange", moved(["g", "e/f", ".", "e"], rename, "g", "e/f", EXCHANGE))
    say("that fails", moved([".", "e"], rename, "absent", "e/f"))


def with_fd(path, flags, call):
    fd = os.open(path, flags)
    try:
        call(fd)
    finally:
        os.close(fd)


def copy_into(fd):
    source = os.open("x", os.O_RDONLY)
    os.copy_file_range(source, fd, 10, 0, 5000)
    os.close(source)


@case
def times_of_contents(say):
    everything = os.O_RDWR
    for word, call in (
            ("write", lambda fd: os.write(fd, b"LINE")),
            ("pwrite at the end", lambda fd: os.pwrite(fd, b"x", 10000)),
            ("write of nothing", lambda fd: os.write(fd, b"")),
            ("ftruncate shorter", lambda fd: os.ftruncate(fd, 500)),
            ("ftruncate the same", lambda fd: os.ftruncate(fd, 500)),
            ("ftruncate longer", lambda fd: os.ftruncate(fd, 9000)),
            ("fallocate longer", lambda fd: fallocate(fd, 0, 0, 12000)),
            ("fallocate keeping", lambda fd: fallocate(fd, FALLOC_KEEP_SIZE, 0, 90000)),
            ("punch", lambda fd: fallocate(fd, FALLOC_PUNCH | FALLOC_KEEP_SIZE, 0, 4096)),
            ("zero", lambda fd: fallocate(fd, FALLOC_ZERO, 0, 4096)),
            ("copy_file_range", copy_into),
            ("fsync", os.fsync)):
        say(word, moved(["f", "."], with_fd, "f", everything, call))
    for word, call, args in (("truncate shorter", os.truncate, ("f", 100)),
                             ("truncate the same", os.truncate, ("f", 100)),
                             ("truncate longer", os.truncate, ("f", 200)),
                             ("O_TRUNC", opens, ("f", os.O_WRONLY | os.O_TRUNC)),
                             ("O_TRUNC of nothing", opens, ("f", os.O_WRONLY | os.O_TRUNC)),
                             ("truncate of nothing", os.truncate, ("f", 0)),
                             ("append", with_fd, ("f", os.O_WRONLY | os.O_APPEND,
                                                  lambda fd: os.write(fd, b"x")))):
        say(word, moved(["f", "."], call, *args))


@case
def times_by_descriptor(say):
    """They are the same before the descriptor is closed."""
    fd = os.open("f", os.O_RDWR)
    say("write", moved(["f", fd], os.write, fd, b"LINE"))
    say("ftruncate", moved(["f", fd], os.ftruncate, fd, 77))
    say("fchmod", moved(["f", fd], os.fchmod, fd, 0o600))
    say("futimens", got(os.utime, fd, ns=(5, 7)))
    status = os.fstat(fd)
    say("are", f"{status.st_atime_ns} {status.st_mtime_ns}")
    os.write(fd, b"x")
    os.utime("f", ns=(11, 13))
    os.close(fd)
    status = os.stat("f")
    say("set after a write, closed", f"{status.st_atime_ns} {status.st_mtime_ns}")


@case
def times_of_attributes(say):
    for path in ("f", "d"):
        say(f"chmod {path}", moved([path, "."], os.chmod, path, 0o750))
        say(f"chmod {path} to the same", moved([path, "."], os.chmod, path, 0o750))
        say(f"chown {path} to the same", moved([path], os.chown, path, os.getuid(), os.getgid()))
        say(f"chown {path} to none", moved([path], os.chown, path, -1, -1))
    say("lchown", moved(["l", "f"], os.lchown, "l", os.getuid(), os.getgid()))


@case
def times_of_reading(say):
    """Ordinary reads are another case: ATIME in the test."""
    say("stat", moved(["f", "d", "."], lambda: os.stat("f") and None))
    say("open", moved(["f", "."], opens, "f", os.O_RDONLY))
    say("access", moved(["f", "."], os.access, "f", os.R_OK))


@case
def times_of_access(say):
    """Where no time of access is kept, as under noatime, these have none."""
    say("read", moved(["f"], with_fd, "f", os.O_RDONLY, lambda fd: os.read(fd, 10)))
    say("list", moved(["d"], os.listdir, "d"))
    say("readlink", moved(["l"], os.readlink, "l"))


@case
def times_set(say):
    for word, pair in (("zero", (0, 0)), ("one ns", (1, 1)), ("before 1970", (-1, -10**9 - 5)),
                       ("far", (2**33 * 10**9 + 7, 2**33 * 10**9 + 9)),
                       ("y2038", (2**31 * 10**9 + 999_999_999, 2**31 * 10**9 + 1))):
        for path in ("f", "d", "l"):
            result = got(os.utime, path, ns=pair, follow_symlinks=False)
            status = os.lstat(path)
            say(f"{word} {path}", f"{result} {status.st_atime_ns} {status.st_mtime_ns}")
    for word, first, second, flags in (
            ("now and omit", ("now",), ("omit",), 0), ("omit and now", ("omit",), ("now",), 0),
            ("omit both", ("omit",), ("omit",), 0), ("now both", ("now",), ("now",), 0),
            ("omit and set", ("omit",), 12345, 0), ("set and now", 12345, ("now",), 0),
            ("set", OLD_NS, OLD_NS + 1, AT_SYMLINK_NOFOLLOW)):
        for path in ("f", "l"):
            # A link that is followed is read: times_of_access has that.
            seen = ["f", "l"] if flags or path == "f" else ["f"]
            say(f"{word} {path}", moved(seen, utimensat, path, first, second, flags))
    say("wrong ns", got(utimensat, "f", (10**9,), (10**9,)))
    say("absent", got(utimensat, "absent", 1, 1))
    say("absent, omit", got(utimensat, "absent", ("omit",), ("omit",)))


@case(root=True)
def times_rights(say):
    """Who may set them: the owner all; who may write, the present moment alone."""
    for word, owner, mode in (("owner", USER, 0o444), ("writer", OTHER, 0o666),
                              ("stranger", OTHER, 0o444)):
        os.chown("f", owner, owner)
        os.chmod("f", mode)
        for name, first, second in (
                ("now both", ("now",), ("now",)), ("omit both", ("omit",), ("omit",)),
                ("set", 1, 1), ("now and omit", ("now",), ("omit",)),
                ("omit and now", ("omit",), ("now",)), ("now and set", ("now",), 1),
                ("set and omit", 1, ("omit",))):
            say(f"{word} {name}", user_gets(utimensat, "f", first, second))


@case
def times_agree(say):
    """A read right after a write sees one time, by every way to ask."""
    write("new", BASE)
    first = os.stat("new")
    time.sleep(TICK_S)
    fd = os.open("new", os.O_RDWR)
    second = os.fstat(fd)
    os.lseek(fd, 0, os.SEEK_SET)
    os.read(fd, 10)
    say("closing and opening moves none", f"{first.st_mtime_ns == second.st_mtime_ns} "
        f"{first.st_ctime_ns == second.st_ctime_ns}")
    os.write(fd, b"x")
    third = os.fstat(fd)
    os.close(fd)
    time.sleep(TICK_S)
    fourth = os.stat("new")
    say("nor does a close after a write", f"{third.st_mtime_ns == fourth.st_mtime_ns} "
        f"{third.st_ctime_ns == fourth.st_ctime_ns}")
    say("the write moved them", f"{third.st_mtime_ns > second.st_mtime_ns} "
        f"{third.st_ctime_ns > second.st_ctime_ns}")
    os.rename("new", "newer")
    say("nor a rename mtime", os.stat("newer").st_mtime_ns == third.st_mtime_ns)
