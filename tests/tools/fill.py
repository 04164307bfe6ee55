#!/usr/bin/python3
"""Fills a folder with files of known contents, and says whether they are as written.

    fill.py fill FOLDER PREFIX SIZE MANIFEST [LIMIT]   files of SIZE bytes until an operation
                                 fails; those that were closed well stand in MANIFEST. Prints
                                 how many, what failed and with which error
    fill.py check FOLDER MANIFEST   names what is missing or differs; prints how many are right

The contents are made from the name, so the manifest is only names and sizes. What the
failed operation left of its file has to be a beginning of it, and is removed.
"""
import errno
import os
import random
import sys

PIECE = 1 << 18


def contents(name, size):
    """Not compressible, and different from page to page."""
    return random.Random(name).randbytes(size)


def write_file(path, data):
    """What was being done is told with the error."""
    doing = "open"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            doing = "write"
            done = 0
            while done < len(data):
                done += os.write(fd, data[done:done + PIECE])
        finally:
            os.close(fd)
    except OSError as error:
        return doing, error.errno
    return None


def take_away(path, data):
    """The rest of a file that could not be written."""
    try:
        with open(path, "rb") as file:
            if not data.startswith(file.read()):
                sys.exit(f"{path}: what is left of it was never written")
        os.unlink(path)
    except FileNotFoundError:
        pass


def fill(folder, prefix, size, manifest, limit=1000000):
    with open(manifest, "a", encoding="utf-8") as record:
        for number in range(int(limit)):
            name = f"{prefix}{number:06}"
            data = contents(name, size)
            path = os.path.join(folder, name)
            failed = write_file(path, data)
            if failed:
                take_away(path, data)
                print(number, failed[0], errno.errorcode[failed[1]])
                return
            record.write(f"{name} {size}\n")
    print(limit, "files")


def check(folder, manifest):
    right = wrong = 0
    with open(manifest, encoding="utf-8") as record:
        for line in record:
            name, size = line.split()
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    good = file.read() == contents(name, int(size))
            except OSError as error:
                good = False
                print(name, error.strerror)
            if not good:
                wrong += 1
                if wrong < 10:
                    print(f"{name} is not as it was written")
            right += good
    print(right)
    sys.exit(wrong > 0)


if sys.argv[1] == "fill":
    fill(sys.argv[2], sys.argv[3], int(sys.argv[4]), *sys.argv[5:])
else:
    check(sys.argv[2], sys.argv[3])
