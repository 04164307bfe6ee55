"""open, mkdir, mknod, symlink, link, unlink, rmdir: what they make and what they refuse."""
import os
import socket
import stat
import subprocess

from kit import (BASE, case, child, got, kind_of, link_followed, links_of, linkat_fd, mode_of,
                 opens, read, same, write)

LONG = "n" * 255
FLAGS = {"rdonly": os.O_RDONLY, "wronly": os.O_WRONLY, "rdwr": os.O_RDWR,
         "trunc": os.O_RDWR | os.O_TRUNC, "append": os.O_WRONLY | os.O_APPEND,
         "creat": os.O_RDWR | os.O_CREAT, "excl": os.O_RDWR | os.O_CREAT | os.O_EXCL,
         "directory": os.O_RDONLY | os.O_DIRECTORY, "nofollow": os.O_RDONLY | os.O_NOFOLLOW,
         "path": os.O_PATH, "path-nofollow": os.O_PATH | os.O_NOFOLLOW,
         "nonblock": os.O_WRONLY | os.O_NONBLOCK, "noatime": os.O_RDONLY | os.O_NOATIME,
         "sync": os.O_WRONLY | os.O_SYNC, "direct": os.O_RDONLY | os.O_DIRECT}


@case
def open_flags(say):
    os.symlink("nowhere", "dangling")
    os.symlink("self", "self")
    os.symlink("d", "to-d")
    os.mkfifo("fifo")
    bind_socket("sock")
    for path in ("f", "d", "l", "to-d", "dangling", "self", "sock", "absent", "f/below",
                 "absent/below", "d/", "f/", "absent/", "l/", "", ".", "..", "d/inside"):
        for word, flags in FLAGS.items():
            if (path, word) == ("f", "trunc") or (flags & os.O_CREAT and path in
                                                  ("absent", "dangling")):
                continue
            say(f"{word} {path!r}", got(opens, path, flags))
    for word in ("nonblock", "path", "directory", "nofollow", "excl"):
        if word != "nofollow":
            say(f"{word} 'fifo'", got(opens, "fifo", FLAGS[word]))
    say("rdonly nonblock fifo", got(opens, "fifo", os.O_RDONLY | os.O_NONBLOCK))


@case
def open_creates(say):
    os.symlink("target", "dangling")
    say("new", got(opens, "new", os.O_CREAT | os.O_WRONLY))
    say("new again", got(opens, "new", os.O_CREAT | os.O_WRONLY))
    say("excl again", got(opens, "new", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    say("excl dangling", got(opens, "dangling", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    say("target", kind_of("target"))
    say("through dangling", got(opens, "dangling", os.O_CREAT | os.O_WRONLY))
    say("target then", kind_of("target"))
    say("nofollow dangling", got(opens, "dangling", os.O_CREAT | os.O_NOFOLLOW | os.O_WRONLY))
    say("directory", got(opens, "dir", os.O_CREAT | os.O_DIRECTORY))
    say("in a file", got(opens, "f/new", os.O_CREAT | os.O_WRONLY))
    for mode in (0, 0o400, 0o200, 0o111):
        fd = os.open(f"mode{mode:o}", os.O_CREAT | os.O_RDWR, mode)
        say(f"mode {mode:o} writes", got(os.write, fd, b"data"))
        say(f"mode {mode:o} reads", same(os.pread(fd, 10, 0), b"data"))
        os.close(fd)
        say(f"mode {mode:o}", mode_of(f"mode{mode:o}"))


@case
def open_truncates(say):
    for path in ("f", "x"):
        say(f"{path} rdonly", got(opens, path, os.O_RDONLY))
        say(f"{path} size", os.stat(path).st_size)
        fd = os.open(path, os.O_RDONLY)
        say(f"{path} trunc", got(opens, path, os.O_WRONLY | os.O_TRUNC))
        say(f"{path} size then", os.stat(path).st_size)
        say(f"{path} read by the earlier one", same(os.read(fd, 100), b""))
        os.close(fd)
        say(f"{path} creat trunc", got(opens, path, os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        say(f"{path} mode", mode_of(path))


@case
def descriptors(say):
    fd = os.open("f", os.O_RDONLY)
    say("write to rdonly", got(os.write, fd, b"x"))
    say("ftruncate of rdonly", got(os.ftruncate, fd, 0))
    os.close(fd)
    fd = os.open("f", os.O_WRONLY)
    say("read of wronly", got(os.read, fd, 1))
    say("seek to -1", got(os.lseek, fd, -1, os.SEEK_SET))
    os.close(fd)
    fd = os.open("d", os.O_RDONLY)
    say("read of a folder", got(os.read, fd, 1))
    say("write to a folder", got(os.write, fd, b"x"))
    os.close(fd)
    fd = os.open("f", os.O_PATH)
    say("read of path", got(os.read, fd, 1))
    say("fstat of path", os.fstat(fd).st_size)
    say("fchmod of path", got(os.fchmod, fd, 0o600))
    os.close(fd)


@case
def long_names(say):
    path = "/".join(["d"] + ["."] * 2100)
    for word, name in (("255", LONG), ("256", LONG + "n"), ("path", path)):
        say(f"open {word}", got(opens, name, os.O_RDONLY))
        for call, args in ((os.mkdir, ()), (os.mkfifo, ())):
            say(f"{call.__name__} {word}", got(call, name, *args))
            say(f"{call.__name__} {word} is", kind_of(name))
            say(f"remove {word}", got(os.rmdir if call is os.mkdir else os.unlink, name))
        say(f"create {word}", got(opens, name, os.O_CREAT | os.O_WRONLY))
        say(f"stat {word}", got(lambda name=name: kind_of(name)))
        say(f"unlink {word}", got(os.unlink, name))
        say(f"symlink {word}", got(os.symlink, "f", name))
        say(f"unlink symlink {word}", got(os.unlink, name))
        say(f"link {word}", got(os.link, "f", name))
        say(f"rename to {word}", got(os.rename, "x", name))
        say(f"rename back {word}", got(os.rename, name, "x"))
    say("links of f", links_of("f"))


@case
def making(say):
    for path in ("new", "f", "d", "l", "absent/new", "f/new", "d/", "slash/", "."):
        say(f"mkdir {path!r}", got(os.mkdir, path))
        say(f"mkfifo {path!r}", got(os.mkfifo, path + ".fifo" if path == "new" else path))
        say(f"symlink {path!r}", got(os.symlink, "f", path))
    for word, target in (("empty", ""), ("4095", "t" * 4095), ("4096", "t" * 4096),
                         ("bytes", b"\xff\n\x01"), ("slashes", "../../..//x/")):
        name = "link-" + word
        say(f"symlink to {word}", got(os.symlink, target, name.encode()
                                      if isinstance(target, bytes) else name))
        say(f"readlink {word}", got(lambda name=name: len(os.readlink(os.fsencode(name)))))
        say(f"size {word}", got(lambda name=name: os.lstat(name).st_size))
    for path in ("f", "d", "absent", "f/below"):
        say(f"readlink {path!r}", got(os.readlink, path))
    say("readlink 'l'", os.readlink("l"))
    os.mkdir("e")
    for mode in (0o777, 0o7777, 0o1755, 0o2700, 0):
        os.mkdir(f"e/m{mode:o}", mode)
        say(f"mkdir mode {mode:o}", mode_of(f"e/m{mode:o}"))


def bind_socket(path):
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)


@case
def special_files(say):
    say("fifo", got(os.mkfifo, "fifo", 0o640))
    say("fifo is", f"{kind_of('fifo')} {mode_of('fifo')} {links_of('fifo')}")
    say("socket", got(bind_socket, "sock"))
    say("socket is", kind_of("sock"))
    say("socket again", got(bind_socket, "sock"))
    say("regular", got(os.mknod, "plain", stat.S_IFREG | 0o604))
    say("regular is", f"{kind_of('plain')} {mode_of('plain')}")
    say("folder", got(os.mknod, "dir", stat.S_IFDIR | 0o755))
    write("plain", b"text")
    say("regular holds", same(read("plain"), b"text"))
    wait = child(lambda: write("fifo", b"through the pipe"))
    say("a fifo carries", same(read("fifo"), b"through the pipe"))
    say("its writer", wait())
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("served")
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            say("connect", got(client.connect, "served"))
            peer, _ = server.accept()
            client.sendall(b"hello")
            say("a socket carries", same(peer.recv(10), b"hello"))
            peer.close()
    say("connect to a dead one", got(connect, "served"))
    say("rename", got(os.rename, "fifo", "d/fifo"))
    say("link", got(os.link, "d/fifo", "fifo2"))
    say("links", links_of("fifo2"))
    for path in ("d/fifo", "fifo2", "sock"):
        say(f"unlink {path}", got(os.unlink, path))


def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


@case(root=True)
def devices(say):
    for word, kind, number in (("null", stat.S_IFCHR, os.makedev(1, 3)),
                               ("wide", stat.S_IFCHR, os.makedev(259, 1_000_000)),
                               ("block", stat.S_IFBLK, os.makedev(7, 255))):
        say(word, got(os.mknod, word, kind | 0o600, number))
        status = os.lstat(word)
        say(f"{word} is", f"{kind_of(word)} {mode_of(word)} {os.major(status.st_rdev)},"
            f"{os.minor(status.st_rdev)}")
    say("chmod", got(os.chmod, "null", 0o666))
    say("rename", got(os.rename, "null", "d/null"))
    say("then", f"{kind_of('d/null')} {mode_of('d/null')}")


@case
def linking(say):
    os.mkfifo("fifo")
    for old, new in (("f", "f2"), ("f", "f2"), ("f", "d"), ("f", "d/f"), ("f", "absent/f"),
                     ("absent", "new"), ("d", "d2"), ("l", "l2"), ("fifo", "fifo2"),
                     ("f", "l"), ("f/below", "new"), ("f", "f/below"), ("f", "slash/")):
        say(f"link {old} {new}", got(os.link, old, new, follow_symlinks=False))
    say("follow", got(link_followed, "l", "followed"))
    for path in ("f", "f2", "d/f", "l", "l2", "fifo2", "followed"):
        say(f"links {path}", f"{kind_of(path)} {links_of(path)}")
    say("one inode", len({os.lstat(path).st_ino for path in ("f", "f2", "d/f", "followed")}))
    write("f2", b"written by another name")
    say("read by the first", same(read("f"), b"written by another name"))
    os.chmod("d/f", 0o640)
    say("mode by the first", mode_of("f"))
    say("unlink the first", got(os.unlink, "f"))
    say("links then", links_of("f2"))
    say("read then", same(read("d/f"), b"written by another name"))
    say("rename onto itself", got(os.rename, "f2", "d/f"))
    say("both are there", f"{kind_of('f2')} {kind_of('d/f')} {links_of('f2')}")
    say("rename over a link", got(os.rename, "x", "d/f"))
    say("links at last", f"{links_of('f2')} {links_of('d/f')}")


@case
def removing(say):
    os.mkdir("e")
    os.mkfifo("fifo")
    os.symlink("d", "to-d")
    for path in ("d", "absent", "f/below", "to-d/", "f/", ".", "", "l", "f", "f", "fifo", "x"):
        say(f"unlink {path!r}", got(os.unlink, path))
    for path in ("d", "absent", "to-d", "d/inside", "e/.", "e/..", ".", "..", "e/", "e", "d/"):
        say(f"rmdir {path!r}", got(os.rmdir, path))
    say("unlink inside", got(os.unlink, "d/inside"))
    say("rmdir d", got(os.rmdir, "d"))
    say("left", " ".join(sorted(os.listdir("."))))


@case
def removed_but_open(say):
    fd = os.open("f", os.O_RDWR)
    say("unlink", got(os.unlink, "f"))
    say("links", os.fstat(fd).st_nlink)
    say("read", same(os.pread(fd, len(BASE) + 1, 0), BASE))
    say("write", got(os.pwrite, fd, b"more", len(BASE)))
    say("read then", same(os.pread(fd, len(BASE) + 9, 0), BASE + b"more"))
    say("ftruncate", got(os.ftruncate, fd, 10))
    say("ftruncate longer", got(os.ftruncate, fd, 20))
    say("read at last", same(os.pread(fd, 99, 0), BASE[:10] + bytes(10)))
    say("fchmod", got(os.fchmod, fd, 0o600))
    say("fsync", got(os.fsync, fd))
    say("mode", f"{stat.S_IMODE(os.fstat(fd).st_mode):o}")
    write("f", b"a new one")
    say("the new one", same(read("f"), b"a new one"))
    say("the old one", same(os.pread(fd, 10, 0), BASE[:10]))
    say("opened once more", got(opens, f"/proc/self/fd/{fd}", os.O_RDWR))
    say("linked again", got(linkat_fd, fd, "again"))
    os.close(fd)


@case
def removed_folder(say):
    os.mkdir("e")
    fd = os.open("e", os.O_RDONLY)
    os.chdir("e")
    os.rmdir("../e")
    say("create", got(opens, "new", os.O_CREAT | os.O_WRONLY))
    say("mkdir", got(os.mkdir, "new"))
    say("symlink", got(os.symlink, "f", "new"))
    say("rename into", got(os.rename, "../f", "../e/f"))
    say("list", got(os.listdir, "."))
    say("list by descriptor", got(os.listdir, fd))
    say("getcwd", got(os.getcwd))
    say("stat", kind_of("."))
    say("fchmod", got(os.fchmod, fd, 0o700))
    os.close(fd)


@case
def unnamed_files(say):
    flags = os.O_TMPFILE | os.O_RDWR
    fd = os.open(".", flags, 0o640)
    say("links", os.fstat(fd).st_nlink)
    say("mode", f"{stat.S_IMODE(os.fstat(fd).st_mode):o}")
    say("write", got(os.write, fd, b"text"))
    say("names", " ".join(sorted(os.listdir("."))))
    say("link", got(linkat_fd, fd, "named"))
    say("link over", got(linkat_fd, fd, "f"))
    say("link twice", got(linkat_fd, fd, "d/named"))
    say("links then", f"{os.fstat(fd).st_nlink} {links_of('named')}")
    os.pwrite(fd, b"T", 0)
    os.close(fd)
    say("holds", same(read("d/named"), b"Text"))
    fd = os.open("d", flags | os.O_EXCL)
    say("excl", got(linkat_fd, fd, "excl"))
    os.close(fd)
    say("in a file", got(opens, "f", flags))
    say("read-only", got(opens, ".", os.O_TMPFILE | os.O_RDONLY))
    say("in none", got(opens, "absent", flags))


@case
def busy_texts(say):
    write("sleeper", read(os.path.realpath("/bin/sleep")), 0o755)
    with subprocess.Popen(["./sleeper", "60"]) as process:
        say("write", got(opens, "sleeper", os.O_WRONLY))
        say("truncate", got(os.truncate, "sleeper", 0))
        say("read", got(opens, "sleeper", os.O_RDONLY))
        say("unlink", got(os.unlink, "sleeper"))
        process.kill()
    write("sleeper", read(os.path.realpath("/bin/true")), 0o755)
    fd = os.open("sleeper", os.O_WRONLY)
    say("run while it is written", got(subprocess.call, ["./sleeper"]))
    os.close(fd)
    say("run", got(subprocess.call, ["./sleeper"]))
    say("a script", subprocess.run(["./x"], stdout=subprocess.PIPE, check=False).stdout)
    os.chmod("sleeper", 0o644)
    say("run without the bit", got(subprocess.call, ["./sleeper"]))
