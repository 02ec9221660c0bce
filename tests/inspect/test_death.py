"""Ends: the report names the culprit, and the process ends as it would without preloom."""
import os
import re
import resource
import shutil
import signal
import subprocess
import time

import harness
from known import blocks, check, end_of, environment, run, until_said

SIGNALS = {"null": signal.SIGSEGV, "divide": signal.SIGFPE, "abort": signal.SIGABRT, "overflow": signal.SIGSEGV,
           "quit": signal.SIGQUIT}
FIRST = {
    "null": r"^fatal error: unexpected signal\n\[signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=0x\w+\]\n\n",
    "divide": r"^fatal error: unexpected signal\n\[signal SIGFPE: floating-point exception ",
    "abort": r"^SIGABRT: abort\n\n",
    "overflow": r"^runtime: goroutine stack exceeds \d+-byte limit\nfatal error: stack overflow\n\[signal SIGSEGV: ",
    "quit": r"^SIGQUIT: quit\n\n",
}


def test_signals(t):
    ends = t.compile("ends.c")
    for how, sig in SIGNALS.items():
        check(subprocess.run([ends, how], capture_output=True, timeout=60, check=False).returncode == -sig, f"natively, {how} is not {sig.name}")
        for procs in (1, 2):
            status, _, err = run(ends, how, procs=procs)
            check(status == -sig, f"{how}: status {status}")
            check(re.search(FIRST[how], err), f"{how}: {err[:300]!r}")
            by_name, found = blocks(err)
            check("at_fault" in by_name["culprit"].functions, f"{how}: {by_name['culprit'].functions}")
            check(by_name["culprit"].functions[-2:-1] == ["start_thread"], f"{how}: {by_name['culprit'].functions}")
            if how == "quit":
                check(set(by_name) == {"ends", "bystander", "culprit"}, f"{how}: {list(by_name)}")
            else:
                check(len(found) == 1, f"{how}: only the culprit is shown by default, not {list(by_name)}")


def test_deep(t):
    ends = t.compile("ends.c")
    _, _, err = run(ends, "overflow")
    b = blocks(err)[0]["culprit"]
    check(re.search(r"\.\.\.\d{4,} frames are left out\.\.\.", err), err[-600:])
    check(b.functions[0] == "recurse" and b.functions[-3] == "culprit", str(b.functions[-5:]))
    status, _, err = run(ends, "main-overflow")
    check(status == -signal.SIGSEGV and "fatal error: stack overflow" in err, f"main: {status} {err[:200]!r}")


def test_traceback_levels(t):
    ends = t.compile("ends.c")

    def names(level, how="null"):
        status, _, err = run(ends, how, GOTRACEBACK=level)
        check(status == -SIGNALS[how], f"GOTRACEBACK={level}: status {status}")
        return set(blocks(err)[0]), err

    check(names("none")[0] == set(), "none")
    check("SIGSEGV" in names("none")[1], "none: the signal is named all the same")
    check(names("single")[0] == {"culprit"}, "single")
    check(names("all")[0] == {"ends", "bystander", "culprit"}, "all")
    check("shim_dispatch" in names("system")[1], "system shows preloom's frames")
    _, err = names("often")
    check(re.search(r"GOTRACEBACK=often: it takes none, single, all, system or crash", err), err[:200])
    check(run(ends, "deadlock", GOTRACEBACK="crash")[0] == -signal.SIGABRT, "crash: a deadlock ends by SIGABRT")


def check_circle(err):
    circle = re.search(r"^deadlock: 3 goroutines wait for each other in a circle:\n((?:\t.*\n){3})", err, re.M)
    check(circle, err[:1000])
    lines = circle[1].strip("\n").split("\n")
    held = {}
    for line in lines:
        m = re.fullmatch(r'\tgoroutine (\d+) "(thinker\d)" holds mutex fork_lock(\S*) \(0x\w+\) and waits for mutex '
                         r'fork_lock(\S*) \(0x\w+\) held by goroutine (\d+)', line)
        check(m, line)
        held[m[1]] = (m[3], m[4], m[5])
    for goid, (_, wanted, owner) in held.items():
        check(held[owner][0] == wanted, f"goroutine {goid}: {held}")


def test_deadlock(t):
    ends = t.compile("ends.c")
    for procs in (1, 2):
        status, _, err = run(ends, "deadlock", procs=procs)
        check(status == 2, f"status {status}")
        check(err.startswith("fatal error: all goroutines are asleep - deadlock!\n\n"), err[:200])
        check_circle(err)
        by_name, found = blocks(err)
        check(set(by_name) == {"ends", "thinker0", "thinker1", "thinker2"}, str(list(by_name)))
        check(all("philosopher" in b.functions for b in found if b.name != "ends"), "stacks of all")


def test_quit_from_outside(t):
    p = t.start(t.compile("waits.c"))
    os.kill(p.pid, signal.SIGQUIT)
    status, _, err = end_of(p)
    check(status == -signal.SIGQUIT, f"status {status}")
    check(err.startswith("SIGQUIT: quit\n\n"), err[:100])
    check(len(blocks(err)[0]) == 20, f"{list(blocks(err)[0])} of:\n{err}")


def test_core(t):
    """The core is the kernel's, of the signal's own."""
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as f:
        if f.read().strip() != "core":
            return
    def limits():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    ends = t.compile("ends.c")
    os.mkdir(os.path.join(t.dir, "cwd"))
    p = subprocess.run([ends, "null"], cwd=os.path.join(t.dir, "cwd"), capture_output=True, timeout=60, preexec_fn=limits,
                       check=False, env=environment())
    check(p.returncode == -signal.SIGSEGV, f"status {p.returncode}")
    check(any(n.startswith("core") for n in os.listdir(os.path.join(t.dir, "cwd"))), "no core")


def test_without_helper(t):
    """The library alone, or a chroot: a line for each thread, and one that says why there is no more."""
    ends, library = t.compile("ends.c"), os.path.join(t.dir, "libpreloom.so")
    shutil.copy(os.path.join(harness.BUILD, "libpreloom.so"), library)
    installed = any(os.path.exists(f"{d}/preloom/preloom-inspect") for d in ("/usr/libexec", "/usr/local/libexec"))
    for args in ["deadlock"], ["deadlock", t.dir]:
        if (installed and len(args) == 1) or (os.geteuid() != 0 and len(args) == 2):
            continue
        status, _, err = run(ends, *args, LD_PRELOAD=library)
        check(status == 2, f"status {status}")
        check(len(re.findall(r"^goroutine \d+ \[.*\]: thread \d+ \"", err, re.M)) == 4, err)
        check(re.search(r"^preloom: no stacks: preloom-inspect cannot be executed here", err, re.M), err)


def test_closed_stderr(t):
    """A program without a stderr dies all the same."""
    p = subprocess.run(["sh", "-c", f"exec {t.compile('ends.c')} abort 2>&-"], capture_output=True, timeout=60, check=False,
                       env=environment())
    check(p.returncode == -signal.SIGABRT, f"status {p.returncode}")


def test_partial_kinds(t):
    """A writer of a read-write lock, a join and a mutex make a circle too."""
    p = t.start(t.compile("ends.c"), "kinds")
    err = report_of(p, "reader", "writer", "locker")
    check(err.count("preloom: deadlock: goroutines wait for each other in a circle, while others run\n") == 1, err[:500])
    check("deadlock: 3 goroutines wait for each other in a circle:\n" in err, err[:1000])
    for line in (r'"reader" holds mutex fork_lock \(0x\w+\) and waits for rwlock book \(0x\w+\) held by goroutine',
                 r'"writer" holds rwlock book \(0x\w+\) and waits for the end of goroutine',
                 r'"locker" waits for mutex fork_lock \(0x\w+\) held by goroutine'):
        check(re.search(line, err), f"no {line} in {err[:1500]}")
    check(set(blocks(err)[0]) == {"reader", "writer", "locker"}, str(list(blocks(err)[0])))


def report_of(p, *names):
    """What it says until all of them are shown, and for some seconds more."""
    err = until_said(p, *(rf'(?m)^\tthread \d+ "{name}"' for name in names))
    time.sleep(4)
    check(p.popen.poll() is None, "the program goes on")
    p.popen.kill()
    return err + end_of(p)[2]


def partial(t, how):
    """Three wait for each other while main goes on: reported once, with the circle and its stacks, and the program goes on."""
    p = t.start(t.compile("ends.c"), how)
    err = report_of(p, "thinker0", "thinker1", "thinker2")
    check(err.count("preloom: deadlock: goroutines wait for each other in a circle, while others run\n") == 1, err[:500])
    check_circle(err)
    check(set(blocks(err)[0]) == {"thinker0", "thinker1", "thinker2"}, str(list(blocks(err)[0])))


def test_partial(t):
    partial(t, "partial")


def test_partial_idle(t):
    """The same while main waits for input, so that nothing at all happens in the process."""
    partial(t, "idle")
