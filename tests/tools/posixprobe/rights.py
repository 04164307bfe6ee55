"""Permissions of other users; umask, sticky and set-id bits; chmod and chown."""
import os
import stat

from kit import (FALLOC_KEEP_SIZE, FALLOC_PUNCH, GROUP, OTHER, USER, as_user, case, fallocate, got,
                 kind_of, linkat_fd, mode_of, opens, owner_of, user_gets, write)


@case
def umasks(say):
    for mask in (0, 0o022, 0o027, 0o077, 0o777):
        os.umask(mask)
        word = f"{mask:03o}"
        os.close(os.open("file" + word, os.O_CREAT | os.O_WRONLY, 0o7777))
        os.mkdir("dir" + word, 0o777)
        os.mkfifo("fifo" + word, 0o666)
        os.mknod("node" + word, stat.S_IFREG | 0o666)
        os.symlink("f", "link" + word)
        say(word, " ".join(mode_of(kind + word) for kind in ("file", "dir", "fifo", "node",
                                                             "link")))
    os.umask(0o022)


@case
def chmods(say):
    for mode in (0, 0o7777, 0o4755, 0o2644, 0o1644, 0o600, 0o777):
        for path in ("f", "d", "x"):
            say(f"{mode:o} {path}", f"{got(os.chmod, path, mode)} {mode_of(path)}")
    for path in ("d", "f", "x"):
        os.chmod(path, 0o755)
    say("of a link", got(os.chmod, "l", 0o600, follow_symlinks=False)
        if os.chmod in os.supports_follow_symlinks else "not known")
    say("through a link", f"{got(os.chmod, 'l', 0o640)} {mode_of('f')}")
    say("absent", got(os.chmod, "absent", 0o644))
    say("below a file", got(os.chmod, "f/below", 0o644))
    fd = os.open("f", os.O_RDONLY)
    say("by descriptor", f"{got(os.fchmod, fd, 0o4711)} {mode_of('f')}")
    os.close(fd)


@case(root=True)
def accesses(say):
    """What a mode lets owner, group and others do."""
    os.chmod(".", 0o777)
    for path in ("f", "d"):
        os.chown(path, OTHER, GROUP)
        for mode in (0o700, 0o400, 0o200, 0o100, 0o070, 0o040, 0o007, 0o004, 0o002, 0o001, 0):
            os.chmod(path, mode)
            for word, uid, groups in (("owner", OTHER, ()), ("group", USER, (GROUP,)),
                                      ("others", USER, ())):
                say(f"{path} {mode:03o} {word}", as_user(
                    lambda path=path: try_all(path), uid, uid, groups))


def try_all(path):
    said = ["".join(letter for letter, bit in (("r", os.R_OK), ("w", os.W_OK), ("x", os.X_OK))
                    if os.access(path, bit)) or "-"]
    if path == "f":
        said += [got(opens, "f", flags) for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR)]
        said += [got(os.truncate, "f", 5800)]
    else:
        said += [got(os.listdir, "d"), kind_of("d/inside"), got(opens, "d/inside", os.O_RDONLY),
                 got(opens, "d/new", os.O_CREAT | os.O_WRONLY), got(os.unlink, "d/new"),
                 got(os.mkdir, "d/sub"), got(os.rmdir, "d/sub"), got(os.chdir, "d")]
    return " ".join(said)


@case(root=True)
def refused_to_others(say):
    """In a folder that only its owner may change."""
    os.chmod("d", 0o755)
    os.chown("f", USER, USER)
    for word, call, args in (
            ("create", opens, ("d/new", os.O_CREAT | os.O_WRONLY)), ("mkdir", os.mkdir, ("d/new",)),
            ("mkfifo", os.mkfifo, ("d/new",)), ("symlink", os.symlink, ("f", "d/new")),
            ("link", os.link, ("f", "d/new")), ("unlink", os.unlink, ("d/inside",)),
            ("rename", os.rename, ("d/inside", "d/new")), ("rmdir", os.rmdir, ("d",)),
            ("tmpfile", opens, ("d", os.O_TMPFILE | os.O_RDWR)),
            ("write", opens, ("d/inside", os.O_WRONLY)), ("truncate", os.truncate, ("d/inside", 0)),
            ("existing", opens, ("d/inside", os.O_CREAT | os.O_RDONLY)),
            ("utime", os.utime, ("d/inside",)), ("utime ns", os.utime, ("d/inside", (1, 1))),
            ("chmod", os.chmod, ("d/inside", 0o777)), ("chmod own", os.chmod, ("f", 0o640)),
            ("chown", os.chown, ("d/inside", USER, USER)), ("chown own", os.chown, ("f", OTHER, -1)),
            ("chgrp own", os.chown, ("f", -1, GROUP)), ("chown none", os.chown, ("f", -1, -1)),
            ("chown others' none", os.chown, ("d/inside", -1, -1)),
            ("null device", os.mknod, ("new", stat.S_IFCHR | 0o600, os.makedev(1, 3))),
            ("noatime", opens, ("d/inside", os.O_RDONLY | os.O_NOATIME)),
            ("noatime own", opens, ("f", os.O_RDONLY | os.O_NOATIME))):
        say(word, user_gets(call, *args))
    say("chgrp own, member", user_gets(os.chown, "f", -1, GROUP, groups=(GROUP,)))
    say("owner then", owner_of("f"))
    os.chmod("d", 0o700)
    for word, call, args in (("stat", os.stat, ("d/inside",)), ("list", os.listdir, ("d",)),
                             ("open", opens, ("d/inside", os.O_RDONLY)),
                             ("chdir", os.chdir, ("d",))):
        say(f"closed folder: {word}", user_gets(call, *args))


@case(root=True)
def ownership(say):
    os.chmod(".", 0o777)
    say("created", as_user(lambda: f"{got(write, 'new', b'')} {owner_of('new')}", USER, GROUP))
    for path in ("f", "d", "l", "x"):
        say(f"lchown {path}", got(os.lchown, path, OTHER, GROUP))
        say(f"owner of {path}", owner_of(path))
    say("chown through a link", f"{got(os.chown, 'l', USER, -1)} {owner_of('f')} {owner_of('l')}")
    say("absent", got(os.chown, "absent", USER, USER))
    say("large ids", f"{got(os.chown, 'x', 4000000000, 4100000000)} {owner_of('x')}")
    fd = os.open("f", os.O_RDONLY)
    say("by descriptor", f"{got(os.fchown, fd, -1, USER)} {owner_of('f')}")
    os.close(fd)


@case(root=True)
def set_ids_by_chown(say):
    """Of files, with and without execution by the group, by root and by the owner."""
    os.chmod(".", 0o777)
    for mode in (0o6755, 0o6745, 0o4755, 0o2755, 0o2745):
        for word, uid, args in (("root", 0, (OTHER, GROUP)), ("root none", 0, (-1, -1)),
                                ("owner group", USER, (-1, GROUP)),
                                ("owner none", USER, (-1, -1)),
                                ("owner same", USER, (USER, USER))):
            for path in ("f", "d"):
                os.chown(path, USER, USER)
                os.chmod(path, mode)
                result = user_gets(os.chown, path, *args, uid=uid, gid=uid, groups=(GROUP,))
                say(f"{mode:o} {path} {word}", f"{result} {mode_of(path)}")


@case(root=True)
def set_ids_by_chmod(say):
    """The owner may not give a group's bit of a group that he is not in."""
    for path in ("f", "d"):
        for word, groups in (("stranger", ()), ("member", (GROUP,))):
            for mode in (0o6755, 0o2755, 0o2745, 0o4755, 0o1755):
                os.chown(path, USER, GROUP)
                os.chmod(path, 0o644 if path == "f" else 0o755)
                result = user_gets(os.chmod, path, mode, groups=groups)
                say(f"{word} {mode:o} {path}", f"{result} {mode_of(path)}")


def append(path):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"more")
    os.close(fd)


def on_open(call):
    def body(path):
        fd = os.open(path, os.O_RDWR)
        call(fd)
        os.close(fd)
    return body


CHANGES = {"write": append, "nothing written": on_open(lambda fd: os.write(fd, b"")),
           "truncate": lambda path: os.truncate(path, 3), "truncate longer":
           lambda path: os.truncate(path, 9000), "ftruncate": on_open(lambda fd: os.ftruncate(fd, 7)),
           "open trunc": lambda path: opens(path, os.O_WRONLY | os.O_TRUNC),
           "open": lambda path: opens(path, os.O_RDWR),
           "pwrite": on_open(lambda fd: os.pwrite(fd, b"x", 100)),
           "fallocate": on_open(lambda fd: fallocate(fd, 0, 0, 20000)),
           "punch": on_open(lambda fd: fallocate(fd, FALLOC_PUNCH | FALLOC_KEEP_SIZE, 0, 4096)),
           "copy_file_range": on_open(lambda fd: os.copy_file_range(
               os.open("x", os.O_RDONLY), fd, 10, 0, 0)),
           "utime": os.utime, "link": lambda path: os.link(path, path + "-link"),
           "rename": lambda path: os.rename(path, path + "-moved") or os.rename(
               path + "-moved", path)}


@case(root=True)
def set_ids_by_change(say):
    """A change of contents takes the set-id bits, but not where root makes it."""
    os.chmod(".", 0o777)
    content = bytes(6000)
    for word, change in CHANGES.items():
        for who, uid in (("other", OTHER), ("owner", USER), ("root", 0)):
            for mode in (0o6777, 0o6766, 0o2777, 0o4777):
                name = f"{word}-{who}-{mode:o}".replace(" ", "-")
                write(name, content)
                os.chown(name, USER, USER)
                os.chmod(name, mode)
                result = user_gets(change, name, uid=uid, gid=uid)
                say(f"{word}, {who}, {mode:o}", f"{result} {mode_of(name)}")


@case(root=True)
def set_ids_of_known_files(say):
    """The same of files that git may know, once each."""
    for path, change in (("f", append), ("x", lambda path: os.truncate(path, 3))):
        os.chown(path, USER, USER)
        os.chmod(path, 0o6777)
        say(f"{path} by another", f"{user_gets(change, path, uid=OTHER, gid=OTHER)} "
            f"{mode_of(path)}")
        say(f"{path} has", os.stat(path).st_size)


@case(root=True)
def setgid_folders(say):
    """What is made in them belongs to their group."""
    os.mkdir("e")
    os.chown("e", USER, GROUP)
    os.chmod("e", 0o2777)
    for word, gid, groups in (("member", USER, (GROUP,)), ("stranger", OTHER, ())):
        for kind, call, args in (("file", opens, (os.O_CREAT | os.O_WRONLY, 0o2755)),
                                 ("exec", opens, (os.O_CREAT | os.O_WRONLY, 0o6775)),
                                 ("dir", os.mkdir, (0o755,)), ("fifo", os.mkfifo, (0o2755,)),
                                 ("node", os.mknod, (stat.S_IFREG | 0o2755,))):
            path = f"e/{word}-{kind}"
            result = user_gets(call, path, *args, gid=gid, groups=groups)
            say(f"{word} {kind}", f"{result} {mode_of(path)} {owner_of(path)}")
        path = f"e/{word}-link"
        say(f"{word} link", f"{user_gets(os.symlink, 'f', path, gid=gid)} {owner_of(path)}")
        path = f"e/{word}-tmp"
        result = as_user(lambda path=path: tmpfile(path), gid=gid, groups=groups)
        say(f"{word} tmpfile", f"{result} {mode_of(path)} {owner_of(path)}")
    os.mkdir("e/sub")
    os.mkdir("e/sub/sub")
    say("by root", f"{mode_of('e/sub/sub')} {owner_of('e/sub/sub')}")
    os.rename("f", "e/f")
    say("moved in", owner_of("e/f"))


def tmpfile(path):
    fd = os.open("e", os.O_TMPFILE | os.O_RDWR, 0o2755)
    result = got(linkat_fd, fd, path)
    os.close(fd)
    return result


@case(root=True)
def sticky_folders(say):
    for folder_owner in (USER, OTHER, 0):
        for owner in (USER, OTHER, 0):
            for word, make, remove in (("file", lambda path: write(path, b""), os.unlink),
                                       ("dir", os.mkdir, os.rmdir),
                                       ("link", lambda path: os.symlink("f", path), os.unlink)):
                os.mkdir("e")
                make("e/it")
                os.lchown("e/it", owner, owner)
                os.chown("e", folder_owner, folder_owner)
                os.chmod("e", 0o1777)
                say(f"folder of {folder_owner}, {word} of {owner}",
                    f"{user_gets(os.rename, 'e/it', 'e/it2')} {user_gets(remove, 'e/it2')} "
                    f"{user_gets(remove, 'e/it')}")
                os.system("rm -rf e")


@case(root=True)
def protected_links(say):
    """The kernel's own rules for sticky folders that all may write to."""
    os.mkdir("e")
    os.chmod("e", 0o1777)
    write("e/other", b"", 0o644)
    os.chown("e/other", OTHER, OTHER)
    os.chmod("e/other", 0o666)
    os.symlink("other", "e/link")
    os.lchown("e/link", OTHER, OTHER)
    os.chmod(".", 0o777)
    say("create an existing one", user_gets(opens, "e/other", os.O_CREAT | os.O_WRONLY))
    say("follow", user_gets(opens, "e/link", os.O_RDONLY))
    say("link of what one may not write", user_gets(os.link, "f", "f2"))
