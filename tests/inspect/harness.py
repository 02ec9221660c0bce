"""harness: what the tests of the tools share: programs to look at, started under preloom, and the tools, run with a limit.
Everything that a test starts ends with it."""
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("PRELOOM_BUILD") or os.path.join(TOP, "build"))
PRELOOM = os.path.join(BUILD, "preloom")
LIMIT = 60


def alone(function):
    """A test that wants a CPU for itself: it says how much of one something uses."""
    function.alone = True
    return function


class Failure(AssertionError):
    pass


class Skip(Exception):
    pass


class Process:
    """A program under preloom that has said on its standard output that it is ready."""

    def __init__(self, argv, env, cwd, core):
        def limit():
            top = resource.RLIM_INFINITY if core else 0
            resource.setrlimit(resource.RLIMIT_CORE, (top, top))
        self.popen = subprocess.Popen(argv, env=env, cwd=cwd, preexec_fn=limit, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.pid = self.popen.pid

    def wait_for(self, word):
        line = self.popen.stdout.readline().decode()
        self.line = line.strip()
        if word not in line:
            err = self.popen.stderr.read().decode() if self.popen.poll() is not None else ""
            raise Failure(f"the program said {line!r}, not {word!r} {err}")

    def end(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.kill()
        self.popen.wait()
        for f in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            f.close()


class Test:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="preloom-inspect-")
        self.processes = []

    def end(self):
        for p in self.processes:
            p.end()
        shutil.rmtree(self.dir, ignore_errors=True)

    def compile(self, source, *flags):
        """A program of this folder, NAME.c or NAME.cc; its path."""
        compiler = os.environ.get("CXX", "c++") if source.endswith(".cc") else os.environ.get("CC", "cc")
        out = os.path.join(self.dir, os.path.splitext(source)[0])
        done = subprocess.run([compiler, "-D_GNU_SOURCE", "-g", "-O1", "-fno-inline", "-pthread", "-o", out,
                               os.path.join(HERE, source), *flags], capture_output=True, text=True, timeout=LIMIT)
        if done.returncode:
            raise Failure(f"{source} does not compile: {done.stderr}")
        return out

    def start(self, program, *args, procs=2, options=None, preloom=True, ready="ready", env=None, cwd=None, core=False):
        """Starts it and waits until it has printed `ready`."""
        e = dict(os.environ, **(env or {}))
        e.pop("PRELOOM", None)
        e["GOMAXPROCS"] = str(procs)
        if options:
            e["PRELOOM"] = options
        p = Process(([PRELOOM] if preloom else []) + [program, *map(str, args)], e, cwd, core)
        self.processes.append(p)
        if ready:
            p.wait_for(ready)
        return p

    def run(self, *argv, status=0, limit=LIMIT, **more):
        """Runs a command; its standard output. A status of None allows any."""
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=limit, **more)
        self.err = done.stderr
        if status is not None and done.returncode != status:
            raise Failure(f"{' '.join(map(str, argv))}: status {done.returncode}, wanted {status}: {done.stderr}{done.stdout[-500:]}")
        return done.stdout

    def preloom(self, *args, **more):
        return self.run(PRELOOM, *args, **more)

    def one_line(self, pattern, *args, status=1):
        """The command fails with one line on stderr that matches."""
        out = self.preloom(*args, status=status)
        self.check(out == "", f"preloom {args}: printed {out!r}")
        self.check(re.fullmatch(f"(?:{pattern})\n", self.err), f"preloom {args}: stderr {self.err!r}, wanted {pattern!r}")

    def settled(self, p):
        """Waits until mixed.c's threads wait for what they shall wait for."""
        def is_so():
            text = self.preloom("top", "-b", "-n", 1, "-d", 0.02, p.pid)
            return re.search(r" locker .*Mutex", text) and re.search(r" reader .*pipe", text) and " sleep" in text
        self.until(is_so)
        return p

    @staticmethod
    def check(truth, why):
        if not truth:
            raise Failure(why)

    @staticmethod
    def until(condition, limit=60):
        """Waits for it to become true; its value."""
        end = time.monotonic() + limit
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise Failure(f"did not come about within {limit} s")
            time.sleep(0.05)
