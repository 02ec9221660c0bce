"""preloom set: GOMAXPROCS changes while the process runs, up and down, and the process shows it."""
import os
import random
import re
import resource
import signal
import subprocess
import time

import harness

PROG = os.path.join(harness.BUILD, "tests", "prog")


def procs_seen(t, pid):
    return int(re.search(r"gomaxprocs (\d+)", t.preloom("top", "-b", "-n", 1, "-d", 0.05, "-l", 0, pid)).group(1))


def test_up_and_down(t):
    p = t.start(t.compile("mixed.c"), 3, procs=2)
    before = 2
    for n in (4, 1, 3, 1, 2, 1024, 1, 8):
        out = t.preloom("set", f"gomaxprocs={n}", p.pid)
        t.check(out == f"process {p.pid}: gomaxprocs {n}, was {before}\n", out)
        t.check(procs_seen(t, p.pid) == n, f"the process does not have {n}")
        before = n


def test_under_load(t):
    """Programs that check themselves, while the number of P's changes all the time."""
    for program in ("stress_locks", "stress_futex", "stress_timers", "stress_create", "stress_io"):
        path = os.path.join(PROG, program)
        if not os.path.exists(path):
            raise harness.Skip(f"{path} is not built")
        seed = random.randrange(1 << 30)
        p = t.start(path, seed, 2500, ready="seed")
        rng = random.Random(seed)
        n = 0
        time.sleep(0.1)
        while p.popen.poll() is None:
            t.preloom("set", f"gomaxprocs={rng.choice((1, 1, 2, 3, 5, 16))}", p.pid, status=None)
            if t.err:
                t.check(re.search("ended|no such process|no memory of its own|not active", t.err), f"{program} {seed}: {t.err}")
            else:
                n += 1
        rest = p.popen.stdout.read().decode()
        t.check(p.popen.returncode == 0, f"{program} {seed}: status {p.popen.returncode} after {n} changes: "
                f"{rest} {p.popen.stderr.read().decode()}")
        t.check(n >= 5, f"{program}: only {n} changes")


def test_asleep(t):
    """A process that does nothing at all is woken by the doorbell."""
    p = t.start(t.compile("asleep.c"), procs=2, options="deadlock=0") # nor looks for deadlocks
    time.sleep(0.5)
    begin = time.monotonic()
    t.preloom("set", "gomaxprocs=3", p.pid)
    t.check(time.monotonic() - begin < 20, "it took long")
    t.check(procs_seen(t, p.pid) == 3, "nothing changed")
    p.popen.stdin.write(b"x")
    p.popen.stdin.flush()
    t.until(lambda: p.popen.poll() is not None)
    t.check(p.popen.returncode == 0, f"the program noticed: {p.popen.returncode} {p.popen.stderr.read().decode()}")


def test_starved(t):
    """A process that gets hardly any CPU: such time does not count against it, and if it takes for ever the line says why."""
    p = t.start(os.path.join(PROG, "stress_create"), 1, 600000, ready="seed")
    t.until(lambda: t.preloom("set", "gomaxprocs=2", p.pid, status=None)) # it has threads
    cpu = min(os.sched_getaffinity(0))
    others = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(10)]
    try:
        for other in others:
            os.sched_setaffinity(other.pid, {cpu})
        for _ in range(3): # it makes kernel threads meanwhile
            for tid in map(int, os.listdir(f"/proc/{p.pid}/task")):
                os.sched_setaffinity(tid, {cpu})
                os.sched_setscheduler(tid, os.SCHED_IDLE, os.sched_param(0))
        t.preloom("set", "gomaxprocs=1", p.pid, status=None, limit=100)
        t.check(not t.err or re.fullmatch(rf"preloom set: process {p.pid}: it did not answer within \d+ s, and waited for a CPU for "
                                          r"\d+ s of these: others have them; .*\n", t.err), t.err)
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_unrung(t):
    """A request that came without its doorbell does not keep others from coming."""
    p = t.start(t.compile("asleep.c"), procs=2, options="deadlock=0") # nor looks for deadlocks
    time.sleep(0.5)
    limit = resource.prlimit(p.pid, resource.RLIMIT_SIGPENDING)
    resource.prlimit(p.pid, resource.RLIMIT_SIGPENDING, (0, limit[1]))
    t.preloom("set", "gomaxprocs=3", p.pid, status=None)
    t.check(not t.err or "it did not answer within" in t.err, t.err)
    resource.prlimit(p.pid, resource.RLIMIT_SIGPENDING, limit)
    t.preloom("set", "gomaxprocs=5", p.pid)
    t.check(procs_seen(t, p.pid) == 5, "nothing changed")


def test_failed_execs(t):
    """What interrupts threads that compute goes on doing so after an exec that failed."""
    p = t.start(t.compile("execs.c"), procs=2)
    for n in (1, 3, 2):
        t.preloom("set", f"gomaxprocs={n}", p.pid)


def test_stopped(t):
    p = t.start(t.compile("mixed.c"), 3)
    os.kill(p.pid, signal.SIGSTOP)
    t.one_line(rf"preloom set: process {p.pid}: it is stopped \(by a signal.*", "set", "gomaxprocs=3", p.pid)
    os.kill(p.pid, signal.SIGCONT)
    t.preloom("set", "gomaxprocs=3", p.pid)


def test_bad_arguments(t):
    for bad in ("0", "1025", "-1", "x", "", "2x", "99999999999999999999"):
        t.one_line(rf"preloom set: gomaxprocs={bad}: not a number from 1 to 1024", "set", f"gomaxprocs={bad}", "1", status=2)
    t.one_line(r"preloom set: frob=1: not known; what can be set is gomaxprocs=N", "set", "frob=1", "1", status=2)
    t.one_line(r"preloom set: what to set and one process id are needed.*", "set", "gomaxprocs=1", status=2)
