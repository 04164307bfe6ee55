"""The changes that churn.py makes: to a model of a folder, and to the folder."""
import ctypes
import errno
import hashlib
import os

RENAME_EXCHANGE = 2
PUNCH = 3                       # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
LIBC = ctypes.CDLL(None, use_errno=True)


def contents(seed, length):
    return hashlib.shake_128(str(seed).encode()).digest(length)


class Node:
    """What a name stands for; two names of one file share it."""

    def __init__(self, kind, mode=None, data=b"", target=""):
        self.kind = kind        # "f", "d", "l", "p"
        self.mode = mode        # None: not looked at
        self.data = data
        self.target = target
        self.mtime = None       # nanoseconds, where it was set and nothing came after

    def set_data(self, data):
        self.data = bytes(data)
        self.mtime = None


def put(data, offset, more):
    """`data` with `more` written at `offset`."""
    data = data.ljust(offset, b"\0")
    return data[:offset] + more + data[offset + len(more):]


def below(path, folder):
    return path == folder or path.startswith(folder + "/")


class Model:
    """The folder as it must be: path -> Node. A change is a list, its name first."""

    def __init__(self):
        self.names = {}

    def apply(self, change):
        getattr(self, "do_" + change[0])(*change[1:])

    def do_create(self, path, mode):
        self.names[path] = Node("f", mode)

    def do_mkdir(self, path, mode):
        self.names[path] = Node("d", mode)

    def do_fifo(self, path, mode):
        self.names[path] = Node("p", mode)

    def do_symlink(self, target, path):
        self.names[path] = Node("l", target=target)

    def do_link(self, path, new):
        self.names[new] = self.names[path]

    def do_unlink(self, path):
        del self.names[path]

    do_rmdir = do_unlink

    def do_orphan(self, path, length, seed):
        """Made, opened, unlinked, written to, closed: nothing is left."""

    def do_rename(self, path, new):
        if self.names[path] is self.names.get(new):
            return              # two names of one file stay, rename(2)
        moved = {name: node for name, node in self.names.items() if below(name, path)}
        self.names.pop(new, None)
        for name, node in moved.items():
            del self.names[name]
            self.names[new + name[len(path):]] = node

    def do_exchange(self, path, new):
        self.do_rename(path, "\0")
        self.do_rename(new, path)
        self.do_rename("\0", new)

    def do_write(self, path, offset, length, seed):
        node = self.names[path]
        node.set_data(put(node.data, offset, contents(seed, length)))

    def do_append(self, path, length, seed):
        node = self.names[path]
        node.set_data(node.data + contents(seed, length))

    def do_truncate(self, path, size):
        node = self.names[path]
        node.set_data(node.data[:size].ljust(size, b"\0"))

    def do_punch(self, path, offset, length):
        node = self.names[path]
        length = max(0, min(length, len(node.data) - offset))
        node.set_data(put(node.data, offset, bytes(length)) if length else node.data)

    def do_copy(self, path, new, length):
        """The head of a file over the head of another."""
        node = self.names[new]
        node.set_data(put(node.data, 0, self.names[path].data[:length]))

    def do_chmod(self, path, mode):
        self.names[path].mode = mode

    def do_utime(self, path, when):
        self.names[path].mtime = when

    def do_fsync(self, path):
        pass


def libc(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Folder:
    """The same changes, made by system calls."""

    def __init__(self, root):
        self.root = root

    def apply(self, change):
        getattr(self, "do_" + change[0])(*change[1:])

    def path(self, path):
        return os.path.join(self.root, path)

    def with_file(self, path, flags, work, mode=0):
        fd = os.open(self.path(path), flags, mode)
        try:
            work(fd)
        finally:
            os.close(fd)

    def do_create(self, path, mode):
        self.with_file(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, lambda fd: None, mode)

    def do_mkdir(self, path, mode):
        os.mkdir(self.path(path), mode)

    def do_fifo(self, path, mode):
        os.mkfifo(self.path(path), mode)

    def do_symlink(self, target, path):
        os.symlink(target, self.path(path))

    def do_link(self, path, new):
        os.link(self.path(path), self.path(new))

    def do_unlink(self, path):
        os.unlink(self.path(path))

    def do_rmdir(self, path):
        os.rmdir(self.path(path))

    def do_orphan(self, path, length, seed):
        def work(fd):
            os.unlink(self.path(path))
            write_all(fd, contents(seed, length), 0)
            os.ftruncate(fd, length // 2)
            if os.pread(fd, length, 0) != contents(seed, length)[:length // 2]:
                raise OSError(errno.EILSEQ, "an unlinked file has other contents")

        self.with_file(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, work, 0o600)

    def do_rename(self, path, new):
        os.rename(self.path(path), self.path(new))

    def do_exchange(self, path, new):
        libc(LIBC.renameat2(-100, os.fsencode(self.path(path)), -100,
                            os.fsencode(self.path(new)), RENAME_EXCHANGE))

    def do_write(self, path, offset, length, seed):
        self.with_file(path, os.O_WRONLY,
                       lambda fd: write_all(fd, contents(seed, length), offset))

    def do_append(self, path, length, seed):
        self.with_file(path, os.O_WRONLY | os.O_APPEND,
                       lambda fd: write_all(fd, contents(seed, length), None))

    def do_truncate(self, path, size):
        os.truncate(self.path(path), size)

    def do_punch(self, path, offset, length):
        self.with_file(path, os.O_WRONLY, lambda fd: libc(LIBC.fallocate(
            fd, PUNCH, ctypes.c_int64(offset), ctypes.c_int64(length))))

    def do_copy(self, path, new, length):
        def work(fd):
            done = 0
            while done < length:
                step = os.copy_file_range(fd, fd_to[0], length - done, done, done)
                if step == 0:
                    return
                done += step

        fd_to = [os.open(self.path(new), os.O_WRONLY)]
        try:
            self.with_file(path, os.O_RDONLY, work)
        finally:
            os.close(fd_to[0])

    def do_chmod(self, path, mode):
        os.chmod(self.path(path), mode)

    def do_utime(self, path, when):
        os.utime(self.path(path), ns=(when, when))

    def do_fsync(self, path):
        self.with_file(path, os.O_RDONLY, os.fsync)


def write_all(fd, data, offset):
    while data:
        done = os.write(fd, data) if offset is None else os.pwrite(fd, data, offset)
        data = data[done:]
        offset = None if offset is None else offset + done
