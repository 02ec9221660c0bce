"""Dumps from outside: what each thread waits for, on which object, held by whom; stripped programs; errors."""
import os
import re
import shutil
import subprocess

from known import blocks, check

WAITS = {
    "mutex": (r"sync\.Mutex wait, .*owner goroutine {holder}", r"mutex the_lock \(0x\w+\), held by goroutine {holder} \"holder\""),
    "cond": (r"sync\.Cond wait, ", r"condition variable the_cond \("),
    "semaphore": (r"semaphore wait, ", r"semaphore the_sem \("),
    "rdlock": (r"sync\.RWMutex read wait, .*owner goroutine 1", r"rwlock the_rwlock .* held by goroutine 1 "),
    "wrlock": (r"sync\.RWMutex write wait, .*owner goroutine 1", r"rwlock the_rwlock "),
    "barrier": (r"barrier wait, ", r"barrier the_barrier "),
    "joiner": (r"join of goroutine {spins}, ", r"waits for the end of thread \d+ \"spins\""),
    "sleeper": (r"sleep, ", r"wakes in 8 minutes"),
    "reader": (r"IO wait, read of fd {pipe}, ", r"fd {pipe}: pipe, other end fd \d+"),
    "receiver": (r"IO wait, receive from fd {tcp}, ", r"fd {tcp}: TCP 127\.0\.0\.1:\d+, peer 127\.0\.0\.1:{port}"),
    "acceptor": (r"IO wait, accept on fd {listen}, ", r"TCP listening on 127\.0\.0\.1:{port}"),
    "poller": (r"poll, 2 fds, ", r"fd {pipe}: pipe, .*; fd {tcp}: TCP "),
    "selector": (r"select, ", r""),
    "epoller": (r"epoll wait, fd \d+, ", r"eventpoll"),
    "flocker": (r"syscall, flock", r"fd \d+: /tmp/known-lock-"),
    "sigwaiter": (r"signal wait, ", r""),
    "wired": (r"sleep, ", r"wired to its kernel thread for .*: namespace"),
    "spins": (r"running", r""),
}
# The function of libc that the program's own called, as .dynsym has it.
CALLS = {"cond": "pthread_cond_wait", "barrier": "pthread_barrier_wait", "poller": "poll", "sleeper": "sleep"}


def facts(p):
    return dict(re.findall(r"(port|pipe|tcp|listen) (\d+)", p.line))


def check_waits(p, dump, symbols=True):
    by_name, _ = blocks(dump)
    values = {**facts(p), "holder": by_name["holder"].goid, "spins": by_name["spins"].goid}
    for name, (state, detail) in WAITS.items():
        check(name in by_name, f"no thread {name}")
        b = by_name[name]
        if not symbols:
            detail = re.sub(r"the_\w+ (\\\(0x\\w\+\\\)|\\\(|)", lambda m: r"0x\w+", detail)
        state, detail = (re.sub(r"\{(\w+)\}", lambda m: str(values[m[1]]), s) for s in (state, detail))
        check(re.match(state, b.state), f"{name}: state is {b.state!r}")
        check(re.search(detail, b.text), f"{name}: no {detail!r} in {b.text!r}")
        if symbols:
            check(name in b.functions, f"{name}: its function is not in {b.functions}")
            check(b.creator == "start", f"{name}: created by {b.creator}")
            check(f"waits.c:" in b.text, f"{name}: no file and line")
        check(any(f in ("start_thread", "clone3", "__clone3") for f in b.functions) or not symbols,
              f"{name}: the stack ends in {b.functions[-1:]}")
        if name in CALLS and symbols:
            check(any(CALLS[name] in f for f in b.functions), f"{name}: no {CALLS[name]} in {b.functions}")


def test_waits(t):
    for procs in (1, 2):
        p = t.start(t.compile("waits.c"), procs=procs)
        check_waits(p, t.preloom("dump", p.pid))
        check_waits(p, t.preloom("dump", p.pid))


def test_without_stop(t):
    """The same, but of the running one, without ptrace."""
    p = t.start(t.compile("waits.c"))
    by_name, _ = blocks(t.preloom("dump", "--no-stop", p.pid))
    check("mutex" in by_name["mutex"].functions, "the stack of a parked thread needs no stop")
    check("sync.Mutex" in by_name["mutex"].state, by_name["mutex"].state)


def test_stripped(t):
    """Only .eh_frame and .dynsym are left: stacks are as deep, with addresses for the program's own functions."""
    path = t.compile("waits.c")
    bare = os.path.join(t.dir, "bare")
    shutil.copy(path, bare)
    subprocess.run(["strip", bare], check=True)
    a, b = t.start(path), t.start(bare)
    whole, stripped = blocks(t.preloom("dump", a.pid))[0], blocks(t.preloom("dump", b.pid))[0]
    check_waits(b, t.preloom("dump", b.pid), symbols=False)
    for name in ("mutex", "reader", "spins"):
        x, y = whole[name], stripped[name]
        deep = [len(re.findall(r"^\t.* in |^\tin ", z.text.split("created by")[0], re.M)) for z in (x, y)]
        check(deep[0] == deep[1], f"{name}: {deep} frames\n{x.text}\n{y.text}")
        check(re.search(r"^0x[0-9a-f]+\n\tin \S*bare\+0x", y.text, re.M), f"{name}: {y.text}")


def test_one(t):
    p = t.start(t.compile("waits.c"))
    by_name, _ = blocks(t.preloom("dump", p.pid))
    one, found = blocks(t.preloom("dump", "--goroutine", by_name["cond"].goid, p.pid))
    check(list(one) == ["cond"] and len(found) == 1, f"{list(one)}")
    heads = t.preloom("dump", "--no-stacks", p.pid)
    check("start_thread" not in heads and "the_lock" in heads, "--no-stacks prints heads and details")
    system = t.preloom("dump", "--system", "--goroutine", by_name["cond"].goid, p.pid)
    check("shim_futex" in system and "shim_dispatch" in system, "--system shows preloom's own frames")
    t.one_line(r"preloom dump: --goroutine 4711: .*", "dump", "--goroutine", 4711, p.pid)
    t.one_line(r"preloom dump: --goroutine x: .*", "dump", "--goroutine", "x", p.pid, status=2)
    t.one_line(r"preloom dump: --fast: unknown option.*", "dump", "--fast", p.pid, status=2)


def test_groups(t):
    """200 threads with one stack are printed once."""
    p = t.start(t.compile("many.c"), 200)
    text = t.preloom("dump", p.pid)
    check(len(blocks(text)[1]) < 20, f"{len(blocks(text)[1])} blocks")
    check(re.search(r"and 199 more with this stack: goroutines \d+, .*\.\.\. \d+", text), text)


def test_many_threads(t):
    """3,000 threads that move: every stack ends where a thread begins."""
    p = t.start(t.compile("many.c"), 3000, "move")
    text = t.preloom("dump", p.pid)
    counted = len(re.findall(r"^goroutine ", text, re.M)) + sum(int(n) for n in re.findall(r"and (\d+) more with", text))
    check(counted >= 3001, f"{counted} goroutines")
    check("stack ends here" not in text, re.search(r".*\n.*\n.*stack ends here.*", text))


def test_times(t):
    p = t.start(t.compile("many.c"), 300)
    t.preloom("dump", "--times", "--no-stacks", p.pid)
    said = re.fullmatch(r"preloom dump: process \d+ stood still for (\d+\.\d+) ms, with 301 threads on \d+ kernel threads\n", t.err)
    check(said and 0 < float(said[1]) < 5000, t.err)


def test_wrapped(t):
    """Who had a library make a thread, and for what; not the library's own functions, which all its threads have in common."""
    p = t.start(t.compile("wrapped.cc", "-fopenmp"), options="deadlock=0")
    found = blocks(t.preloom("dump", p.pid))[1]
    by_name = {b.name: b for b in found if b.goid != 1}
    for name, entry, creator, through in (
            ("function", r"std::thread of void \(\*\)\(char const\*\), char const\*", "main", "libstdc"),
            ("lambda", r"std::thread of main::\{lambda\(\)#1\}", "main", "libstdc"),
            ("member", r"std::thread of void \(Worker::\*\)\(int\), Worker\*, int", "Worker::make()", "libstdc"),
            ("openmp", r"parallel\(\).*_omp_fn.*", "parallel()", "libgomp"), ("plain", r"plain.*", "main", None)):
        b = by_name[name]
        check(re.fullmatch(f", entry {entry}", b.more), f"{name}: {b.more}")
        made = re.search(r"^created by (.*)\+0x\w+ in goroutine 1(.*)\n\t(.*)", b.text, re.M)
        check(made and made[1] == creator, f"{name}: created by {b.creator}: {b.text}")
        check(made[2].startswith(f", by way of {through}") if through else not made[2], f"{name}: {made[2]}")
        check("wrapped.cc:" in made[3], f"{name}: {made[3]}")
