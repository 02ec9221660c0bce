"""gdb's commands for goroutines, on live processes and core files, with and without the library's symbols."""
import os
import re
import shutil
import signal
import subprocess

import harness


def gdb(t, library, *commands, args=()):
    """Runs gdb with the script that lies beside the library; what it printed."""
    if not shutil.which("gdb"):
        raise harness.Skip("gdb is not installed")
    argv = ["gdb", "-nx", "-q", "-batch", "-iex", f"add-auto-load-safe-path {os.path.dirname(library)}", "-iex",
            "set debuginfod enabled off", *args]
    for c in commands:
        argv += ["-ex", c]
    return t.run(*argv, status=None, stdin=subprocess.DEVNULL)


def stack(text, goid):
    """Functions, innermost first, in the output of `goroutine all bt`."""
    block = re.search(rf"^goroutine {goid} \[.*\n((?:(?:#|warning:).*\n)*)", text, re.M)
    return [re.sub(r"^#\d+ +(0x[0-9a-f]+ in )?", "", line).split(" ")[0] for line in block.group(1).splitlines()
            if line[0] == "#"]


WANTED = {"locker": ("wait_for_mutex", "pthread_mutex_lock"), "reader": ("read_pipe", "read"), "sleeper": ("sleep_for_ever", "sleep"),
          "spinner": ("compute_for_ever", "")}


def check_all(t, text):
    names = dict(re.findall(r'^goroutine (\d+) \[.*"(\w+)"$', text, re.M))
    t.check(len(names) == 9, f"{len(names)} goroutines: {text}")
    seen = set()
    for goid, name in names.items():
        functions = stack(text, goid)
        if name in WANTED:
            own, libc = WANTED[name]
            t.check(own in functions and any(libc in f for f in functions), f"{name}: {functions} {text}")
            # Before it nothing of preloom's, behind it nothing but the thread's beginning.
            t.check(functions.index(own) < 6 and functions[functions.index(own) + 1:][:1] == ["start_thread"], f"{name}: {functions} {text}")
            seen.add(name)
    t.check(seen == set(WANTED), f"only {seen}: {text}")
    t.check(stack(text, "1")[-1] == "main", f"main: {stack(text, '1')}")


def library_in(t, folder, strip=False):
    """A copy of the library with the script beside it."""
    where = os.path.join(t.dir, folder)
    os.mkdir(where)
    library = os.path.join(where, "libpreloom.so")
    shutil.copy(os.path.join(harness.BUILD, "libpreloom.so"), library)
    shutil.copy(os.path.join(harness.BUILD, "libpreloom.so-gdb.py"), where)
    if strip:
        t.run("strip", "--strip-all", library)
    return library


def start(t, library):
    return t.settled(t.start(t.compile("mixed.c"), 3, preloom=False, env={"LD_PRELOAD": library}))


def test_live(t):
    library = library_in(t, "lib")
    p = start(t, library)
    text = gdb(t, library, "info goroutines", "goroutine all bt", args=("-p", str(p.pid)))
    check_all(t, text)
    t.check(re.search(r'^\* \d+ +running .*"spinner"  compute_for_ever', text, re.M), text)
    t.check(re.search(r'^  \d+ +waiting \(futex 0x[0-9a-f]+\) .*"locker"  wait_for_mutex', text, re.M), text)
    t.check(re.search(r'^  \d+ +waiting \(read, fd \d+\) .*"reader"  read_pipe', text, re.M), text)
    # It goes on as if nothing had been.
    first = t.preloom("top", "-b", "-n", 1, "-d", 0.3, "-l", 1, p.pid)
    t.check("spinner" in first, first)


def test_stripped(t):
    library = library_in(t, "lib", strip=True)
    p = start(t, library)
    check_all(t, gdb(t, library, "goroutine all bt", args=("-p", str(p.pid))))


def test_core(t):
    """The kernel's core files: those of gdb 13 leave out what lies behind the first guard page of a stack."""
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as f:
        if not re.fullmatch(r"[A-Za-z0-9_.%]+\n", f.read()):
            raise harness.Skip("core files go elsewhere (kernel.core_pattern)")
    for strip in (False, True):
        library = library_in(t, f"lib{int(strip)}", strip)
        folder = os.path.join(t.dir, f"core{int(strip)}")
        os.mkdir(folder)
        p = t.start(t.compile("mixed.c"), 3, preloom=False, cwd=folder, core=True,
                    env={"LD_PRELOAD": library, "GOTRACEBACK": "none"})
        t.settled(p)
        os.kill(p.pid, signal.SIGABRT)
        p.popen.wait(timeout=harness.LIMIT)
        core, = (os.path.join(folder, name) for name in os.listdir(folder))
        check_all(t, gdb(t, library, "info goroutines", "goroutine all bt", args=(os.path.join(t.dir, "mixed"), core)))


def test_one(t):
    library = library_in(t, "lib")
    p = start(t, library)
    names = gdb(t, library, "info goroutines", args=("-p", str(p.pid)))
    locker = re.search(r'(\d+) .*"locker"', names).group(1)
    text = gdb(t, library, f"goroutine {locker} bt", f"goroutine {locker} bt 2", f"goroutine {locker} info registers rip",
               "goroutine 99 bt", "goroutine x bt", "bt 1", "goroutine", args=("-p", str(p.pid)))
    lines = text.splitlines()
    numbers = [int(n) for n in re.findall(r"^#(\d+)", text, re.M)]
    depth = numbers.index(0, 1)
    t.check(numbers[:depth] == list(range(depth)) and depth >= 4, f"numbers of frames: {text}")
    t.check(any("pthread_mutex_lock" in line or "lll_lock_wait" in line for line in lines if line.startswith("rip") or "in " in line), text)
    err = t.err
    t.check("There is no goroutine 99" in err and "usage: goroutine ID COMMAND" in err, err)


def test_preempted(t):
    """G's that lost their P in the middle of computing: their frames are below a signal frame."""
    library = library_in(t, "lib")
    p = t.start(t.compile("spinners.c"), preloom=False, procs=1, env={"LD_PRELOAD": library})
    text = gdb(t, library, "goroutine all bt", args=("-p", str(p.pid)))
    found = re.findall(r'^goroutine \d+ \[runnable\].*"spinner"\n((?:#.*\n)*)', text, re.M)
    t.check(len(found) >= 2, f"none is runnable: {text}")
    for block in found:
        t.check("compute_for_ever" in block and "start_thread" in block, block)


def test_without_preloom(t):
    p = t.start("/bin/cat", preloom=False, ready=None)
    library = os.path.join(harness.BUILD, "libpreloom.so")
    gdb(t, library, f"source {library}-gdb.py", "info goroutines", "goroutine 1 bt", args=("-p", str(p.pid)))
    t.check(t.err.count("preloom: there is no process or core file with libpreloom.so") == 2, t.err)
