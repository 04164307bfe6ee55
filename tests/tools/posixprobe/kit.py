"""What the cases of posixprobe share: registration, folders, other users, raw calls.

Each case works in a folder of its own, which is the current one, under relative names:
what lies above may be closed to the users it acts as. The folder holds, made here or
come from git:

    f          BASE, mode 0644
    x          a script, mode 0755
    d/inside   a folder with one file
    l          a symbolic link to f
    many/      MANY files, for the cases that ask for them

A case says lines, `case key: value`; values are results, names of errors and what
moved, never numbers of inodes, times or device blocks, so that two filesystems can be
compared word by word.
"""
import ctypes
import errno
import os
import stat
import sys
import time
import traceback

BASE = b"".join(b"line %d of a file that git may know\n" % i for i in range(150))
SCRIPT = b"#!/bin/sh\necho it runs\n"
MANY = 600
OLD_NS = 1_000_000_000_123_456_789
# Longer than the tick of the clock that a filesystem may take its times from.
TICK_S = 0.012

USER, OTHER, GROUP, ROOT = 65534, 65533, 65532, 0

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_SYMLINK_FOLLOW = 0x400
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
NOREPLACE, EXCHANGE = 1, 2
FALLOC_KEEP_SIZE, FALLOC_PUNCH, FALLOC_COLLAPSE, FALLOC_ZERO, FALLOC_INSERT = 1, 2, 8, 16, 32

libc = ctypes.CDLL(None, use_errno=True)
CASES = []


class Case:
    def __init__(self, body, needs_root, many):
        self.body, self.needs_root, self.many = body, needs_root, many
        self.name = body.__name__
        self.lines = []

    def say(self, key, value):
        self.lines.append(f"{self.name} {key}: {value}")

    def run(self, top):
        os.chdir(os.path.join(top, self.name))
        os.umask(0o022)
        try:
            self.body(self.say)
        except Exception as error:  # a case that ends early is a line of its own
            where = traceback.extract_tb(error.__traceback__)[-1].lineno
            self.say("PROBE-ERROR", f"{type(error).__name__} {error}, line {where}")
        os.chdir(top)
        print("\n".join(self.lines), flush=True)


def case(body=None, *, root=False, many=False):
    if body is None:
        return lambda function: case(function, root=root, many=many)
    CASES.append(Case(body, root, many))
    return body


def layout(folder, many):
    """The files of one case."""
    os.makedirs(os.path.join(folder, "d"))
    write(os.path.join(folder, "f"), BASE)
    write(os.path.join(folder, "x"), SCRIPT, 0o755)
    write(os.path.join(folder, "d/inside"), b"inside\n")
    os.symlink("f", os.path.join(folder, "l"))
    if many:
        os.mkdir(os.path.join(folder, "many"))
        for i in range(MANY):
            write(os.path.join(folder, stable_name(i)), b"%d\n" % i)


def stable_name(number):
    return f"many/one-of-many-names-long-enough-for-several-reads-of-a-folder-{number:04d}"


# --- results

def name_of(number):
    return {errno.EOPNOTSUPP: "ENOTSUP"}.get(number, errno.errorcode.get(number, str(number)))


def got(call, *args, **words):
    """What a call answers, or the name of its error."""
    try:
        value = call(*args, **words)
    except OSError as error:
        return name_of(error.errno)
    return "ok" if value is None else str(value)


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def opens(path, flags, mode=0o666):
    os.close(os.open(path, flags, mode))


def write(path, data, mode=0o644):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        assert os.write(fd, data) == len(data)
    finally:
        os.close(fd)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def same(data, wanted):
    if data == wanted:
        return f"{len(data)} bytes, right"
    place = next((i for i, (a, b) in enumerate(zip(data, wanted)) if a != b),
                 min(len(data), len(wanted)))
    return f"{len(data)} bytes, not {len(wanted)}, or wrong at {place}"


def mode_of(path):
    return f"{stat.S_IMODE(os.lstat(path).st_mode):04o}"


def owner_of(path):
    status = os.lstat(path)
    return f"{status.st_uid}:{status.st_gid}"


def kind_of(path):
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        return name_of(error.errno)
    for word in ("reg", "dir", "lnk", "fifo", "sock", "chr", "blk"):
        if getattr(stat, "S_IS" + word.upper())(mode):
            return word
    return "?"


def links_of(path):
    return os.lstat(path).st_nlink


# --- acting as somebody else

def apart(call):
    """Calls it in a process of its own; returns what it returned, as a string."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            words = str(call())
        except OSError as error:
            words = "raised " + name_of(error.errno)
        except BaseException as error:
            words = f"PROBE-ERROR {type(error).__name__} {error}"
        os.write(writer, words.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        words = file.read().decode()
    _, code = os.waitpid(pid, 0)
    return words if code == 0 else f"{words}signal {code}"


def as_user(call, uid=USER, gid=USER, groups=()):
    def body():
        os.setgroups(list(groups))
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        return call()
    return apart(body)


def user_gets(call, *args, uid=USER, gid=USER, groups=(), **words):
    return as_user(lambda: got(call, *args, **words), uid, gid, groups)


def child(call):
    """Starts it; returns a function that waits for its end and says how it went."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = call() or 0
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        os._exit(code)
    return lambda: os.waitpid(pid, 0)[1]


# --- times

def times(path):
    status = os.lstat(path) if isinstance(path, str) else os.fstat(path)
    return status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns


def moved(paths, call, *args, **words):
    """Which times of each path move: `f +m+c, . -`; `!` marks one that is not now."""
    for path in paths:
        if isinstance(path, str) and os.path.lexists(path):
            os.utime(path, ns=(OLD_NS, OLD_NS), follow_symlinks=False)
    before = {path: times(path) for path in paths if not isinstance(path, str)
              or os.path.lexists(path)}
    time.sleep(TICK_S)
    start = time.clock_gettime_ns(time.CLOCK_REALTIME)
    result = got(call, *args, **words)
    end = time.clock_gettime_ns(time.CLOCK_REALTIME)
    said = []
    for path in paths:
        after = times(path)
        marks = ""
        for letter, old, new in zip("amc", before.get(path, (0, 0, 0)), after):
            near = start - int(TICK_S * 1e9) <= new <= end
            marks += "" if new == old else f"+{letter}" + ("" if near else "!")
        said.append(f"{path if isinstance(path, str) else 'fd'} {marks or '-'}")
    return f"{result}; " + ", ".join(said)


# --- raw calls that Python has not

class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("ns", ctypes.c_long)]


def utimensat(path, access, change, flags=0):
    """Each of the two times: nanoseconds since 1970, or ("now",), ("omit",)."""
    def spec(value):
        if isinstance(value, tuple):
            return Timespec(0, {"now": UTIME_NOW, "omit": UTIME_OMIT}.get(value[0], value[0]))
        return Timespec(value // 10**9, value % 10**9)
    pair = (Timespec * 2)(spec(access), spec(change))
    checked(libc.utimensat(AT_FDCWD, os.fsencode(path), pair, flags))


def rename(old, new, flags=0):
    checked(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags))


def fallocate(fd, mode, offset, length):
    checked(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def link_followed(old, new):
    checked(libc.linkat(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), AT_SYMLINK_FOLLOW))


def linkat_fd(fd, path):
    """Gives a name to what a descriptor holds."""
    link_followed(f"/proc/self/fd/{fd}", path)
