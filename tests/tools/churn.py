#!/usr/bin/python3
"""Changes a folder of a mount, keeps a record outside of what was acknowledged, and
later compares the two: for tests that kill the daemon in between.

    churn.py begin RECORD [CHECKOUT]     the folder is empty, or as this checkout of it
    churn.py script DIR RECORD           every kind of change once, large and small
    churn.py rewrite DIR RECORD MIB      a few files again and again, so many MiB of it
    churn.py large DIR RECORD            one more large file
    churn.py load DIR RECORD SEED STOP   at random, until a file STOP is there
    churn.py check DIR RECORD            what was acknowledged is there, and nothing else

RECORD.state is what the folder was at the last check, RECORD.log what has happened
since: each change before it is tried, a word when the system call has returned. One
that was under way when the daemon died may have happened or not; of one that writes
contents each byte may. Which it was is taken up into RECORD.state.

The four in the middle end well, too, where the mount dies under them: ENOTCONN, or
ECONNABORTED; or EIO, and the mount is dead: that is what the kernel says of a request
that it was just handing over. What else they are told by the mount ends them with 1,
but for an errno in CHURN_RETRY: then the same change must work the second time; or in
CHURN_END: as if the mount had died.
"""
import errno
import json
import os
import pickle
import random
import stat
import sys
import time

sys.dont_write_bytecode = True
from churnmodel import Folder, Model, Node, below, contents

DEAD = {errno.ENOTCONN, errno.ECONNABORTED}
SMALL, LARGE = 3000, 1 << 20    # bytes; between them the overlay's limit for its journal
FILES_MAX = 60                  # of a random load


def errnos(name):
    return {getattr(errno, word) for word in os.environ.get(name, "").split(",") if word}


class Record:
    """What was acknowledged, in files beside the mount."""

    def __init__(self, path):
        self.path = path
        with open(path + ".state", "rb") as file:
            self.model = pickle.load(file)
        self.under_way = None
        self.changes = 0
        with open(path + ".log", encoding="utf-8") as file:
            for line in file:
                self.replay(line)
        self.log = open(path + ".log", "a", buffering=1, encoding="utf-8")

    def replay(self, line):
        if line.startswith("["):
            self.under_way = json.loads(line)
        else:
            if line == "done\n":
                self.model.apply(self.under_way)
                self.changes += 1
            self.under_way = None

    def settle(self, model):
        """The folder is known again: a new state, an empty log."""
        with open(self.path + ".new", "wb") as file:
            pickle.dump(model, file)
        os.rename(self.path + ".new", self.path + ".state")
        self.log.truncate(0)


class Died(Exception):
    pass


class Changer:
    """Makes changes in the folder and in its record."""

    def __init__(self, root, path):
        os.umask(0)
        self.folder = Folder(root)
        self.record = Record(path)
        self.model = self.record.model
        self.retry, self.end = errnos("CHURN_RETRY"), errnos("CHURN_END")
        if self.record.under_way is not None:
            sys.exit("a change was under way: check first")

    def is_dead(self, number):
        """Whether an EIO comes from that. A daemon takes some time to die."""
        deadline = time.monotonic() + (3 if number == errno.EIO else 0)
        while time.monotonic() < deadline:
            try:
                os.statvfs(self.folder.root)
            except OSError as error:
                return error.errno in DEAD
            time.sleep(0.05)
        return False

    def change(self, *change):
        for tries in range(2):
            self.record.log.write(json.dumps(change) + "\n")
            try:
                self.folder.apply(change)
            except OSError as error:
                if error.errno in DEAD | self.end or self.is_dead(error.errno):
                    raise Died from error
                self.record.log.write("failed\n")
                if error.errno in self.retry and tries == 0:
                    continue
                sys.exit(f"{change}: {error}")
            self.record.log.write("done\n")
            self.model.apply(change)
            return


def find(model, kind):
    return sorted(path for path, node in model.names.items() if node.kind == kind)


def script_base(changer):
    """Files and folders of the base, contents of which may not have been fetched."""
    change, model = changer.change, changer.model
    files, folders = find(model, "f"), find(model, "d")
    if len(files) < 8 or not folders:
        return
    change("write", files[0], 10, 100, "into the base")
    change("append", files[1], 5000, "behind the base")
    change("truncate", files[2], 0)
    change("truncate", files[3], 7)
    change("rename", files[4], "moved base")
    change("unlink", files[5])
    change("chmod", files[6], 0o755)
    change("link", files[7], "linked base")
    change("write", "linked base", 3, 30, "through the link")
    change("rename", folders[0], "moved folder")
    change("create", "moved folder/new in it", 0o644)


def script_names(changer):
    change = changer.change
    change("mkdir", "d", 0o755)
    change("mkdir", "d/e", 0o700)
    change("create", "d/one", 0o644)
    change("write", "d/one", 0, SMALL, 1)
    change("create", "two", 0o640)
    change("append", "two", SMALL, 2)
    change("symlink", "d/one", "symlink")
    change("link", "two", "d/two again")
    change("fifo", "fifo", 0o600)
    change("rename", "d/one", "d/e/one")
    change("rename", "two", "d/e/one")
    change("exchange", "d/e", "d/two again")
    change("exchange", "d/e", "d/two again")
    change("mkdir", "gone", 0o755)
    change("rmdir", "gone")
    change("orphan", "orphan", SMALL, 3)
    change("orphan", "large orphan", LARGE, 4)
    change("chmod", "d", 0o2775)
    change("utime", "d/e/one", 1234567890123456789)
    change("rename", "d", "d2")
    change("fsync", "d2/e/one")
    change("fsync", "d2")


def script_contents(changer):
    change = changer.change
    change("create", "large", 0o644)
    change("write", "large", 0, LARGE, 10)
    change("write", "large", 4000, 5000, 11)
    change("append", "large", SMALL, 12)
    change("fsync", "large")
    change("create", "grows", 0o644)
    for step in range(24):
        change("append", "grows", SMALL, 20 + step)
    change("truncate", "grows", 5000)
    change("truncate", "grows", 200000)
    change("punch", "large", 8192, 65536)
    change("create", "copy", 0o600)
    change("copy", "large", "copy", LARGE)
    change("create", "sparse", 0o644)
    change("write", "sparse", 3 * LARGE, SMALL, 13)
    # As editors save.
    change("create", "save.tmp", 0o644)
    change("write", "save.tmp", 0, 2 * SMALL, 14)
    change("fsync", "save.tmp")
    change("rename", "save.tmp", "large")
    change("unlink", "copy")


def script(changer):
    script_base(changer)
    script_names(changer)
    script_contents(changer)


def rewrite(changer, mib):
    size = 16384
    for path in ("rewritten", "rewritten too"):
        if path not in changer.model.names:
            changer.change("create", path, 0o644)
    for step in range(mib * (1 << 20) // size):
        changer.change("write", ("rewritten", "rewritten too")[step % 2],
                       step % 3 * 1000, size, step)


def large(changer):
    path = f"large {len(changer.model.names)}"
    changer.change("create", path, 0o644)
    changer.change("write", path, 0, LARGE, path)


def random_write(pick, path, node):
    length = pick.choice((1, 100, SMALL, SMALL, 20000, 50000, 200000))
    if pick.random() < 0.3:
        return ["append", path, length % 30000, pick.random()]
    return ["write", path, pick.randrange(len(node.data) + 1), length, pick.random()]


def random_change(pick, model):
    """One that is possible, or None."""
    files, folders = find(model, "f"), find(model, "d") + [""]
    some = pick.choice(sorted(model.names) or [""])
    new = os.path.join(pick.choice(folders), f"n{pick.randrange(10 * FILES_MAX)}")
    kind = pick.choice(("create",) * 4 + ("mkdir", "symlink", "fifo", "link", "orphan") +
                       ("write",) * 12 + ("truncate", "punch", "copy", "chmod", "utime") +
                       ("rename",) * 3 + ("over", "over", "exchange", "unlink", "fsync"))
    if kind in ("create", "mkdir", "fifo", "link", "symlink", "rename", "orphan"):
        if new in model.names or len(model.names) > FILES_MAX and kind != "rename":
            kind = "unlink"
    if kind in ("create", "mkdir", "fifo"):
        return [kind, new, pick.choice((0o644, 0o755, 0o700))]
    if kind == "symlink":
        return [kind, "to " + new, new]
    if kind == "orphan":
        return [kind, new, pick.choice((100, SMALL, 100000)), pick.random()]
    if kind in ("rename", "exchange", "unlink"):
        return random_name(pick, model, kind, some, new)
    if not files:
        return None
    path, other = pick.choice(files), pick.choice(files)
    node = model.names[path]
    return {
        "link": ["link", path, new],
        "write": random_write(pick, path, node),
        "truncate": ["truncate", path, pick.choice((0, len(node.data) // 2, 40000))],
        "punch": ["punch", path, pick.randrange(len(node.data) + 1), 5000],
        "copy": ["copy", path, other, 60000] if node is not model.names[other] else None,
        "chmod": ["chmod", path, pick.choice((0o600, 0o644, 0o755))],
        "utime": ["utime", path, pick.randrange(1 << 60)],
        "over": ["rename", path, other],
        "fsync": ["fsync", path],
    }[kind]


def random_name(pick, model, kind, some, new):
    if some == "":
        return None
    if kind == "rename":
        return [kind, some, new] if not below(new, some) else None
    if kind == "exchange":
        other = pick.choice(sorted(model.names))
        return [kind, some, other] if not below(some, other) and not below(other, some) else None
    if model.names[some].kind != "d":
        return ["unlink", some]
    empty = not any(path.startswith(some + "/") for path in model.names)
    return ["rmdir", some] if empty else None


def load(changer, seed, stop):
    pick = random.Random(seed)
    while not os.path.exists(stop):
        change = random_change(pick, changer.model)
        if change is not None:
            changer.change(*change)


def take(root):
    """A folder as it is: path -> Node."""
    names = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            node = Node({stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l",
                         stat.S_IFIFO: "p"}[stat.S_IFMT(st.st_mode)], stat.S_IMODE(st.st_mode))
            if node.kind == "f":
                with open(path, "rb") as file:
                    node.data = file.read()
                if st.st_size != len(node.data):
                    raise SystemExit(f"{path}: has {len(node.data)} bytes, says {st.st_size}")
            elif node.kind == "l":
                node.target = os.readlink(path)
            node.mtime = st.st_mtime_ns
            names[os.path.relpath(path, root)] = node
    return names


def first_difference(old, new):
    for at, pair in enumerate(zip(old, new)):
        if pair[0] != pair[1]:
            return at
    return min(len(old), len(new))


def differences(wanted, found, but=()):
    """Words on each path that is otherwise."""
    words = []
    for path in sorted(set(wanted) | set(found)):
        want, have = wanted.get(path), found.get(path)
        if path in but:
            continue
        if want is None or have is None:
            words.append(f"{path}: " + ("is there" if want is None else "is missing"))
        elif want.kind != have.kind or want.target != have.target:
            words.append(f"{path}: is of kind {have.kind} {have.target}, not {want.kind}")
        elif want.data != have.data:
            words.append(f"{path}: {len(have.data)} bytes for {len(want.data)}, other from "
                         f"{first_difference(want.data, have.data)} on")
        elif want.mode is not None and want.kind != "l" and want.mode != have.mode:
            words.append(f"{path}: mode {have.mode:o}, not {want.mode:o}")
        elif want.mtime is not None and want.mtime != have.mtime:
            words.append(f"{path}: mtime {have.mtime}, not {want.mtime}")
    return words


def in_between(have, old, new):
    """Whether each byte is the old or the new one, and the size one of theirs or between."""
    low, high = sorted((len(old), len(new)))
    if not low <= len(have) <= high:
        return False
    old, new = old.ljust(len(have), b"\0"), new.ljust(len(have), b"\0")
    return all(byte in pair for byte, *pair in zip(have, old, new))


def after_partly(record, done, found):
    """The state after a change of contents that happened in part; None: it did not."""
    change = record.under_way
    if change[0] == "orphan":
        paths, old, new = {change[1]}, b"", contents(change[3], change[2])
        have = found.get(change[1], Node("f")).data
    elif change[0] in ("write", "append", "truncate", "punch", "copy"):
        path = change[2] if change[0] == "copy" else change[1]
        node = record.model.names[path]
        paths = {name for name, other in record.model.names.items() if other is node}
        old, new = node.data, done.names[path].data
        if path not in found:
            return None
        have = found[path].data
    else:
        return None
    if differences(record.model.names, found, paths) or not in_between(have, old, new):
        return None
    for path in paths & set(found):
        if found[path].data != have or found[path].kind != "f":
            return None
        after = record.model.names.setdefault(path, Node("f"))
        after.set_data(have)
        after.mode = found[path].mode
    return record.model


def check(root, path):
    """Exits with words where the folder is not as it must be."""
    record = Record(path)
    found = take(root)
    words = differences(record.model.names, found)
    after = record.model if not words else None
    if after is None and record.under_way is not None:
        done = pickle.loads(pickle.dumps(record.model))
        done.apply(record.under_way)
        after = done if not differences(done.names, found) else after_partly(record, done, found)
    if after is None:
        sys.exit("\n".join([f"{len(words)} differences after {record.changes} changes, "
                            f"under way: {record.under_way}"] + words[:20]))
    print(f"{record.changes} changes")
    record.settle(after)


def begin(path, checkout=None):
    model = Model()
    if checkout is not None:
        model.names = take(checkout)
    for node in model.names.values():
        node.mtime = None
        # git knows two modes of files, and none of folders.
        node.mode = (0o755 if node.mode & 0o100 else 0o644) if node.kind == "f" else None
    with open(path + ".state", "wb") as file:
        pickle.dump(model, file)
    with open(path + ".log", "w", encoding="utf-8"):
        pass


def main(command, *args):
    if command == "begin":
        return begin(*args)
    if command == "check":
        return check(*args)
    changer = Changer(*args[:2])
    try:
        if command == "script":
            script(changer)
        elif command == "rewrite":
            rewrite(changer, int(args[2]))
        elif command == "large":
            large(changer)
        else:
            load(changer, int(args[2]), args[3])
    except Died:
        print("the mount died")
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
