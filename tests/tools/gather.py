#!/usr/bin/python3
"""What a writable mount has to keep where the kernel gathers writes (-o writeback).

    gather.py change DIR RECORD   writes, appends, maps, truncates; RECORD gets what every
                                  file is then
    gather.py synced DIR RECORD   the same of files that are fsynced or closed; some more are
                                  written and left open: it prints "ready" and waits
    gather.py check DIR RECORD    names what is not so

A record is lines of JSON: name, size, hash, mtime. A modification time may have become up
to a second later, as the kernel does not tell one that it did not see move.
"""
import hashlib
import json
import mmap
import os
import random
import sys
import time

LATER_NS = 1000000000


def noise(name, size):
    return random.Random(name).randbytes(size)


def small_writes(path, data, piece):
    with open(path, "wb", buffering=0) as file:
        for at in range(0, len(data), piece):
            file.write(data[at:at + piece])


def append_by_two(path, lines):
    """Two processes with O_APPEND: each line is there once and whole."""
    children = []
    for who in "ab":
        child = os.fork()
        if child == 0:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            for number in range(lines):
                os.write(fd, f"{who} {number:06}\n".encode())
            os._exit(0)
        children.append(child)
    for child in children:
        if os.waitpid(child, 0)[1] != 0:
            sys.exit(f"{path}: a process that appends failed")
    with open(path, encoding="ascii") as file:
        seen = file.read().splitlines()
    for who in "ab":
        if [line for line in seen if line[0] == who] != \
                [f"{who} {number:06}" for number in range(lines)]:
            sys.exit(f"{path}: lines of {who} are missing, cut or out of order")


def through_mapping(path, data):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    os.ftruncate(fd, len(data))
    with mmap.mmap(fd, len(data)) as pages:
        pages[:] = data
    os.close(fd)


def change(folder):
    """All of them closed; nothing synced."""
    os.chdir(folder)
    small_writes("small", noise("small", 20000), 100)
    small_writes("large", noise("large", 3000001), 4000)
    append_by_two("appended", 3000)
    through_mapping("mapped", noise("mapped", 200000))
    through_mapping("sizes/s131072", noise("base", 140000))
    for path in ("sizes/s4096", "sizes/s1048577"):  # of the base, in part
        with open(path, "r+b", buffering=0) as file:
            file.seek(1000)
            file.write(b"in the middle")
            file.seek(0, 2)
            file.write(b"at the end")
    small_writes("shorter", noise("shorter", 500000), 5000)
    os.truncate("shorter", 123457)
    small_writes("longer", noise("longer", 1000), 10)
    os.truncate("longer", 400000)
    with open("holes", "wb", buffering=0) as file:
        for at in (0, 100000, 5000000):
            file.seek(at)
            file.write(b"island")
    small_writes("dated", noise("dated", 60000), 1000)
    os.utime("dated", ns=(1234567890123456789, 1345678901234567890))
    small_writes("over", noise("old", 50000), 1000)
    small_writes("new", noise("new", 45000), 1000)
    os.rename("new", "over")
    return ["small", "large", "appended", "mapped", "sizes/s131072", "sizes/s4096",
            "sizes/s1048577", "shorter", "longer", "holes", "dated", "over"]


def synced(folder):
    os.chdir(folder)
    paths = []
    for count, size in enumerate((10, 5000, 40000, 700000)):
        for how in ("closed", "fsynced", "fdatasynced", "mapped"):
            path = f"{how}{count}"
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            data = noise(path, size)
            if how == "mapped":
                os.ftruncate(fd, size)
                pages = mmap.mmap(fd, size)
                pages[:] = data
                pages.flush()
            else:
                for at in range(0, size, 1000):
                    os.write(fd, data[at:at + 1000])
            if how == "closed":
                os.close(fd)
            elif how == "fsynced":
                os.fsync(fd)
            elif how == "fdatasynced":
                os.fdatasync(fd)
            paths.append(path)
    return paths


def facts(path):
    st = os.stat(path)
    with open(path, "rb") as file:
        data = file.read()
    return {"path": path, "size": st.st_size, "read": len(data), "mtime": st.st_mtime_ns,
            "hash": hashlib.sha1(data).hexdigest()}


def record(paths, to):
    with open(to, "w", encoding="utf-8") as file:
        for path in paths:
            file.write(json.dumps(facts(path)) + "\n")


def check(folder, known):
    with open(known, encoding="utf-8") as file:
        wanted = [json.loads(line) for line in file]
    os.chdir(folder)
    wrong = 0
    for was in wanted:
        now = facts(was["path"])
        moved = now.pop("mtime") - was.pop("mtime")
        if now != was or not 0 <= moved < LATER_NS:
            wrong += 1
            print(f"was {was}\nis  {now}, {moved} ns later")
    print(len(wanted))
    sys.exit(wrong > 0 or not wanted)


to = os.path.abspath(sys.argv[3])
if sys.argv[1] == "check":
    check(sys.argv[2], to)
elif sys.argv[1] == "change":
    record(change(sys.argv[2]), to)
else:
    record(synced(sys.argv[2]), to)
    for rest in range(3):
        unsure = os.open(f"open{rest}", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(unsure, noise(f"open{rest}", 60000))
    print("ready", flush=True)
    time.sleep(60)
