"""flock, POSIX and open-file-description locks between processes; statfs."""
import errno
import fcntl
import os
import struct

from kit import apart, case, got

SH, EX, UN, NB = fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN, fcntl.LOCK_NB
F_OFD_SETLK = 37


def try_flock(how):
    fd = os.open("f", os.O_RDWR)
    return got(fcntl.flock, fd, how | NB)


def try_lockf(how, length=0, start=0):
    fd = os.open("f", os.O_RDWR)
    return got(fcntl.lockf, fd, how | NB, length, start)


def ofd(fd, kind, start, length):
    fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqixxxx", kind, 0, start, length, 0))


@case
def flocks(say):
    fd, second = os.open("f", os.O_RDWR), os.open("f", os.O_RDONLY)
    say("shared", got(fcntl.flock, fd, SH))
    say("shared by another", apart(lambda: try_flock(SH)))
    say("exclusive by another", apart(lambda: try_flock(EX)))
    say("exclusive", got(fcntl.flock, fd, EX | NB))
    say("shared by another then", apart(lambda: try_flock(SH)))
    say("by the second descriptor", got(fcntl.flock, second, SH | NB))
    copy = os.dup(fd)
    say("by a copy", got(fcntl.flock, copy, EX | NB))
    say("POSIX locks are others", apart(lambda: try_lockf(EX)))
    os.close(fd)
    say("held by the copy", got(fcntl.flock, second, SH | NB))
    os.close(copy)
    say("free", got(fcntl.flock, second, EX | NB))
    folder = os.open("d", os.O_RDONLY)
    say("of a folder", got(fcntl.flock, folder, EX | NB))
    os.close(folder)
    os.close(second)


@case
def posix_locks(say):
    fd = os.open("f", os.O_RDWR)
    say("a range", got(fcntl.lockf, fd, EX | NB, 100, 50))
    for start, length in ((0, 50), (0, 51), (149, 1), (150, 0), (100, 10)):
        say(f"{start}+{length} by another", apart(
            lambda start=start, length=length: try_lockf(EX, length, start)))
    say("twice by one", got(fcntl.lockf, fd, EX | NB, 100, 50))
    say("the middle is freed", got(fcntl.lockf, fd, UN, 10, 100))
    say("and taken", apart(lambda: try_lockf(EX, 10, 100)))
    say("but not the rest", apart(lambda: try_lockf(EX, 11, 100)))
    say("shared of a write-only one", got(lambda: fcntl.lockf(
        os.open("x", os.O_WRONLY), SH | NB)))
    say("exclusive of a read-only one", got(lambda: fcntl.lockf(
        os.open("x", os.O_RDONLY), EX | NB)))
    os.close(os.open("f", os.O_RDONLY))
    say("a close frees all", apart(lambda: try_lockf(EX)))
    fcntl.lockf(fd, EX | NB)
    os.rename("f", "moved")
    os.rename("x", "f")
    say("another file under the name", apart(lambda: try_lockf(EX)))
    os.rename("moved", "f")
    say("the same after a rename", apart(lambda: try_lockf(SH)))
    os.close(fd)
    fd, second = os.open("f", os.O_RDWR), os.open("f", os.O_RDWR)
    say("by description", got(ofd, fd, fcntl.F_WRLCK, 0, 10))
    say("by another description", got(ofd, second, fcntl.F_WRLCK, 5, 10))
    os.close(fd)
    say("free then", got(ofd, second, fcntl.F_WRLCK, 5, 10))
    os.close(second)


@case
def waiting_for_a_lock(say):
    fd = os.open("f", os.O_RDWR)
    fcntl.flock(fd, EX)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(fd)
        second = os.open("f", os.O_RDWR)
        os.write(writer, b"w")
        fcntl.flock(second, EX)
        os.write(writer, b"h")
        os._exit(0)
    say("waits", os.read(reader, 1))
    os.set_blocking(reader, False)
    say("has it", got(os.read, reader, 1) == errno.errorcode[errno.EAGAIN])
    os.set_blocking(reader, True)
    os.close(fd)
    say("had it", os.read(reader, 1))
    say("ends", os.waitpid(pid, 0)[1])


@case
def filesystem(say):
    told = os.statvfs(".")
    say("names", told.f_namemax)
    say("free fits", 0 < told.f_bavail <= told.f_bfree <= told.f_blocks)
    say("files fit", told.f_ffree <= told.f_files)
    say("blocks", told.f_frsize >= 512)
    say("space", f"{told.f_blocks * told.f_frsize >> 28}")
    say("one device", len({os.lstat(path).st_dev for path in ("f", "d", "l", "d/inside", ".")}))
    say("name_max", os.pathconf(".", "PC_NAME_MAX"))
