"""preloom top: it names the thread that computes first, tells states and reasons apart, and reads a process that hangs."""
import os
import re
import signal
import subprocess
import time

import harness


def blocks(text):
    """Of each sample: the lines before the list of threads, and that list as dictionaries."""
    out = []
    for block in text.rstrip("\n").split("\n\n"):
        lines = block.split("\n")
        head = next(i for i, line in enumerate(lines) if line.lstrip().startswith("GOID"))
        rows = []
        for line in lines[head + 1:]:
            goid, state, cpu, cpu_time, switches, migrations, since, rest = line.split(None, 7)
            name, _, what = rest.partition(" ")
            rows.append(dict(goid=int(goid), state=state, cpu=float(cpu), time=cpu_time, switches=switches,
                             since=since, name=name, what=what.strip()))
        out.append((lines[:head], rows))
    return out


@harness.alone
def test_spinner_comes_first(t):
    p = t.start(t.compile("mixed.c"), 3)
    for head, rows in blocks(t.preloom("top", "--batch", "-n", 3, "-d", 0.5, p.pid)):
        t.check(rows[0]["name"] == "spinner", f"first: {rows[0]}")
        t.check(rows[0]["cpu"] > 50 and rows[0]["what"] == "compute_for_ever", f"{rows[0]}")
        t.check(len(rows) == 9, f"{len(rows)} threads")
        t.check(f"process {p.pid} (mixed)" in head[0] and "gomaxprocs 2" in head[0], head[0])
        t.check(head[1].startswith("threads: 9;"), head[1])


def test_states_and_reasons(t):
    p = t.settled(t.start(t.compile("mixed.c"), 3))
    (_, rows), = blocks(t.preloom("top", "-b", "-n", 1, "-d", 0.3, p.pid))
    by_name = {r["name"]: r for r in rows}
    t.check(by_name["sleeper"]["state"] == "waiting" and "sleep" in by_name["sleeper"]["what"], f"{by_name['sleeper']}")
    t.check("Mutex wait" in by_name["locker"]["what"] and "held by goroutine 1" in by_name["locker"]["what"],
            f"{by_name['locker']}")
    t.check("fd" in by_name["reader"]["what"] and "pipe" in by_name["reader"]["what"], f"{by_name['reader']}")
    t.check(by_name["sleeper"]["cpu"] < 1 and by_name["locker"]["cpu"] < 1, "those that wait use the CPU")


def test_sort_filter_rows(t):
    p = t.start(t.compile("mixed.c"), 3)
    (_, rows), = blocks(t.preloom("top", "-b", "-n", 1, "-d", 0.5, "-s", "switches", "-l", 2, p.pid))
    t.check(len(rows) == 2 and {r["name"] for r in rows} <= {"asker", "answerer"}, f"{rows}")
    (_, rows), = blocks(t.preloom("top", "-b", "-n", 1, "-d", 0.1, "--filter", "sleeper", p.pid))
    t.check([r["name"] for r in rows] == ["sleeper"] * 3, f"{rows}")
    (_, rows), = blocks(t.preloom("top", "-b", "-n", 1, "-d", 0.1, "-s", "id", p.pid))
    t.check([r["goid"] for r in rows] == list(range(1, 10)), f"{rows}")
    (_, rows), = blocks(t.preloom("top", "-b", "-n", 1, "-d", 0.1, "-s", "id", "-r", p.pid))
    t.check([r["goid"] for r in rows] == list(range(9, 0, -1)), f"{rows}")


def test_ps_and_ms(t):
    p = t.start(t.compile("mixed.c"), 3)
    (head, _), = blocks(t.preloom("top", "-b", "-n", 1, "-d", 0.5, "-m", p.pid))
    ps = [line.split() for line in head if re.match(r" +\d+ (idle|running|syscall) ", line)]
    t.check([line[0] for line in ps[:2]] == ["0", "1"], f"{head}")
    t.check(sum(float(line[2]) for line in ps[:2]) > 80, f"the P's are not busy: {ps}")  # the spinner may have moved
    t.check(any("sysmon" in line for line in head), f"{head}")
    t.check(any(f" {p.pid} " in line for line in head), f"M 0 is not there: {head}")
    t.check(re.search(r"p50 [\d.]+(ns|us|ms|s), p99 [\d.]+(ns|us|ms|s)", head[3]), head[3])


def test_stopped_process(t):
    p = t.start(t.compile("mixed.c"), 3)
    os.kill(p.pid, signal.SIGSTOP)
    (head, rows), = blocks(t.preloom("top", "-b", "-n", 1, "-d", 0.2, p.pid))
    t.check("STOPPED" in head[0] and len(rows) == 9, head[0])


def test_thousands(t):
    p = t.start(t.compile("mixed.c"), 5000)
    begin = os.times()
    (head, rows), = blocks(t.preloom("top", "-b", "-n", 1, "-d", 0.5, "-l", 5, p.pid))
    end = os.times()
    took = end.children_user + end.children_system - begin.children_user - begin.children_system
    t.check(rows[0]["name"] == "spinner" and head[1].startswith("threads: 5006;"), f"{rows[0]} {head[1]}")
    t.check(took < 4, f"took {took:.1f} s of CPU time")


def test_screen(t):
    """The terminal: keys for order, filter and end."""
    if subprocess.run(["which", "tmux"], capture_output=True).returncode:
        raise harness.Skip("tmux is not installed")
    p = t.start(t.compile("mixed.c"), 3)
    tmux = ["tmux", "-S", os.path.join(t.dir, "tmux"), "-f", "/dev/null"]
    t.run(*tmux, "new-session", "-d", "-x", "130", "-y", "24", f"{harness.PRELOOM} top -d 0.2 {p.pid}; echo status $?; cat")

    def screen():
        return t.run(*tmux, "capture-pane", "-p")
    try:
        t.until(lambda: re.search(r"GOID.*\n +\d+ running .* spinner +compute_for_ever", screen()))
        t.run(*tmux, "send-keys", "g", "r")
        t.until(lambda: "sorted by id, reversed" in screen())
        t.run(*tmux, "send-keys", "/", "locker", "Enter")
        t.until(lambda: re.search(r"GOID.*\n +\d+ waiting .* locker .*Mutex.*\n\n", screen()))
        t.run(*tmux, "send-keys", "q")
        t.until(lambda: "status 0" in screen())
        t.check(f"next: preloom dump {p.pid}" in screen(), screen())
    finally:
        t.run(*tmux, "kill-server", status=None)


def test_bad_arguments(t):
    for args, line in ((("-s", "size"), r"--sort size: not one of cpu, .*"), (("-d", "0"), r"--delay 0: not a number from 0.01 to .*"),
                       (("-n", "x"), r"--times x: not a number from 1 to .*"), (("--frob",), r"--frob: unknown option.*"),
                       ((), r"one process id is needed.*")):
        t.one_line(r"preloom top: " + line, "top", "-b", *args, status=2)
    t.one_line(r"preloom top: this is not a terminal; use --batch", "top", "1", status=2)


def test_end_of_the_process(t):
    p = t.start(t.compile("mixed.c"), 3)
    top = subprocess.Popen([harness.PRELOOM, "top", "-b", "-d", "0.1", str(p.pid)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    p.end()
    err = top.communicate(timeout=harness.LIMIT)[1]
    t.check(top.returncode == 1 and f"process {p.pid}: it has ended" in err, f"{top.returncode} {err!r}")
