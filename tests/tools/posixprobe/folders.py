"""Reading folders: each name once, none missed, whatever happens meanwhile."""
import ctypes
import os

from kit import (EXCHANGE, MANY, TICK_S, case, checked, child, got, kind_of, libc, links_of, rename,
                 stable_name, write)
import time

libc.opendir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
libc.readdir.restype = ctypes.c_void_p

STABLE = {os.path.basename(stable_name(i)) for i in range(MANY)}


class Folder:
    """libc's own reading of a folder, which os.scandir does not show."""

    def __init__(self, path):
        self.stream = ctypes.c_void_p(libc.opendir(os.fsencode(path)))
        checked(0 if self.stream.value else -1)

    def next(self):
        entry = libc.readdir(self.stream)
        # struct dirent: ino 8, off 8, reclen 2, type 1, name
        return os.fsdecode(ctypes.string_at(entry + 19)) if entry else None

    def rest(self):
        return list(iter(self.next, None))

    def tell(self):
        return libc.telldir(self.stream)

    def seek(self, place):
        libc.seekdir(self.stream, ctypes.c_long(place))

    def close(self):
        libc.closedir(self.stream)


@case(many=True)
def folder_is_whole(say):
    names = os.listdir("many")
    say("count", len(names))
    say("each once", len(set(names)))
    say("all", set(names) == STABLE)
    folder = Folder("many")
    names = folder.rest()
    say("dots", f"{names.count('.')} {names.count('..')}")
    say("after the end", folder.next())
    folder.seek(0)
    libc.rewinddir(folder.stream)
    say("after a rewind", sorted(folder.rest()) == sorted(names))
    folder.close()
    kinds = {entry.name: (entry.is_file(follow_symlinks=False), entry.is_dir(follow_symlinks=False),
                          entry.is_symlink()) for entry in os.scandir(".")}
    say("kinds", " ".join(f"{name} {sum(2 ** i for i, yes in enumerate(kinds[name]) if yes)}"
                          for name in sorted(kinds)))
    say("inodes agree", all(entry.inode() == os.lstat(entry.path).st_ino
                            for entry in os.scandir("many")))


@case(many=True)
def folder_places(say):
    """seekdir goes back to each place that telldir gave."""
    folder = Folder("many")
    first = []
    while True:
        place, name = folder.tell(), folder.next()
        if name is None:
            break
        first.append((place, name))
    wrong = 0
    for place, name in first[::-7]:
        folder.seek(place)
        wrong += folder.next() != name
    say("wrong", wrong)
    folder.seek(first[MANY // 2][0])
    say("the rest", folder.rest() == [name for _, name in first[MANY // 2:]])
    folder.close()


@case(many=True)
def folder_emptied_while_read(say):
    """As rm -r does it."""
    folder, seen = Folder("many"), []
    while True:
        name = folder.next()
        if name is None:
            break
        if name not in (".", ".."):
            seen.append(name)
            os.unlink("many/" + name)
    folder.close()
    say("seen", len(seen))
    say("each once", len(set(seen)))
    say("left", len(os.listdir("many")))
    say("rmdir", got(os.rmdir, "many"))


@case(many=True)
def folder_changed_while_read(say):
    """Names that stay are seen once by each pass, others at most once."""
    started = time.monotonic()

    def churn():
        i = 0
        while time.monotonic() - started < 1.0:
            write(f"many/churn-{i:07d}", b"")
            if i >= 40:
                os.unlink(f"many/churn-{i - 40:07d}")
            if i % 16 == 0:
                os.rename(f"many/churn-{i:07d}", f"many/moved-{i:07d}")
                os.rename(f"many/moved-{i:07d}", f"many/churn-{i:07d}")
            i += 1

    waits = [child(churn)]
    passes = missed = doubled = 0
    while time.monotonic() - started < 1.0:
        names = os.listdir("many")
        missed += len(STABLE - set(names))
        # A name of churn- that was away and came again may be there twice.
        steady = [name for name in names if name in STABLE]
        doubled += len(steady) - len(set(steady))
        passes += 1
    say("passes", passes > 3)
    say("missed", missed)
    say("doubled", doubled)
    say("writers", [wait() for wait in waits])
    names = set(os.listdir("many"))
    say("at last", STABLE <= names and len(names) - MANY in range(39, 43))
    for name in names - STABLE:  # how many there were depends on time
        os.unlink("many/" + name)


@case
def folder_read_after_change(say):
    """A list that was read before knows of each change."""
    def names():
        return " ".join(sorted(os.listdir("d")))
    say("first", names())
    for word, call, args in (("create", write, ("d/a", b"")), ("mkdir", os.mkdir, ("d/b",)),
                             ("symlink", os.symlink, ("a", "d/c")),
                             ("link", os.link, ("d/a", "d/e")),
                             ("rename", os.rename, ("d/a", "d/z")),
                             ("rename out", os.rename, ("d/z", "z")),
                             ("rename in", os.rename, ("f", "d/f")),
                             ("unlink", os.unlink, ("d/inside",)), ("rmdir", os.rmdir, ("d/b",))):
        say(word, f"{got(call, *args)} {names()}")
    say("absent names stay absent", f"{kind_of('d/inside')} {kind_of('d/b')} {kind_of('d/a')}")
    write("d/inside", b"new")
    say("and come back", f"{kind_of('d/inside')} {names()}")


@case
def folder_links(say):
    """A folder has two names, and one in each of its subfolders."""
    def counts():
        return " ".join(str(links_of(path)) for path in (".", "d", "e", "e2") if os.path.exists(path))
    os.listdir(".")
    os.listdir("d")
    say("first", counts())
    for word, call, args in (("mkdir", os.mkdir, ("e",)), ("mkdir e2", os.mkdir, ("e2",)),
                             ("inside", os.mkdir, ("e/sub",)), ("file", write, ("e/file", b"")),
                             ("moved", os.rename, ("e/sub", "e2/sub")),
                             ("to d", os.rename, ("e2/sub", "d/sub")),
                             ("d to e2", os.rename, ("d", "e2/d")),
                             ("and back", os.rename, ("e2/d", "d")),
                             ("over", os.rename, ("d/sub", "e2")), ("exchange", rename,
                                                                    ("e", "f", EXCHANGE)),
                             ("rmdir", os.rmdir, ("e2",))):
        say(word, f"{got(call, *args)} {counts()}")
    os.mkdir("gone")
    fd = os.open("gone", os.O_RDONLY)
    os.rmdir("gone")
    say("removed", os.fstat(fd).st_nlink)
    os.close(fd)


@case
def folder_many_new(say):
    os.mkdir("e")
    for i in range(3000):
        os.close(os.open(f"e/{i}", os.O_CREAT | os.O_WRONLY))
    say("count", len(set(os.listdir("e"))))
    for i in range(0, 3000, 2):
        os.unlink(f"e/{i}")
    say("half", len(os.listdir("e")))
    say("which", {int(name) % 2 for name in os.listdir("e")})
    say("not empty", got(os.rmdir, "e"))
    time.sleep(TICK_S)
    for i in range(1, 3000, 2):
        os.unlink(f"e/{i}")
    say("empty", got(os.rmdir, "e"))
