"""rename: every kind over every kind, with and without flags, and what is refused."""
import os

from kit import (BASE, EXCHANGE, NOREPLACE, OTHER, USER, case, got, kind_of, links_of, read, rename,
                 same, user_gets, write)

KINDS = ("absent", "file", "empty", "full", "link", "fifo")


def put(kind, path):
    if kind == "file":
        write(path, path.encode())
    elif kind in ("empty", "full"):
        os.mkdir(path)
        if kind == "full":
            write(path + "/" + path.replace("/", "-"), b"")
    elif kind == "link":
        os.symlink("nowhere", path)
    elif kind == "fifo":
        os.mkfifo(path)


def look(path):
    kind = kind_of(path)
    if kind == "reg":
        return "reg " + read(path).decode()
    if kind == "dir":
        return " ".join(["dir"] + sorted(os.listdir(path)))
    return kind


def matrix(say, flags):
    for first in KINDS:
        for second in KINDS:
            os.mkdir("m")
            os.mkdir("n")
            put(first, "m/a")
            put(second, "n/b")
            # Known to the kernel's caches before, as a shell would have them.
            os.listdir("m"), os.listdir("n"), kind_of("n/b")
            result = got(rename, "m/a", "n/b", flags)
            say(f"{first} over {second}", f"{result}; {look('m/a')}; {look('n/b')}; "
                f"{os.listdir('m')} {os.listdir('n')}")
            os.system("rm -rf m n")


@case
def rename_plain(say):
    matrix(say, 0)


@case
def rename_noreplace(say):
    matrix(say, NOREPLACE)


@case
def rename_exchange(say):
    matrix(say, EXCHANGE)


@case
def rename_refused(say):
    os.makedirs("a/b/c")
    os.symlink("a", "to-a")
    for old, new in (("a", "a/b"), ("a", "a/b/c/a"), ("a", "a"), ("a/b", "a"), ("a/b/c", "a"),
                     (".", "new"), ("a/.", "new"), ("a/..", "new"), ("a", "."), ("a", "a/.."),
                     ("absent", "new"), ("f", "absent/f"), ("f", "x/f"), ("f/below", "new"),
                     ("f", "new/"), ("f", "d/"), ("to-a/", "new"), ("", "new"), ("f", ""),
                     ("d", "a/b/c"), ("f", "f"), ("d", "d")):
        say(f"{old!r} to {new!r}", got(rename, old, new))
    say("exchange with itself", got(rename, "a", "a/b", EXCHANGE))
    say("exchange with its parent", got(rename, "a/b", "a", EXCHANGE))
    say("both flags", got(rename, "f", "x", NOREPLACE | EXCHANGE))
    say("an unknown flag", got(rename, "f", "x", 8))
    say("left", " ".join(sorted(os.listdir("."))))
    say("left in a", " ".join(sorted(os.listdir("a"))))


@case
def rename_known_files(say):
    """Of files and folders that git may know, and that somebody has open."""
    fd, over = os.open("f", os.O_RDWR), os.open("x", os.O_RDONLY)
    say("f over x", got(rename, "f", "x"))
    say("f", kind_of("f"))
    say("x", same(read("x"), BASE))
    say("by its descriptor", same(os.pread(fd, len(BASE), 0), BASE))
    say("links of the replaced", os.fstat(over).st_nlink)
    say("it reads", len(os.pread(over, 100, 0)))
    say("write by descriptor", got(os.pwrite, fd, b"LINE", 0))
    say("read by the new name", same(read("x"), b"LINE" + BASE[4:]))
    os.close(fd)
    os.close(over)
    fd = os.open("d", os.O_RDONLY)
    say("d to e", got(rename, "d", "e"))
    say("list by descriptor", os.listdir(fd))
    say("open below it", got(lambda: os.close(os.open("inside", os.O_RDWR, dir_fd=fd))))
    say("new below it", got(lambda: os.close(os.open("new", os.O_CREAT | os.O_RDWR, dir_fd=fd))))
    say("by its new name", " ".join(sorted(os.listdir("e"))))
    say("by its old name", kind_of("d/inside"))
    os.mkdir("d")
    say("a new d", os.listdir("d"))
    say("exchange d and e", got(rename, "d", "e", EXCHANGE))
    say("d then", " ".join(sorted(os.listdir("d"))))
    say("parent", os.stat("..", dir_fd=fd).st_ino == os.stat(".").st_ino)
    os.close(fd)
    say("exchange file and folder", got(rename, "x", "d", EXCHANGE))
    say("kinds", f"{kind_of('x')} {kind_of('d')} {kind_of('x/inside')}")
    say("exchange link and file", got(rename, "l", "d", EXCHANGE))
    say("kinds then", f"{kind_of('l')} {kind_of('d')}")


@case
def rename_chain(say):
    """Folders turned inside out keep their contents."""
    os.makedirs("a/b/c")
    write("a/b/c/deep", b"deep")
    say("out", got(rename, "a/b/c", "c"))
    say("a into it", got(rename, "a", "c/a"))
    say("d into that", got(rename, "d", "c/a/b/d"))
    say("deep", same(read("c/deep"), b"deep"))
    say("inside", same(read("c/a/b/d/inside"), b"inside\n"))
    os.chdir("c/a/b/d")
    say("up", sorted(os.listdir("../../..")))
    os.chdir("../../../..")
    for i in range(20):
        rename("f" if i == 0 else f"f{i - 1}", f"f{i}")
    say("twenty times", same(read("f19"), BASE))
    say("names", " ".join(sorted(os.listdir("."))))


@case(root=True)
def rename_rights(say):
    """Who may rename in folders of somebody else, with the sticky bit and without."""
    for mode in (0o777, 0o1777, 0o755):
        word = f"{mode:o}"
        os.mkdir(word)
        for owner, name in ((USER, "mine"), (OTHER, "his")):
            for kind in ("file", "empty"):
                put(kind, f"{word}/{name}-{kind}")
                os.chown(f"{word}/{name}-{kind}", owner, owner)
        os.chown(word, OTHER, OTHER)
        os.chmod(word, mode)
        os.mkdir(word + "-own")
        os.chown(word + "-own", USER, USER)
        for name in ("mine-file", "his-file", "mine-empty", "his-empty"):
            here, there = f"{word}/{name}", f"{word}-own/{name}"
            say(f"{word} {name} renamed", user_gets(rename, here, here + "2"))
            say(f"{word} {name} back", user_gets(rename, here + "2", here))
            say(f"{word} {name} moved out", user_gets(rename, here, there))
            say(f"{word} {name} moved in", user_gets(rename, there, here))
            if kind_of(here) == "ENOENT":
                os.rename(there, here)
        put("file", f"{word}-own/other")
        os.chown(f"{word}-own/other", USER, USER)
        for name in ("mine-file", "his-file"):
            say(f"{word} over {name}", user_gets(rename, f"{word}-own/other", f"{word}/{name}"))
            put("file", f"{word}-own/other")
            os.chown(f"{word}-own/other", USER, USER)
            say(f"{word} exchanged with {name}",
                user_gets(rename, f"{word}-own/other", f"{word}/{name}", EXCHANGE))
        for name in ("mine-file", "his-file"):
            say(f"{word} unlink {name}", user_gets(os.unlink, f"{word}/{name}"))
        for name in ("mine-empty", "his-empty"):
            say(f"{word} rmdir {name}", user_gets(os.rmdir, f"{word}/{name}"))


@case
def rename_links(say):
    os.link("f", "f2")
    say("over another", got(rename, "x", "f"))
    say("links", f"{links_of('f2')} {links_of('f')}")
    say("holds", same(read("f2"), BASE))
    os.link("f2", "d/f3")
    say("exchange of two names of one", got(rename, "f2", "d/f3", EXCHANGE))
    say("noreplace of them", got(rename, "f2", "d/f3", NOREPLACE))
    say("links then", f"{links_of('f2')} {links_of('d/f3')}")
