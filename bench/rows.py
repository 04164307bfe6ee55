"""What bench/run measures: a scenario is a repository reached in one way, its rows are
what is done there. Each round does every row once by git-fs and once by each of its
rivals, beginning with the other end of the list every second time, so that a machine
that gets slower meanwhile treats both the same."""
import collections
import fnmatch
import math
import os
import sys

from lib import Failure, Mount, filesystem, run, output, scratch

NOTHING = "no file of any repository has these words"
LOOP_S = 0.3  # quick commands are repeated for that long, and the time divided

Row = collections.namedtuple("Row", "name what goal part")

# Shell, with the folder as $1: what the rows of contents do.
WORK = {
    "find": 'find "$1"',
    "ls-lR": 'ls -lR "$1"',
    "grep": f'grep -rF --exclude-dir=.git "{NOTHING}" "$1" || [ $? = 1 ]',
    "tar": 'tar -cf - -C "$1" . | wc -c',
}
# The same, reduced to what must be equal wherever it is done.
DIGEST = {
    "find": 'cd "$1" && find . | sort | cksum',
    "ls-lR": 'ls -lR "$1" | awk "/^[-l]/ { n++; size += \\$5 } END { print n, size }"',
    "grep": 'cd "$1" && grep -rc "" . | sort | cksum',
    "tar": 'cd "$1" && find . -type f -print0 | sort -z | xargs -0 cat | cksum',
}


class Samples:
    """What was measured: (row's full name, program) -> one dict a round."""

    def __init__(self, patterns):
        self.patterns = patterns
        self.found = collections.defaultdict(list)
        self.failed = {}

    def wanted(self, row):
        return any(fnmatch.fnmatch(row, pattern) for pattern in self.patterns)

    def measure(self, row, program, work):
        """work() gives a dict. What failed once is not tried again."""
        if not self.wanted(row) or (row, program) in self.failed:
            return
        print(f"  {row}: {program}", file=sys.stderr, flush=True)
        try:
            sample = work()
            self.found[row, program].append(sample)
        except Failure as failure:
            self.failed[row, program] = str(failure)
            print(f"  failed: {failure}", file=sys.stderr, flush=True)


class Scenario:
    def __init__(self, samples, repo, name, limit_s):
        self.samples, self.repo, self.limit_s = samples, repo, limit_s
        self.harness, self.env = repo.harness, repo.harness.env
        self.name = f"{repo.name}-{name}"

    def full(self, row):
        return f"{self.name}/{row}"

    def wanted(self):
        return any(self.samples.wanted(self.full(row.name)) for row in self.rows())

    def run(self, *argv, good=(0,)):
        return run(argv, self.env, self.limit_s, good)

    def shell(self, script, folder, times=1):
        """Seconds of one time."""
        loop = f"set -eo pipefail; for ((i = 0; i < {times}; i++)); do {script}; done"
        return self.run("bash", "-c", loop, "bench", folder) / times


class Network(Scenario):
    """Over HTTP, nothing local: git-fs beside git itself."""

    def __init__(self, samples, repo, rtt, limit_s):
        super().__init__(samples, repo, rtt, limit_s)
        self.rtt = rtt
        self.url = f"{self.harness.urls[rtt]}/{repo.name}.git"
        self.title = f"{repo.name} over HTTP, RTT {rtt} ms"

    def rows(self):
        rtt, part = self.rtt, self.repo.part
        by_git = "git clone --depth 1, then the same"
        return [
            Row("first-ls", f"mount, ls ({by_git}; blobless clone without a checkout)",
                f"<= {3 * rtt + 60} ms, 16 KB when ls ends", None),
            Row("remount", "with a cache: mount, ls (in the clone: git fetch, ls)",
                f"<= {2 * rtt + 20} ms", None),
            Row("cat", f"{self.repo.file}, names there (blobless clone: git cat-file)",
                f"<= {rtt + 20} ms", None),
            Row("grep-part", f"grep -r {part}/, names there ({by_git})",
                "<= 300 ms (linux)" if rtt == 40 else "", None),
            Row("grep-tree", f"mount, grep -r of all ({by_git})", "<= 0.8 x", 0.8),
            Row("ls-lR", f"mount, ls -lR of all ({by_git})", "no blob fetched", None),
        ]

    def round(self, turn):
        parts = [self.by_git_fs, self.by_clone, self.by_blobless]
        for part in parts if turn % 2 == 0 else reversed(parts):
            part()

    def by_git_fs(self):
        works = [self.first_ls, self.remount, self.cat, self.grep_part, self.grep_tree, self.ls_lr]
        for row, work in zip(self.rows(), works):
            def measure(work=work):
                with scratch(self.harness) as home:
                    return work(home)
            self.samples.measure(self.full(row.name), "git-fs", measure)

    def mount(self, home):
        return Mount(self.env, self.url, home, self.limit_s)

    def traffic(self, mount):
        mount.settle()
        return self.harness.traffic(self.rtt)

    def first_ls(self, home):
        self.harness.reset(self.rtt)
        with self.mount(home) as mount:
            seconds = mount.seconds + self.run("ls", mount.folder)
            at_once = self.harness.traffic_now(self.rtt)
            return {"seconds": seconds, **at_once, **self.traffic(mount)}

    def remount(self, home):
        with self.mount(home) as mount:
            self.run("ls", mount.folder)
            mount.settle()
        self.harness.reset(self.rtt)
        with self.mount(home) as mount:
            seconds = mount.seconds + self.run("ls", mount.folder)
            return {"seconds": seconds, **self.traffic(mount)}

    def cat(self, home):
        with self.mount(home) as mount:
            mount.settle()
            self.harness.reset(self.rtt)
            seconds = self.run("cat", f"{mount.folder}/{self.repo.file}")
            return {"seconds": seconds, **self.traffic(mount)}

    def grep_part(self, home):
        with self.mount(home) as mount:
            mount.settle()
            self.harness.reset(self.rtt)
            seconds = self.shell(WORK["grep"], f"{mount.folder}/{self.repo.part}")
            return {"seconds": seconds, **self.traffic(mount)}

    def grep_tree(self, home):
        self.harness.reset(self.rtt)
        with self.mount(home) as mount:
            seconds = mount.seconds + self.shell(WORK["grep"], mount.folder)
            return {"seconds": seconds, **self.traffic(mount), **mount.memory()}

    def ls_lr(self, home):
        self.harness.reset(self.rtt)
        with self.mount(home) as mount:
            seconds = mount.seconds + self.shell(WORK["ls-lR"], mount.folder)
            traffic = self.traffic(mount)
            blobs = mount.status()["store"]["objects"] - self.repo.names
            return {"seconds": seconds, **traffic, "blobs": blobs, **mount.memory()}

    def by_clone(self):
        """One clone a round; each row's time is the clone's and its own."""
        works = {"first-ls": "ls \"$1\"", "grep-part": WORK["grep"], "grep-tree": WORK["grep"],
                 "ls-lR": WORK["ls-lR"]}
        if not any(self.samples.wanted(self.full(row)) for row in [*works, "remount"]):
            return
        with scratch(self.harness) as folder:
            clone = folder + "/clone"
            made = self.clone(clone, "--depth", "1")
            for row, script in works.items():
                where = f"{clone}/{self.repo.part}" if row == "grep-part" else clone

                def measure(script=script, where=where):
                    if isinstance(made, Failure):
                        raise made
                    return {**made, "seconds": made["seconds"] + self.shell(script, where)}
                self.samples.measure(self.full(row), "clone", measure)
            self.samples.measure(self.full("remount"), "fetch", lambda: self.fetch(clone))

    def clone(self, folder, *options):
        """What it took, or the failure, for several rows to report."""
        self.harness.reset(self.rtt)
        try:
            seconds = self.run("git", "clone", "-q", *options, self.url, folder)
        except Failure as failure:
            return failure
        return {"seconds": seconds, **self.harness.traffic(self.rtt)}

    def fetch(self, clone):
        self.harness.reset(self.rtt)
        seconds = self.run("git", "-C", clone, "fetch", "-q", "--depth", "1")
        seconds += self.run("ls", clone)
        return {"seconds": seconds, **self.harness.traffic(self.rtt)}

    def by_blobless(self):
        rows = [self.full("first-ls"), self.full("cat")]
        if not any(map(self.samples.wanted, rows)):
            return
        with scratch(self.harness) as folder:
            clone = folder + "/clone"
            made = self.clone(clone, "--filter=blob:none", "--depth", "1", "--no-checkout")

            def first():
                if isinstance(made, Failure):
                    raise made
                return made

            def cat():
                self.harness.reset(self.rtt)
                seconds = self.run("git", "-C", clone, "cat-file", "blob",
                                   f"HEAD:{self.repo.file}")
                return {"seconds": seconds, **self.harness.traffic(self.rtt)}

            self.samples.measure(rows[0], "blobless", first)
            self.samples.measure(rows[1], "blobless", cat)


class Local(Scenario):
    """Everything in the local cache: git-fs beside the same files on the machine's own
    filesystem, whose kernel caches are warm. A fresh mount has none: the first run in it
    is the row "cold-…", the third and later ones are the warm row. The same once more
    for a mount that is writable, where nothing was written."""

    def __init__(self, samples, repo, limit_s, writable=False):
        super().__init__(samples, repo, "writable" if writable else "local", limit_s)
        self.url = f"{self.harness.urls[0]}/{repo.name}.git"
        self.home = f"{self.harness.folder}/warm-{self.name}"
        self.plain = f"{self.harness.folder}/plain-{self.name}"
        self.rival = filesystem(self.harness.folder)
        self.writable = writable
        self.title = (f"{repo.name}, all in the local cache"
                      f"{', mounted writable' if writable else ''}, beside {self.rival}")
        self.times = {}

    def rows(self):
        cold = 3.5 if self.writable else 2.2
        goals = {"find": 1.2, "ls-lR": 1.1, "grep": 1.1, "tar": 1.05,
                 "cold-grep": cold, "cold-tar": cold}
        rows = [Row(name, f"{words} ÷ {self.rival} warm", f"<= {goals[name]} x"
                    if name in goals else "", goals.get(name))
                for work in WORK for name, words in
                ((work, f"{work}, kernel caches warm"), (f"cold-{work}", f"{work}, fresh mount"))]
        return rows + [Row("memory", "of the daemon after ls -lR of all: resident (and at most)",
                           "<= 64 MB (linux)", None)]

    def mount(self):
        return Mount(self.env, self.url, self.home, self.limit_s,
                     options=("--writable",) if self.writable else ())

    def prepare(self):
        """Both trees, and that they are the same ones."""
        self.repo.checkout(self.plain)
        with self.mount() as mount:
            self.shell(WORK["grep"], mount.folder)
            mount.settle()
            for work, script in DIGEST.items():
                ours, plain = (self.digest(script, tree) for tree in (mount.folder, self.plain))
                if ours != plain:
                    raise Failure(f"{work} differs from {self.rival}: {ours} instead of {plain}")
        for work, script in WORK.items():
            self.shell(script, self.plain)
            seconds = self.shell(script, self.plain)
            self.times[work] = max(1, math.ceil(LOOP_S / seconds))
        os.sync()

    def digest(self, script, folder):
        return output(["bash", "-c", script, "bench", folder], self.env, self.limit_s).strip()

    def round(self, turn):
        if not self.times:
            self.prepare()
        for work in WORK:
            if any(self.samples.wanted(self.full(row)) for row in (work, f"cold-{work}")):
                self.compare(work, turn)
        self.samples.measure(self.full("memory"), "git-fs", self.memory)

    def compare(self, work, turn):
        if turn % 2:
            plain = self.shell(WORK[work], self.plain, self.times[work])
        with self.mount() as mount:
            mount.settle()
            cold = self.shell(WORK[work], mount.folder)
            self.shell(WORK[work], mount.folder)
            warm = self.shell(WORK[work], mount.folder, self.times[work])
        if turn % 2 == 0:
            plain = self.shell(WORK[work], self.plain, self.times[work])
        for row, ours in (work, warm), (f"cold-{work}", cold):
            self.samples.measure(self.full(row), self.rival, lambda: {"seconds": plain})
            self.samples.measure(self.full(row), "git-fs", lambda ours=ours: {"seconds": ours})

    def memory(self):
        with self.mount() as mount:
            mount.settle()
            self.shell(WORK["ls-lR"], mount.folder)
            return mount.memory()
