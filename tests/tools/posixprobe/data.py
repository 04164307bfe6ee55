"""Contents: offsets, truncation, holes, copies, O_DIRECT, O_APPEND, mmap."""
import ctypes
import mmap
import os
import resource
import signal

from kit import (BASE, FALLOC_COLLAPSE, FALLOC_INSERT, FALLOC_KEEP_SIZE, FALLOC_PUNCH, FALLOC_ZERO,
                 apart, case, child, fallocate, got, libc, opens, read, same, write)

MIB = 1 << 20


@case
def offsets(say):
    fd, wanted = os.open("f", os.O_RDWR), bytearray(BASE)
    for place, data in ((0, b"first"), (4090, b"over a page"), (len(BASE) - 2, b"over the end"),
                        (20000, b"behind a hole"), (131072 - 3, b"over 128 KiB"),
                        (MIB + 1, b"over a MiB"), (10, b"x" * 70000)):
        say(f"write at {place}", got(os.pwrite, fd, data, place))
        wanted.extend(bytes(max(0, place + len(data) - len(wanted))))
        wanted[place:place + len(data)] = data
        say("then", same(read("f"), bytes(wanted)))
    say("seek to the end", os.lseek(fd, 0, os.SEEK_END))
    say("read at the end", same(os.read(fd, 10), b""))
    say("read over the end", same(os.pread(fd, 100, len(wanted) - 7), bytes(wanted[-7:])))
    say("a large offset", got(os.pwrite, fd, b"far", 1 << 33))
    say("size", os.fstat(fd).st_size)
    say("reads there", same(os.pread(fd, 10, (1 << 33) - 5), bytes(5) + b"far"))
    say("vectors", got(os.pwritev, fd, [b"a", b"bc", b"def"], 3))
    say("read them", same(os.pread(fd, 6, 3), b"abcdef"))
    os.ftruncate(fd, 100)
    os.close(fd)


@case
def truncations(say):
    wanted = BASE
    for size in (len(BASE), 5000, 4096, 4095, 1, 0, 1, 8192, 8191, 40000, 32768, 32769, 100, MIB,
                 3 * MIB + 1, 10):
        say(f"truncate to {size}", got(os.truncate, "f", size))
        wanted = wanted[:size] + bytes(max(0, size - len(wanted)))
        say("then", f"{os.stat('f').st_size} {same(read('f'), wanted)}")
    for word, path, size in (("negative", "f", -1), ("folder", "d", 0), ("absent", "absent", 0),
                             ("below a file", "f/below", 0)):
        say(word, got(os.truncate, path, size))
    os.mkfifo("fifo")
    say("fifo", got(os.truncate, "fifo", 0))
    write("g", b"A" * 5000)
    os.truncate("g", 100)
    os.truncate("g", 5000)
    say("old bytes do not come back", same(read("g"), b"A" * 100 + bytes(4900)))
    fd = os.open("g", os.O_RDWR)
    os.pwrite(fd, b"B", 9000)
    say("nor by a write behind the end", same(read("g"), b"A" * 100 + bytes(8900) + b"B"))
    os.close(fd)


@case
def size_limit(say):
    def body():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
        fd = os.open("f", os.O_RDWR)
        return " ".join((got(os.pwrite, fd, b"x" * 100, 9950), got(os.pwrite, fd, b"x", 10000),
                         got(os.ftruncate, fd, 10001), got(os.ftruncate, fd, 10000),
                         got(fallocate, fd, 0, 0, 20000)))
    say("write, write, truncate, truncate, allocate", apart(body))
    say("size", os.stat("f").st_size)


@case
def allocations(say):
    pattern = bytes(range(256)) * 800  # 200 KiB
    for word, mode, place, length in (
            ("extend", 0, 200000, 10000), ("within", 0, 100, 1000),
            ("keep", FALLOC_KEEP_SIZE, 300000, 4096),
            ("punch", FALLOC_PUNCH | FALLOC_KEEP_SIZE, 4096, 8192),
            ("punch odd", FALLOC_PUNCH | FALLOC_KEEP_SIZE, 5001, 30001),
            ("punch all", FALLOC_PUNCH | FALLOC_KEEP_SIZE, 0, 1 << 20),
            ("punch behind the end", FALLOC_PUNCH | FALLOC_KEEP_SIZE, 400000, 4096),
            ("punch alone", FALLOC_PUNCH, 0, 4096),
            ("zero", FALLOC_ZERO, 1000, 5000), ("zero over the end", FALLOC_ZERO, 200000, 9000),
            ("zero keeping", FALLOC_ZERO | FALLOC_KEEP_SIZE, 200000, 9000),
            ("no length", 0, 0, 0), ("negative", 0, -1, 10)):
        write("g", pattern)
        fd = os.open("g", os.O_RDWR)
        say(word, got(fallocate, fd, mode, place, length))
        wanted = bytearray(pattern)
        if mode in (0, FALLOC_ZERO) and length > 0 and place >= 0:
            wanted.extend(bytes(max(0, place + length - len(wanted))))
        if mode & (FALLOC_ZERO | FALLOC_PUNCH) and mode != FALLOC_PUNCH:
            end = min(place + length, len(wanted))
            wanted[place:end] = bytes(max(0, end - place))
        say(f"{word}: then", f"{os.stat('g').st_size} {same(read('g'), bytes(wanted))}")
        os.close(fd)
    fd = os.open("f", os.O_RDWR)
    say("punch in f", got(fallocate, fd, FALLOC_PUNCH | FALLOC_KEEP_SIZE, 0, 1000))
    say("f then", same(read("f"), bytes(1000) + BASE[1000:]))
    os.close(fd)
    fd = os.open("f", os.O_RDONLY)
    say("of a read-only one", got(fallocate, fd, 0, 0, 10))
    os.close(fd)


@case
def allocations_that_shift(say):
    write("g", bytes(range(256)) * 64)
    fd = os.open("g", os.O_RDWR)
    say("collapse", got(fallocate, fd, FALLOC_COLLAPSE, 0, 4096))
    say("insert", got(fallocate, fd, FALLOC_INSERT, 0, 4096))
    os.close(fd)
    os.unlink("g")


def data_ranges(fd):
    """(start, end) of what lseek calls data."""
    found, place, size = [], 0, os.fstat(fd).st_size
    while place < size:
        try:
            start = os.lseek(fd, place, os.SEEK_DATA)
        except OSError:
            break
        place = os.lseek(fd, start, os.SEEK_HOLE)
        found.append((start, place))
    return found


@case
def holes(say):
    fd = os.open("g", os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, 64 * MIB)
    written = ((0, b"a" * 10), (16 * MIB + 5, b"b" * 100000), (64 * MIB - 3, b"end"))
    for place, data in written:
        os.pwrite(fd, data, place)
    ranges = data_ranges(fd)
    say("all data is found", all(any(low <= place and place + len(data) <= high
                                     for low, high in ranges) for place, data in written))
    say("a hole is found", sum(high - low for low, high in ranges) < 4 * MIB)
    say("it is sparse", os.fstat(fd).st_blocks * 512 < 4 * MIB)
    fallocate(fd, FALLOC_PUNCH | FALLOC_KEEP_SIZE, 16 * MIB, MIB)
    say("punched", sum(high - low for low, high in data_ranges(fd)) < 70000)
    os.close(fd)
    fd = os.open("f", os.O_RDONLY)
    say("a full file has no hole", data_ranges(fd) == [(0, len(BASE))])
    for word, how in (("data", os.SEEK_DATA), ("hole", os.SEEK_HOLE)):
        for place in (0, 100, len(BASE) - 1, len(BASE), len(BASE) + 1, -1):
            say(f"{word} from {place}", got(os.lseek, fd, place, how))
    os.close(fd)
    os.truncate("g", 0)
    fd = os.open("g", os.O_RDWR)
    say("of an empty one", f"{got(os.lseek, fd, 0, os.SEEK_DATA)} "
        f"{got(os.lseek, fd, 0, os.SEEK_HOLE)}")
    os.write(fd, b"x")
    say("right after a write", data_ranges(fd))
    os.close(fd)


@case
def copies(say):
    source, target = os.open("f", os.O_RDONLY), os.open("g", os.O_CREAT | os.O_RDWR)
    copy = os.copy_file_range
    say("all", got(copy, source, target, len(BASE)))
    say("then", same(read("g"), BASE))
    say("at the end", got(copy, source, target, 100))
    say("behind the end", got(copy, source, target, 100, len(BASE) + 5, 0))
    say("a part", got(copy, source, target, 1000, 7, 8000))
    say("then a part", same(read("g"), BASE + bytes(8000 - len(BASE)) + BASE[7:1007]))
    say("within one", got(copy, target, target, 100, 0, 9500))
    say("overlapping", got(copy, target, target, 100, 0, 50))
    say("to a read-only one", got(copy, target, source, 10, 0, 0))
    folder = os.open("d", os.O_RDONLY)
    say("of a folder", got(copy, folder, target, 10, 0, 0))
    appending = os.open("g", os.O_WRONLY | os.O_APPEND)
    say("to an appending one", got(copy, source, appending, 10, 0, 0))
    os.pwrite(target, b"NEW", 0)
    say("of what was just written", got(copy, target, target, 3, 0, 20000))
    say("reads", same(os.pread(target, 3, 20000), b"NEW"))
    big = os.open("big", os.O_CREAT | os.O_RDWR)
    os.write(big, bytes(range(256)) * 8192)
    other = os.open("other", os.O_CREAT | os.O_RDWR)
    place = 0
    while place < 2 * MIB:
        place += copy(big, other, 2 * MIB - place, place, place)
    say("two MiB", same(read("other"), bytes(range(256)) * 8192))
    for fd in (source, target, folder, appending, big, other):
        os.close(fd)


def aligned(length, fill=0):
    block = mmap.mmap(-1, length)
    block.write(bytes([fill]) * length)
    return block


@case
def direct(say):
    fd = os.open("g", os.O_CREAT | os.O_RDWR | os.O_DIRECT)
    say("write", got(os.pwritev, fd, [aligned(65536, 65)], 0))
    say("read by others", same(read("g"), b"A" * 65536))
    block = aligned(8192)
    say("read", got(os.preadv, fd, [block], 57344))
    say("bytes", same(block[:8192], b"A" * 8192))
    cached = os.open("g", os.O_RDWR)
    os.pwrite(cached, b"cached", 4096)
    block = aligned(4096)
    say("read of what others wrote", got(os.preadv, fd, [block], 4096))
    say("bytes then", same(block[:6], b"cached"))
    os.pread(cached, 10, 8192)
    say("write under a cache", got(os.pwritev, fd, [aligned(4096, 66)], 8192))
    say("seen by others", same(os.pread(cached, 10, 8192), b"B" * 10))
    say("over the end", got(os.pwritev, fd, [aligned(8192, 67)], 61440))
    say("size", os.fstat(fd).st_size)
    say("read over the end", got(os.preadv, fd, [aligned(8192)], 65536))
    say("read behind the end", got(os.preadv, fd, [aligned(4096)], 1 << 20))
    os.close(fd)
    os.close(cached)
    fd = os.open("f", os.O_RDONLY | os.O_DIRECT)
    block = aligned(8192)
    say("read f", got(os.preadv, fd, [block], 0))
    say("f", same(block[:len(BASE)], BASE))
    os.close(fd)


@case
def appending(say):
    """By two processes at once no line is lost or torn."""
    def body(letter):
        fd = os.open("g", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for i in range(500):
            os.write(fd, b"%c%06d\n" % (letter, i) * 3)
    for waiting in [child(lambda letter=letter: body(letter)) for letter in b"ab"]:
        say("writer", waiting())
    lines = read("g").split(b"\n")[:-1]
    say("lines", len(lines))
    os.unlink("g")  # whose lines are in no order of their own
    for letter in b"ab":
        own = [line for line in lines if line[:1] == bytes([letter])]
        say(f"in order {letter}", own == [b"%c%06d" % (letter, i // 3) for i in range(1500)])
    fd = os.open("f", os.O_WRONLY | os.O_APPEND)
    os.lseek(fd, 0, os.SEEK_SET)
    say("after a seek", got(os.write, fd, b"tail"))
    say("place", os.lseek(fd, 0, os.SEEK_CUR))
    say("pwrite appends, too", got(os.pwrite, fd, b"more", 0))
    say("f", same(read("f"), BASE + b"tailmore"))
    os.close(fd)


@case
def maps(say):
    fd = os.open("f", os.O_RDWR)
    shared, private = mmap.mmap(fd, len(BASE)), mmap.mmap(fd, len(BASE), mmap.MAP_PRIVATE)
    say("reads", same(shared[:], BASE))
    private[0:7] = b"private"
    say("private stays private", same(read("f"), BASE))
    shared[10:16] = b"shared"
    say("shared is read", same(read("f"), BASE[:10] + b"shared" + BASE[16:]))
    say("msync", got(lambda: shared.flush()))
    os.pwrite(fd, b"written", 100)
    say("a write is in the map", same(shared[100:107], b"written"))
    say("by another process", apart(lambda: same(read("f")[100:107], b"written")))
    os.close(fd)
    shared[200:206] = b"closed"
    shared.close()
    say("after the close of both", same(read("f")[200:206], b"closed"))
    say("size", os.stat("f").st_size)
    os.truncate("f", 100)
    say("behind the end", apart(lambda: touch_behind("f")))
    write("empty", b"")
    fd = os.open("g", os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, 3 * MIB)
    with mmap.mmap(fd, 3 * MIB) as block:
        for place in range(0, 3 * MIB, 4096):
            block[place] = place // 4096 % 251
        os.unlink("g")
        block.flush()
    wanted = b"".join(bytes([i % 251]) + bytes(4095) for i in range(768))
    say("each page of an unlinked one", same(os.pread(fd, 3 * MIB, 0), wanted))
    os.close(fd)
    fd = os.open("x", os.O_RDONLY)
    say("writable of a read-only one", got(lambda: mmap.mmap(fd, 10)))
    os.close(fd)


def touch_behind(path):
    """The rest of the last page is zero; a page behind it is SIGBUS."""
    fd = os.open(path, os.O_RDWR)
    address = libc.mmap
    address.restype = ctypes.c_void_p
    start = address(None, ctypes.c_size_t(8192), 3, 1, fd, ctypes.c_long(0))
    rest = ctypes.string_at(start + 100, 3996)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.string_at(start + 4096, 1)
        os._exit(0)
    return f"{same(rest, bytes(3996))}, signal {os.waitpid(pid, 0)[1] & 127}"


@case
def syncs(say):
    for path, flags in (("f", os.O_RDWR), ("f", os.O_RDONLY), ("d", os.O_RDONLY)):
        fd = os.open(path, flags)
        for call in (os.fsync, os.fdatasync):
            say(f"{call.__name__} {path} {flags}", got(call, fd))
        os.close(fd)
    fd = os.open("g", os.O_CREAT | os.O_WRONLY | os.O_SYNC)
    say("O_SYNC", got(os.write, fd, b"x"))
    os.close(fd)
    say("O_DSYNC", got(opens, "f", os.O_WRONLY | os.O_DSYNC))
    fd = os.open("g", os.O_PATH)
    say("of a path", got(os.fsync, fd))
    os.close(fd)


@case
def readers_and_writers(say):
    """What one process wrote another reads, at once, whatever it had read before."""
    fd = os.open("f", os.O_RDONLY)
    say("before", same(os.pread(fd, 9999, 0), BASE))
    for i, data in enumerate((b"short", b"longer than before\n" * 1000, b"", b"end")):
        say(f"writer {i}", child(lambda data=data: write("f", data))())
        say(f"reader {i}", f"{os.fstat(fd).st_size} {same(os.pread(fd, 99999, 0), data)}")
        say(f"by name {i}", same(read("f"), data))
    os.close(fd)
