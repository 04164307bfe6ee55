#!/usr/bin/python3
"""Writers that leave little behind: what a journal must not grow by.

    rewrite.py FOLDER COUNT RECORD

writes one file of 20 KiB COUNT times, and makes, renames and removes files meanwhile.
RECORD gets the hash of what is there at the end.
"""
import hashlib
import os
import random
import sys
import threading

SIZE = 20 << 10


def make_and_remove(folder, stop):
    turn = 0
    while not stop.is_set():
        path = os.path.join(folder, f"short-lived{turn % 50}")
        with open(path, "wb", buffering=0) as file:
            file.write(random.Random(turn).randbytes(3000))
        if turn % 2:
            os.rename(path, path + "x")
            os.unlink(path + "x")
        else:
            os.unlink(path)
        turn += 1


def main():
    folder, count, record = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    stop = threading.Event()
    other = threading.Thread(target=make_and_remove, args=(folder, stop))
    other.start()
    data = bytearray(random.Random(1).randbytes(SIZE))
    try:
        fd = os.open(os.path.join(folder, "rewritten"), os.O_WRONLY | os.O_CREAT, 0o644)
        for turn in range(count):
            data[turn % SIZE] = turn & 255
            os.pwrite(fd, data, 0)
        os.close(fd)
    finally:
        stop.set()
        other.join()
    with open(record, "w", encoding="ascii") as file:
        file.write(hashlib.sha1(data).hexdigest() + "\n")


main()
