"""Extended attributes. Other namespaces than user.* are cases of their own."""
import os

from kit import GROUP, OTHER, USER, case, child, got, moved, read, same, user_gets, write, BASE

XATTR_CREATE, XATTR_REPLACE = os.XATTR_CREATE, os.XATTR_REPLACE


def names(path):
    return got(lambda: sorted(name for name in os.listxattr(path) if name.startswith("user.")))


@case
def xattr_user(say):
    os.mkdir("e")
    for path in ("f", "d", "e", "x"):
        say(f"none yet {path}", got(os.getxattr, path, "user.a"))
        say(f"remove none {path}", got(os.removexattr, path, "user.a"))
        say(f"names {path}", names(path))
        say(f"replace none {path}", got(os.setxattr, path, "user.a", b"1", XATTR_REPLACE))
        say(f"create {path}", got(os.setxattr, path, "user.a", b"1", XATTR_CREATE))
        say(f"create again {path}", got(os.setxattr, path, "user.a", b"2", XATTR_CREATE))
        say(f"value {path}", got(os.getxattr, path, "user.a"))
        say(f"replace {path}", got(os.setxattr, path, "user.a", b"three", XATTR_REPLACE))
        say(f"value then {path}", got(os.getxattr, path, "user.a"))
        say(f"set {path}", got(os.setxattr, path, "user.a", b""))
        say(f"empty {path}", got(os.getxattr, path, "user.a"))
        say(f"bytes {path}", got(os.setxattr, path, "user.b", bytes(range(256))))
        say(f"bytes then {path}", got(lambda path=path: os.getxattr(path, "user.b") ==
                                      bytes(range(256))))
        say(f"names then {path}", names(path))
        say(f"remove {path}", got(os.removexattr, path, "user.a"))
        say(f"removed {path}", got(os.getxattr, path, "user.a"))
        say(f"names at last {path}", names(path))
    say("f still holds", same(read("f"), BASE))
    say("absent", got(os.setxattr, "absent", "user.a", b"1"))
    say("through a link", got(os.setxattr, "l", "user.link", b"1"))
    say("is on f", names("f"))


@case
def xattr_limits(say):
    for length in (1, 100, 1000, 2000):
        say(f"value of {length}", got(os.setxattr, "f", f"user.v{length}", b"v" * length))
    for length in (100, 1000):
        say(f"then {length}", same(os.getxattr("f", f"user.v{length}"), b"v" * length))
    say("value of 65537", got(os.setxattr, "f", "user.big", b"v" * 65537))
    say("name of 255", got(os.setxattr, "x", "user." + "n" * 250, b"v"))
    say("its value", got(os.getxattr, "x", "user." + "n" * 250))
    say("name of 256", got(os.setxattr, "x", "user." + "n" * 251, b"v"))
    say("no name", got(os.setxattr, "f", "", b"v"))
    say("user. alone", got(os.setxattr, "f", "user.", b"v"))
    say("no namespace", got(os.setxattr, "f", "plain", b"v"))
    say("unknown namespace", got(os.setxattr, "f", "mine.a", b"v"))
    for i in range(20):
        os.setxattr("d", f"user.n{i}", b"%d" % i)
    say("twenty", got(lambda: all(os.getxattr("d", f"user.n{i}") == b"%d" % i
                                  for i in range(20))))
    say("names", names("d"))


@case
def xattr_lives(say):
    """With the inode: over renames, links, writes, and an unlink."""
    os.setxattr("f", "user.a", b"1")
    os.link("f", "f2")
    os.setxattr("f2", "user.b", b"2")
    say("by both names", names("f"))
    os.rename("f", "d/f")
    say("renamed", names("d/f"))
    write("d/f", b"other contents")
    say("rewritten", names("d/f"))
    os.truncate("d/f", 0)
    os.chmod("d/f", 0o600)
    say("truncated", names("d/f"))
    os.rename("x", "d/f")
    say("over it", names("d/f"))
    fd = os.open("f2", os.O_RDWR)
    os.unlink("f2")
    say("unlinked", got(os.getxattr, fd, "user.b"))
    say("set on it", got(os.setxattr, fd, "user.c", b"3"))
    say("then", names(fd))
    os.close(fd)
    os.rename("d", "e")
    os.setxattr("e", "user.d", b"4")
    os.rename("e", "d")
    say("folder", names("d"))
    say("seen by another process", child(
        lambda: 0 if os.getxattr("d", "user.d") == b"4" else 3)())


@case
def xattr_times(say):
    say("set", moved(["f", "."], os.setxattr, "f", "user.a", b"1"))
    say("set on a folder", moved(["d", "."], os.setxattr, "d", "user.a", b"1"))
    say("get", moved(["f", "."], os.getxattr, "f", "user.a"))
    say("remove", moved(["f", "."], os.removexattr, "f", "user.a"))
    say("remove none", moved(["f", "."], os.removexattr, "f", "user.a"))


@case(root=True)
def xattr_rights(say):
    os.chown("f", OTHER, GROUP)
    for mode in (0o644, 0o666, 0o600):
        os.chmod("f", mode)
        os.setxattr("f", "user.a", b"1")
        say(f"{mode:o} get", user_gets(os.getxattr, "f", "user.a"))
        say(f"{mode:o} set", user_gets(os.setxattr, "f", "user.a", b"2"))
        say(f"{mode:o} remove", user_gets(os.removexattr, "f", "user.a"))
    os.mkdir("e")
    os.chmod("e", 0o1777)
    say("sticky folder of another", user_gets(os.setxattr, "e", "user.a", b"1", uid=USER))
    for path in ("l", "fifo", "sock"):
        if path == "fifo":
            os.mkfifo(path)
        if path != "sock":
            say(f"user.* of {path}", got(os.setxattr, path, "user.a", b"1", follow_symlinks=False))


@case(root=True)
def xattr_others(say):
    """Namespaces that a mount refuses and ext4 has."""
    acl = bytes.fromhex("0200000001000600ffffffff04000400ffffffff20000400ffffffff")
    for name, value in (("security.test", b"1"), ("trusted.test", b"1"),
                        ("security.capability", bytes.fromhex("00000002" + "00" * 16)),
                        ("system.posix_acl_access", acl)):
        say(f"set {name}", got(os.setxattr, "f", name, value))
    say("get trusted.none", got(os.getxattr, "f", "trusted.none"))
    say("get security.none", got(os.getxattr, "f", "security.none"))
