"""What bench/run measures of writing: the same work in a writable mount, in one with
-o writeback (the rows "wb-...") and on the machine's own filesystem.

Each time that a row is done it has a mount of its own, with a new overlay and a cache
that has all contents, or a folder of its own on the same disk. Before, all that is dirty
anywhere goes to the disk, so that no row pays for another; caches stay as they are.
What a row needs (files that are to be renamed) is there, and on the disk, before its
clock starts. Nothing is synced in a row but by the program itself, so that most rows, on
either side, end with their bytes in memory.

ext4 passes over inodes that were deleted in the last five minutes, one by one (its
recently_deleted()): near files that somebody has just taken away it creates others up to
twenty times slower. So nothing is taken away before the end but the large files, and the
attribute T (chattr(1)) of their parent puts each place where few folders are. What else
was deleted on this disk is not in our hands: TMPDIR on a new filesystem is best.

In the first run what a row left behind is compared, where it has to be the same."""
import collections
import functools
import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile

from lib import BUILD, TOP, Failure, Mount, filesystem, output, run
from rows import DIGEST, WORK, Row, Scenario

FILES = 10000
PAGE, MIB = 4096, 1 << 20
SYNCS = 500
TRANSACTIONS = 2000
NPM = ("--offline", "--logs-max=0", "--ignore-scripts", "--no-audit", "--no-fund",
       "--no-update-notifier")
FSOPS = BUILD + "/bench/fsops"

# prepare(place) makes what is needed, work(place) gives the seconds; `same`: all places
# look alike afterwards. part and wb_part are what is to be reached, ÷ the rival.
Job = collections.namedtuple("Job", "name what prepare work same part wb_part",
                             defaults=(True, None, None))


class Folder:
    """Stands where a Mount does, on the machine's own filesystem."""

    def __init__(self, home):
        self.folder = os.path.join(home, "plain")
        os.mkdir(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def settle(self):
        pass

    def memory(self):
        return {}


def work_folder(place):
    return os.path.join(place.folder, "bench-work")


def nothing(_):
    pass


class Writing(Scenario):
    """data: a folder that outlives this run. control: the rival in git-fs's place, too."""

    def __init__(self, samples, repo, limit_s, data, control):
        super().__init__(samples, repo, "write", limit_s)
        self.url = f"{self.harness.urls[0]}/{repo.name}.git"
        self.shared = f"{self.harness.folder}/write-{repo.name}"
        self.places = f"{self.harness.folder}/places-{repo.name}"
        self.data, self.control = data, control
        self.rival = filesystem(self.harness.folder)
        self.title = f"{repo.name}, writing, beside {self.rival}"
        if control:
            self.title += f" (--control: what is called git-fs is {self.rival})"
        self.jobs = [*self.trees(), *self.operations(), *self.files(), *self.programs()]
        self.prepared = False
        self.digests = {}

    def trees(self):
        small = f"{FILES:,} files of 1 to 8 KiB in 100 folders"
        return [
            Job("untar", f"tar -x of {self.repo.name}", nothing, self.untar("tree"), part=0.6),
            Job("untar-small", f"tar -x of {small}", nothing, self.untar("small"), part=0.6),
            Job("read-back", f"tar -c of {small}, just written", self.untar("small"),
                lambda place: self.shell(WORK["tar"], work_folder(place))),
        ]

    def operations(self):
        make = self.fsops("create", ".", FILES, PAGE)
        return [
            Job("create", f"{FILES:,} files of 4 KiB in a folder", nothing, make, part=0.6),
            Job("mkdir", f"{FILES:,} folders in a folder", nothing,
                self.fsops("mkdir", ".", FILES)),
            Job("rename", f"{FILES:,} files in their folder", make,
                self.fsops("rename", ".", FILES), part=4),
            Job("unlink", f"{FILES:,} files of 4 KiB", make,
                self.fsops("unlink", ".", FILES), part=4),
        ]

    def files(self):
        return [
            Job("write-1m", "1 GiB by 1 MiB", nothing,
                self.fsops("write", "file", 1024, MIB), part=1.2),
            Job("write-4k", "1 GiB by 4 KiB", nothing,
                self.fsops("write", "file", 1024 * MIB // PAGE, PAGE), part=6, wb_part=1.5),
            Job("random-4k", "65,536 times 4 KiB anywhere in a file of 256 MiB",
                self.fsops("write", "file", 256, MIB), self.fsops("random", "file", 65536, PAGE)),
            Job("fsync", f"4 KiB appended and fsync, one of {SYNCS}", nothing,
                self.fsops("fsync", "file", SYNCS, PAGE, share=SYNCS)),
            Job("fdatasync", f"4 KiB appended and fdatasync, one of {SYNCS}", nothing,
                self.fsops("fdatasync", "file", SYNCS, PAGE, share=SYNCS)),
        ]

    def programs(self):
        """Those that this repository is good for."""
        count = f"{TRANSACTIONS:,} transactions"
        jobs = [
            Job("sqlite-wal", f"{count}, WAL, synchronous=NORMAL", nothing,
                self.sqlite("WAL", "NORMAL"), same=False),
            Job("sqlite-rollback", f"{count}, rollback journal, synchronous=FULL", nothing,
                self.sqlite("DELETE", "FULL"), same=False),
            Job("git-clone", f"git clone --no-hardlinks of a local {self.repo.name}", nothing,
                self.clone, same=False),
            Job("npm", "npm install --offline of webpack", self.npm_files, self.npm, same=False),
        ]
        if self.repo.git("ls-tree", "--name-only", "HEAD", "src/server.c"):
            jobs.append(Job("make", "make -j2 redis-server in the tree, never read before",
                            self.own_tree, self.make, same=False, part=1.05))
        return jobs

    def rows(self):
        def row(name, words, part):
            return Row(name, words, f"<= {part:g} x" if part else "", part)

        return [one for job in self.jobs for one in (
            row(job.name, f"{job.what} ÷ {self.rival}", job.part),
            row(f"wb-{job.name}", "the same, -o writeback", job.wb_part))]

    def mount(self, home, *options):
        return Mount(self.env, self.url, home, self.limit_s, cache=self.shared + "/cache",
                     options=("--writable", *options))

    def asked(self, job):
        return any(self.samples.wanted(self.full(name)) for name in (job.name, f"wb-{job.name}"))

    def prepare(self):
        """The tars, a checkout, a cache with all contents, and npm's."""
        self.prepared = True
        os.mkdir(self.shared)
        # Not every filesystem has it, or needs it.
        os.mkdir(self.places)
        self.run("chattr", "+T", self.places, good=(0, 1))
        self.run("git", "-C", self.repo.path, "archive", "-o", self.shared + "/tree.tar", "HEAD")
        small_tar(self.shared + "/small.tar")
        self.repo.checkout(self.shared + "/checkout")
        if not self.control:
            with self.mount(self.shared) as mount:
                self.shell(WORK["grep"], mount.folder)
                mount.settle()
        npm = next(job for job in self.jobs if job.name == "npm")
        if self.asked(npm) and subprocess.run([TOP + "/bench/npm-cache.sh", self.data],
                                              check=False).returncode:
            print("bench: no npm row: npm is not installed, or does not reach its registry",
                  file=sys.stderr)
            self.jobs.remove(npm)

    def round(self, turn):
        if not self.prepared:
            self.prepare()
        for job in filter(self.asked, self.jobs):
            self.compare(job, turn)

    def compare(self, job, turn):
        rows = [self.full(job.name), self.full(f"wb-{job.name}")]
        rival = functools.cache(lambda: self.once(job, turn, Folder))

        def ours(row, *options):
            place = Folder if self.control else lambda home: self.mount(home, *options)
            self.samples.measure(row, "git-fs", lambda: self.once(job, turn, place))

        def theirs():
            for row in rows:
                self.samples.measure(row, self.rival, rival)

        parts = [theirs, lambda: ours(rows[0]), lambda: ours(rows[1], "-o", "writeback")]
        for part in parts if turn % 2 == 0 else reversed(parts):
            part()

    def once(self, job, turn, place_in):
        home = tempfile.mkdtemp(prefix="bench.", dir=self.places)
        self.run("sync")
        with place_in(home) as place:
            place.settle()
            self.run("mkdir", work_folder(place))
            job.prepare(place)
            self.run("sync")
            seconds = job.work(place)
            memory = place.memory()
            if turn == 0 and job.same:
                self.compare_left(job, place)
            self.run("rm", "-f", work_folder(place) + "/file")
            return {"seconds": seconds, **memory}

    def compare_left(self, job, place):
        """The first one that does it says how it has to be: the rival."""
        left = " ".join(output(["bash", "-c", DIGEST[work], "bench", work_folder(place)],
                               self.env, self.limit_s).strip() for work in ("find", "tar"))
        if self.digests.setdefault(job.name, left) != left:
            raise Failure(f"what is left differs: {left} instead of {self.digests[job.name]}")

    def seconds_of(self, *argv):
        """What a program prints that has a clock of its own."""
        return float(output(argv, self.env, self.limit_s))

    def fsops(self, operation, name, *numbers, share=1):
        return lambda place: self.seconds_of(
            FSOPS, operation, f"{work_folder(place)}/{name}", *map(str, numbers)) / share

    def untar(self, name):
        return lambda place: self.run("tar", "-x", "--no-same-owner", "-f",
                                      f"{self.shared}/{name}.tar", "-C", work_folder(place))

    def sqlite(self, journal, synchronous):
        return lambda place: self.seconds_of(
            TOP + "/bench/transactions.py", work_folder(place) + "/notes.db", journal,
            synchronous, str(TRANSACTIONS))

    def clone(self, place):
        return self.run("git", "clone", "-q", "--no-hardlinks", self.repo.path,
                        work_folder(place) + "/clone")

    def npm_files(self, place):
        self.run("cp", self.data + "/npm/package.json", self.data + "/npm/package-lock.json",
                 work_folder(place))

    def npm(self, place):
        """In the user's environment, as the cache was made: its keys have the registry."""
        return run(["npm", "install", "--prefix", work_folder(place), "--cache",
                    self.data + "/npm/cache", *NPM], dict(os.environ), self.limit_s)

    def own_tree(self, place):
        """A mount has it already."""
        if isinstance(place, Folder):
            self.run("cp", "-a", self.shared + "/checkout/.", place.folder)

    def make(self, place):
        return self.run("make", "-s", "-j2", "-C", place.folder + "/src", "MALLOC=libc",
                        "redis-server")


def small_tar(path):
    """The same every time."""
    chance = random.Random(1)
    with tarfile.open(path, "w") as tar:
        for number in range(FILES):
            info = tarfile.TarInfo(f"part{number % 100:02d}/file{number:05d}")
            info.size = chance.randint(1024, 8192)
            info.mtime = 1700000000
            content = chance.randbytes(info.size)
            tar.addfile(info, io.BytesIO(content))
