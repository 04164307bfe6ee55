#!/usr/bin/python3
"""Compares what `git-fs status --json` lists with what git says of the same edits.

    compare-changes.py STATUS.json CLONE

CLONE is a clone of the base with the edits made and added (`git add -A`); ours come from
the mount. A rename is a deletion and an addition here, as git finds renames by likeness and
git-fs knows them; a folder's is those of its files. What git ignores or cannot hold has to
be in git's ignored list, or to be nothing that git lists. Exits 0 where all is equal, else 1
with the differences on stdout.
"""
import json
import subprocess
import sys

GITS = ("added", "modified", "deleted", "renamed", "mode", "held")


def git(clone, *words):
    return subprocess.run(["git", "-C", clone, *words], stdout=subprocess.PIPE,
                          check=True).stdout


def of_git(clone):
    """(letter, path) as git has them; a changed type is a change."""
    words = git(clone, "diff", "--cached", "--no-renames", "--name-status", "-z",
                "HEAD").split(b"\0")
    pairs = zip(words[0::2], words[1::2])
    return {("M" if letter == b"T" else letter.decode(), path.decode(errors="replace"))
            for letter, path in pairs}


def of_mount(changes, base, changed):
    """The same from our list; `changed` tells whether a path has other contents or mode."""
    found = set()
    gone = {c["path"] for c in changes if c["kind"] == "deleted"}
    gone |= {c["old_path"] for c in changes if c["old_path"]}
    moved = {}
    for change in changes:
        kind, path, old = change["kind"], change["path"], change["old_path"]
        if kind == "renamed" and change["mode"] == "040000":
            moved[old] = path
        elif kind == "renamed":
            found |= {("D", old), ("A", path)}
        elif kind in GITS:
            letter = {"added": "A", "deleted": "D"}.get(kind, "M")
            if kind == "held" and not change["old_mode"]:
                letter = "A"
            found.add((letter, path))
    for name in base:
        above = [old for old in moved if name.startswith(old + "/")]
        if above:
            old = max(above, key=len)
            now = moved[old] + name[len(old):]
            # What was changed in a folder that moved is new where it is now.
            found.discard(("M", now))
            found.add(("D", name))
            if name not in gone:
                found.add(("A", now))
    both = {path for letter, path in found if letter == "A"} & \
           {path for letter, path in found if letter == "D"}
    found = {(letter, path) for letter, path in found if path not in both}
    return found | {("M", path) for path in both if changed(path)}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        changes = json.load(file)["changes"]
    clone = sys.argv[2]
    base = git(clone, "ls-tree", "-r", "-z", "--name-only", "HEAD").decode(errors="replace")
    wanted = of_git(clone)
    mine = of_mount(changes["paths"], [name for name in base.split("\0") if name],
                    lambda path: ("M", path) in wanted)
    wrong = [f"git alone: {pair}" for pair in sorted(wanted - mine)]
    wrong += [f"git-fs alone: {pair}" for pair in sorted(mine - wanted)]
    ignored = git(clone, "ls-files", "--others", "--ignored", "--exclude-standard",
                  "-z").decode(errors="replace").split("\0")
    told = {c["path"] for c in changes["paths"] if c["kind"] == "ignored"}
    wrong += [f"ignored by git alone: {name}" for name in ignored if name and name not in told]
    wrong += [f"ignored by git-fs alone: {name}" for name in told if name not in ignored]
    counts = {kind: sum(c["kind"] == kind for c in changes["paths"]) for kind in changes
              if kind not in ("paths", "note", "bytes_pending")}
    wrong += [f"count of {kind}: {changes[kind]}, listed {n}" for kind, n in counts.items()
              if changes[kind] != n]
    print("\n".join(wrong[:40]))
    return 1 if wrong else 0


sys.exit(main())
