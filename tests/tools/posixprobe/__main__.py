#!/usr/bin/python3
"""Says what a filesystem does in all the cases that POSIX and Linux have rules for.

    posixprobe layout DIR      makes the files of all cases, to be committed with git
    posixprobe local DIR       runs all cases in DIR, on files that it makes there
    posixprobe base DIR        on files that are there, as a checkout has them
    posixprobe list DIR        what there is below DIR: kinds, modes, sizes, digests
    posixprobe --only REGEX ...   these cases alone

It knows no right answers: the same run on ext4 has them. kit.py says what a case is.
"""
import argparse
import hashlib
import os
import re
import stat
import sys

sys.dont_write_bytecode = True  # nothing is left in the checkout

import kit
# Each of them registers its cases.
import data  # noqa: F401
import folders  # noqa: F401
import locks  # noqa: F401
import names  # noqa: F401
import renames  # noqa: F401
import rights  # noqa: F401
import times  # noqa: F401
import xattrs  # noqa: F401


def list_tree(top):
    """One line for each name, sorted by bytes."""
    lines = []
    for folder, subfolders, files in os.walk(os.fsencode(top)):
        for name in subfolders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            words = f"{status.st_mode:06o} {status.st_uid}:{status.st_gid}"
            if stat.S_ISREG(status.st_mode):
                words += f" {status.st_size} {hashlib.sha1(kit.read(path)).hexdigest()}"
            elif stat.S_ISLNK(status.st_mode):
                words += " -> " + hashlib.sha1(os.readlink(path)).hexdigest()
            elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                words += f" {os.major(status.st_rdev)},{os.minor(status.st_rdev)}"
            lines.append(f"{os.path.relpath(path, os.fsencode(top))!r} {words}")
    print("\n".join(sorted(lines)))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("layout", "local", "base", "list"))
    parser.add_argument("dir")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    top = os.path.abspath(args.dir)
    os.umask(0o022)
    if args.what == "list":
        list_tree(top)
        return
    root = os.geteuid() == 0
    for case in kit.CASES:
        if not re.search(args.only, case.name):
            continue
        if args.what in ("layout", "local"):
            kit.layout(os.path.join(top, case.name), case.many)
        if args.what != "layout" and (root or not case.needs_root):
            case.run(top)


if __name__ == "__main__":
    main()
