"""Every command that takes a process id says in one line what is wrong with one."""
import os
import random
import re
import shutil
import subprocess
import threading

import harness

COMMANDS = (("dump",), ("top", "-b", "-n", "1"), ("set", "gomaxprocs=2"), ("version",),
            ("profile", "--seconds", "1"), ("trace", "--seconds", "1"), ("record", "--seconds", "1"))


def test_no_such_process(t):
    for c in COMMANDS:
        for bad in ("x", "0", "-1", "1x", "99999999999") if c[0] != "record" else ():  # to record, a word is a program
            t.one_line(rf"preloom {c[0]}: {bad}: (not a process id|.*unknown option).*", *c, bad, status=None)
        t.one_line(rf"preloom {c[0]}: process 4194300: no such process", *c, "4194300")


def test_process_without_preloom(t):
    p = t.start("/bin/cat", preloom=False, ready=None)
    for c in COMMANDS:
        t.one_line(rf"preloom {c[0]}: process {p.pid}: preloom is not loaded in it .*", *c, p.pid)


def test_process_without_threads(t):
    p = t.start("/bin/sh", "-c", "echo ready; read x", ready="ready")
    for c in COMMANDS:
        t.one_line(rf"preloom {c[0]}: process {p.pid}: it has made no thread yet, .*", *c, p.pid)


def test_kernel_thread_or_forbidden(t):
    for c in COMMANDS:
        t.one_line(rf"preloom {c[0]}: process 1: (not permitted|preloom is not loaded|it has no memory).*", *c, "1")


def test_no_permission(t):
    if os.geteuid() != 0:
        raise harness.Skip("needs root to become another user")
    p = t.start(t.compile("mixed.c"), 3)
    copies = os.path.join(t.dir, "bin")
    os.mkdir(copies)
    for name in ("preloom", "preloom-inspect"):
        shutil.copy(os.path.join(harness.BUILD, name), copies)
    os.chmod(t.dir, 0o755)
    for c in COMMANDS:
        done = subprocess.run([os.path.join(copies, "preloom"), *c, str(p.pid)], capture_output=True, text=True, user=65534,
                              group=65534, extra_groups=[], timeout=harness.LIMIT)
        t.check(done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1 and "not permitted" in done.stderr,
                f"{c[0]}: {done.returncode} {done.stdout!r} {done.stderr!r}")


def test_other_version(t):
    """A library whose header says another version, one of another build, and one that is no such library."""
    program = t.compile("mixed.c")
    library = os.path.join(harness.BUILD, "libpreloom.so")
    for what, line in (("version", r"its libpreloom.so is of another version.*"), ("magic", r".*another version.*")):
        copy = os.path.join(t.dir, what, "libpreloom.so")
        os.mkdir(os.path.dirname(copy))
        with open(library, "rb") as f:
            data = bytearray(f.read())
        at = data.index(b"1preloom")
        if what == "version":
            data[at + 8] ^= 0x40
        else:
            data[at] ^= 0x40
        with open(copy, "wb") as f:
            f.write(data)
        p = t.start(program, 3, preloom=False, env={"LD_PRELOAD": copy})
        for c in COMMANDS:
            t.one_line(rf"preloom {c[0]}: process {p.pid}: {line}", *c, p.pid)


def test_ends_meanwhile(t):
    """A process that ends while it is looked at is said to end, not to be strange or forbidden."""
    program = t.compile("mixed.c")
    for i in range(60):
        p = t.start(program, 3)
        killer = threading.Timer(random.uniform(0.001, 0.015), p.popen.kill)
        killer.start()
        t.preloom(*(("dump",), ("set", "gomaxprocs=2"), ("version",))[i % 3], p.pid, status=None)
        killer.join()
        t.check(not re.search("another|not permitted|not loaded", t.err), t.err)
        p.end()


def test_fork_child_without_threads(t):
    p = t.start(t.compile("forked.c"))
    child = int(p.popen.stdout.readline())
    t.preloom("top", "-b", "-n", "1", "-d", "0.1", child)
    t.one_line(rf"preloom set: process {child}: it has no thread that could answer.*", "set", "gomaxprocs=2", child)
