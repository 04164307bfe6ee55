"""What bench/run measures with: children with time limits, servers, mounts."""
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("GIT_FS_BUILD", os.path.join(TOP, "build/release"))
GIT_FS = os.path.join(BUILD, "src/cli/git-fs")


class Failure(Exception):
    """A measurement that did not work; the others go on."""


def run(argv, env, limit_s, good=(0,)):
    """Runs it to its end, without output, and returns its seconds. What is not done
    after limit_s is killed, and all that it started in its session."""
    with tempfile.TemporaryFile() as errors:
        start = time.monotonic()
        child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=errors,
                                 start_new_session=True)
        try:
            ended = wait_exactly(child, limit_s)
            seconds = time.monotonic() - start
        finally:
            if child.poll() is None:
                kill(child)
        if not ended:
            raise Failure(f"over {limit_s} s: {' '.join(argv[:3])}")
        status = child.returncode
        if status not in good:
            errors.seek(0)
            raise Failure(f"exit {status} of {' '.join(argv[:3])}: {last_line(errors.read())}")
        return seconds


def last_line(words):
    return (words.decode(errors="replace").strip().splitlines() or ["no words"])[-1]


def wait_exactly(child, limit_s):
    """False where it has not ended by then. Popen.wait() with a limit would look only
    every 50 ms, and so measure its own naps."""
    with open(os.pidfd_open(child.pid), "rb") as ending:
        return bool(select.select([ending], [], [], limit_s)[0])


def output(argv, env, limit_s, good=(0,)):
    """What it prints, as a str."""
    try:
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"over {limit_s} s: {' '.join(argv[:3])}") from None
    if done.returncode not in good:
        raise Failure(f"exit {done.returncode} of {' '.join(argv[:3])}: {last_line(done.stderr)}")
    return done.stdout.decode(errors="replace")


def kill(child):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(10)


class Harness:
    """bench/harness.sh: T, its private folder; an environment; servers by their RTT."""

    def __init__(self, rtts, repos):
        self.folder, self.env, self.urls = None, {"PATH": os.environ["PATH"], "LC_ALL": "C"}, {}
        # In a session of its own, so that a ^C leaves the cleaning up to it.
        self.child = subprocess.Popen(
            [os.path.join(TOP, "bench/harness.sh"), *map(str, rtts), "--", *repos], text=True,
            env={**os.environ, "GIT_FS_BUILD": BUILD}, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for line in self.child.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "ready":
                return
            if word == "folder":
                self.folder = rest
            elif word == "env":
                name, _, value = rest.partition("=")
                self.env[name] = value
            elif word == "server":
                rtt, _, url = rest.partition(" ")
                self.urls[int(rtt)] = url
        self.close()
        raise SystemExit("bench: the servers do not start")

    def ask(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline()

    def reset(self, rtt):
        self.ask(f"reset {rtt}")

    def traffic(self, rtt):
        """Requests and bytes that the server answered and sent since reset()."""
        requests, received = map(int, self.ask(f"count {rtt}").split())
        return {"requests": requests, "received": received}

    def traffic_now(self, rtt):
        """The same without waiting for what is under way."""
        with open(f"{self.folder}/servers/{rtt}/access.log", encoding="utf-8") as log:
            lines = log.read().splitlines()
        return {"requests_ls": len(lines),
                "received_ls": sum(int(line.split()[3]) for line in lines)}

    def close(self):
        self.child.stdin.close()
        self.child.wait()


class Mount:
    """A mount of url with its state, and the cache if no other is given, in home;
    `seconds` is what mounting took. Use it in a `with`."""

    def __init__(self, env, url, home, limit_s, cache=None, options=()):
        self.env, self.url, self.home, self.limit_s = env, url, home, limit_s
        self.cache, self.options = cache or home + "/cache", options
        self.folder = os.path.join(home, "mnt")
        self.seconds = None
        os.makedirs(self.folder, exist_ok=True)

    def __enter__(self):
        self.seconds = run([GIT_FS, "mount", *self.options, "--cache-dir", self.cache,
                            "--state-dir", self.home + "/state", self.url, self.folder],
                           self.env, self.limit_s)
        return self

    def __exit__(self, *_):
        try:
            pid = self.status()["pid"]
            run([GIT_FS, "unmount", self.folder], self.env, 60)
            self.wait_gone(pid)
        except Failure:
            run(["fusermount3", "-uz", self.folder], self.env, 60, good=(0, 1))

    def status(self):
        words = output([GIT_FS, "status", "--json", self.folder], self.env, 60, (0, 1))
        try:
            return json.loads(words)
        except ValueError:
            raise Failure(f"git-fs status: no JSON: {words[:60]}") from None

    def wait_gone(self, pid):
        """So that its last work is not counted as the next one's."""
        end = time.monotonic() + 20
        while os.path.exists(f"/proc/{pid}/exe"):
            if time.monotonic() > end:
                raise Failure("the daemon outlives its mount")
            time.sleep(0.02)

    def settle(self):
        """Waits until all names are there and no request is under way."""
        end = time.monotonic() + self.limit_s
        while True:
            fetch = self.status()["fetch"]
            if fetch["trees_complete"] and not fetch["waiting"] and not fetch["under_way"]:
                return
            if time.monotonic() > end:
                raise Failure(f"the names have not come in {self.limit_s} s")
            time.sleep(0.05)

    def memory(self):
        """Resident MiB of the daemon: now, and at most."""
        with open(f"/proc/{self.status()['pid']}/status", encoding="utf-8") as file:
            lines = dict(line.split(":", 1) for line in file)
        return {"rss": int(lines["VmRSS"].split()[0]) / 1024,
                "hwm": int(lines["VmHWM"].split()[0]) / 1024}


class Repo:
    """A bare repository that is served: facts about its first commit, and a checkout."""

    def __init__(self, harness, name):
        self.harness, self.name = harness, name
        self.path = f"{harness.folder}/repos/{name}.git"
        listing = self.git("ls-tree", "-r", "-l", "--full-tree", "HEAD").splitlines()
        files = [line.split(maxsplit=4) for line in listing]
        files = [(int(size), path) for mode, _, _, size, path in files if mode[:3] == "100"]
        self.files = len(listing)
        self.commit = self.git("rev-parse", "HEAD").strip()
        # All but the blobs, and one file of a usual size, quoted by no rule of git's.
        self.names = len(self.git("rev-list", "--objects", "--filter=blob:none", "-n1",
                                  "HEAD").splitlines())
        self.file = min((abs(size - 16384), path) for size, path in files if '"' not in path)[1]
        tops = {path.split("/")[0] for _, path in files if "/" in path}
        self.part = next(top for top in ("kernel", "builtin", "src", *sorted(tops)) if top in tops)

    def git(self, *words):
        return output(["git", "-C", self.path, *words], self.harness.env, 600)

    def checkout(self, folder):
        """The commit's files, written by git, without a .git."""
        bare = folder + ".git"
        run(["git", "clone", "-q", "--bare", "--shared", self.path, bare], self.harness.env, 600)
        # The bytes as they are stored, whatever .gitattributes say of ends of lines.
        with open(bare + "/info/attributes", "w", encoding="utf-8") as attributes:
            attributes.write("* -text -eol -ident -filter -working-tree-encoding\n")
        os.mkdir(folder)
        env = {**self.harness.env, "GIT_DIR": bare, "GIT_WORK_TREE": folder}
        run(["git", "-C", folder, "read-tree", "HEAD"], env, 600)
        run(["git", "-C", folder, "checkout-index", "-a"], env, 600)


@contextlib.contextmanager
def scratch(harness):
    """A folder that is gone, and its writes on the disk, before the next one is made."""
    folder = tempfile.mkdtemp(prefix="bench.", dir=harness.folder)
    os.sync()
    try:
        yield folder
    finally:
        if not any(line.split()[4].startswith(folder) for line in open("/proc/self/mountinfo",
                                                                       encoding="utf-8")):
            shutil.rmtree(folder, ignore_errors=True)


def filesystem(path):
    return output(["df", "--output=fstype", path], dict(os.environ), 10).split()[-1]


def wait_quiet(limit_s, load=0.7):
    """Until the load of the last minute is below, limit_s at most."""
    end = time.monotonic() + limit_s
    while os.getloadavg()[0] >= load and time.monotonic() < end:
        time.sleep(5)
