#!/usr/bin/python3
"""Compares a folder with a commit: names as bytes, kinds, modes, targets, contents.

    compare-tree.py [--owner UID:GID] [--mtime SECONDS] [--except PATH]... DIR REPO COMMIT

The commit is read with `git ls-tree` and `git cat-file`, so that nothing between the
objects and the files (attributes, ends of lines, export-ignore) can hide a difference.
Every file has the mode that git would give it under umask 022; folders of submodules
are empty. Exits 0 where all is equal, else 1 with the first differences on stdout.
"""
import argparse
import hashlib
import os
import stat
import subprocess
import sys
import threading

CHUNK = 1 << 20
SHOWN = 20
MODES = {b"100644": 0o644, b"100664": 0o644, b"100600": 0o644, b"100755": 0o755,
         b"100775": 0o755, b"120000": 0o777, b"040000": 0o755, b"160000": 0o755}


def blobs_of(repo, oids):
    """oid -> (length, SHA-256), and the bytes too where they are few."""
    git = subprocess.Popen(["git", "-C", repo, "cat-file", "--batch", "--buffer"],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask():
        for oid in oids:
            git.stdin.write(oid + b"\n")
        git.stdin.close()

    writer = threading.Thread(target=ask)
    writer.start()
    found = {}
    for _ in oids:
        oid, kind, size = git.stdout.readline().split()
        assert kind == b"blob", kind
        left, digest, data = int(size), hashlib.sha256(), b""
        while left > 0:
            data = git.stdout.read(min(left, CHUNK))
            assert data, "git cat-file ended early"
            digest.update(data)
            left -= len(data)
        assert git.stdout.read(1) == b"\n"
        found[oid] = (int(size), digest.digest(), data if int(size) <= CHUNK else None)
    writer.join()
    assert git.wait() == 0
    return found


def wanted_of(repo, commit):
    """path -> (kind, mode, length, digest or target)"""
    listing = subprocess.run(["git", "-C", repo, "ls-tree", "-r", "-t", "-z", "--full-tree", commit],
                             check=True, stdout=subprocess.PIPE).stdout
    entries = []
    for line in listing.split(b"\0")[:-1]:
        head, path = line.split(b"\t", 1)
        mode, _, oid = head.split()
        entries.append((path, mode, oid))
    blobs = blobs_of(repo, sorted({oid for _, mode, oid in entries
                                   if mode not in (b"040000", b"160000")}))
    wanted = {}
    for path, mode, oid in entries:
        if mode in (b"040000", b"160000"):
            wanted[path] = ("folder", MODES[mode], None, None)
        elif mode == b"120000":
            wanted[path] = ("link", MODES[mode], blobs[oid][0], blobs[oid][2])
        else:
            wanted[path] = ("file", MODES[mode], blobs[oid][0], blobs[oid][1])
    return wanted


def digest_of(path):
    digest, length = hashlib.sha256(), 0
    with open(path, "rb", buffering=0) as file:
        while data := file.read(CHUNK):
            digest.update(data)
            length += len(data)
    return length, digest.digest()


def look(path, found, args):
    """What stands at a path, and what is odd about it."""
    info = os.lstat(path)
    odd = []
    if args.owner and (info.st_uid, info.st_gid) != args.owner:
        odd.append(f"owner {info.st_uid}:{info.st_gid}")
    if args.mtime is not None and info.st_mtime_ns != args.mtime * 10**9:
        odd.append(f"mtime {info.st_mtime_ns}")
    if found is not None and found.inode() != info.st_ino:
        odd.append(f"inode {found.inode()} when listed, {info.st_ino} when asked")
    mode = stat.S_IMODE(info.st_mode)
    if stat.S_ISDIR(info.st_mode):
        return ("folder", mode, None, None), odd, info.st_ino
    if stat.S_ISLNK(info.st_mode):
        return ("link", mode, info.st_size, os.readlink(path)), odd, info.st_ino
    if not stat.S_ISREG(info.st_mode):
        return ("something else", mode, None, None), odd, info.st_ino
    length, digest = digest_of(path)
    if length != info.st_size:
        odd.append(f"{info.st_size} bytes when asked, {length} when read")
    return ("file", mode, length, digest), odd, info.st_ino


def compare(top, wanted, args):
    """Yields words for each difference."""
    inodes = {}
    seen = set()
    folders = [b""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(os.path.join(top, folder)) as entries:
                entries = list(entries)
        except OSError as error:
            yield f"{folder!r}: listing: {error.strerror}"
            continue
        for entry in entries:
            path = os.path.join(folder, entry.name)
            if path in seen:
                yield f"{path!r}: listed twice"
            seen.add(path)
            try:
                got, odd, inode = look(entry.path, entry, args)
            except OSError as error:
                yield f"{path!r}: {error.strerror}"
                continue
            if inode in inodes:
                yield f"{path!r}: has the inode of {inodes[inode]!r}"
            inodes[inode] = path
            if got[0] == "folder":
                folders.append(path)
            if path not in wanted:
                yield f"{path!r}: not in the commit"
            elif got != wanted[path]:
                yield f"{path!r}: {got} instead of {wanted[path]}"
            for words in odd:
                yield f"{path!r}: {words}"
    for path in sorted(set(wanted) - seen):
        yield f"{path!r}: missing"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--owner", type=lambda text: tuple(int(n) for n in text.split(":")))
    parser.add_argument("--mtime", type=int)
    parser.add_argument("--except", dest="left_out", action="append", default=[],
                        type=os.fsencode)
    parser.add_argument("dir", type=os.fsencode)
    parser.add_argument("repo")
    parser.add_argument("commit")
    args = parser.parse_args()
    wanted = wanted_of(args.repo, args.commit)
    for path in args.left_out:
        del wanted[path]
    count = 0
    for words in compare(args.dir, wanted, args):
        count += 1
        if count <= SHOWN:
            print(words)
    if count > SHOWN:
        print(f"and {count - SHOWN} more")
    print(f"{len(wanted)} entries compared, {count} differences")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
