"""preloom record: the program is undisturbed, the summary names the culprit first, and the page works in a browser."""
import json
import os
import pty
import re
import signal
import subprocess
import time

import harness
from browser import Browser


def recorded(t, program, *args, status=0, procs=2, words=("--",)):
    """Runs it under record: the summary, and the page's data."""
    path = os.path.join(t.dir, "report.html")
    t.run(harness.PRELOOM, "record", "-o", path, *words, program, *args, status=status,
          env=dict(os.environ, GOMAXPROCS=str(procs)))
    return t.err, data_of(path)


def data_of(path):
    with open(path) as f:
        text = f.read()
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def section(t, summary, title):
    """The lines below a title, up to an empty one."""
    found = re.search(rf"^{re.escape(title)}.*\n((?:.+\n)*)", summary, re.M)
    t.check(found, f"no '{title}' in:\n{summary}")
    return found[1].splitlines()


def flame(data, title):
    """Function -> its share of the whole, with what it calls."""
    f = next(x for x in data["flames"] if x["title"].startswith(title))
    nodes, names = f["n"], f["names"]
    shares, at = {}, 0

    def walk(seen):
        nonlocal at
        name, value, kids = names[nodes[at]], nodes[at + 1], nodes[at + 2]
        at += 3
        if name not in seen:
            shares[name] = shares.get(name, 0) + value / nodes[1]
        total = 0
        for _ in range(kids):
            total += walk(seen | {name})
        harness.Test.check(total <= value * 1.0001 + 1, f"{name}: the parts are more than the whole")
        return value

    if nodes:
        walk(frozenset())
        harness.Test.check(at == len(nodes), "the tree does not end where its nodes do")
    return shares


def test_hot_function(t):
    summary, data = recorded(t, t.compile("hot.c"), 1.5)
    first = section(t, summary, "where CPU time went")[0]
    t.check(first.endswith("hot_function"), first)
    t.check(flame(data, "CPU").get("hot_function", 0) > 0.6, flame(data, "CPU"))
    entries = section(t, summary, "threads by entry function")
    t.check(entries[0].startswith("worker ") and int(entries[0].split()[1]) == 2, entries)
    t.check([e["name"] for e in data["entries"]][0] == "worker", data["entries"])


def test_contended_lock(t):
    summary, data = recorded(t, t.compile("lock.c"), 1.5)
    lock = section(t, summary, "hottest locks")[0]
    t.check(lock.startswith("m ") and lock.endswith("slow"), lock)
    who = section(t, summary, "who made others wait for locks")[0]
    t.check(who.endswith("slow_holder"), who)
    t.check(data["locks"][0]["place"] == "m", data["locks"])
    t.check(flame(data, "locks").get("slow_holder", 0) > 0.6, flame(data, "locks"))


def test_slow_descriptor(t):
    summary, _ = recorded(t, t.compile("slowfd.c"), 1.5)
    entries = section(t, summary, "threads by entry function")
    reader = next(e for e in entries if e.startswith("reader"))
    t.check(re.search(r"reading \d\d+%", reader), reader)


def test_sums(t):
    """A thread's states fill its life; P's are not busier than the time that there was."""
    _, data = recorded(t, t.compile("relay.c"), "ends", status=5)
    t.check(data["lost"] == 0 and data["procs"] == 2, data["lost"])
    t.check(all(b <= data["span"] * 1.001 for b in data["busy"]), f"{data['busy']} of {data['span']}")
    cpu = sum(x["cpu"] for x in data["threads"])
    t.check(cpu <= sum(data["busy"]) * 1.01 + 1e-3, f"{cpu} of {data['busy']}")
    names = {x["name"].split()[-1]: x for x in data["threads"]}
    for name in ("first", "second", "sleeper", "caller"):
        x = names[name]
        life = x["cpu"] + x["sys"] + x["ready"] + x["wait"]
        t.check(0.9 * data["span"] < life <= data["span"] * 1.001, f"{name}: {life} of {data['span']}")
    t.check(names["caller"]["sys"] > 0.3 * data["span"], names["caller"])
    for row in data["g"]:
        t.check(len(row["s"]) % 4 == 0 and min(row["s"][0::4] + row["s"][1::4], default=0) >= 0, row["id"])


def test_the_program_is_itself(t):
    """Output, exit status and death are the program's own."""
    out = os.path.join(t.dir, "r.html")
    relay = t.compile("relay.c")
    said = t.run(harness.PRELOOM, "record", "-o", out, "--", relay, "ends", status=5)
    t.check(said == "ready\n", said)
    t.run(harness.PRELOOM, "record", "-o", out, "--", "/bin/sh", "-c", "echo hello; exit 9", status=9)
    t.check("nothing is recorded" in t.err, t.err)
    t.run(harness.PRELOOM, "record", "-o", out, "--", "/nonexistent/program", status=127)
    done = subprocess.run([harness.PRELOOM, "record", "-o", out, "--", t.compile("ends.c"), "abort"], capture_output=True, text=True,
                          timeout=60)
    t.check(done.returncode == -signal.SIGABRT, done.returncode)
    t.check("threads by entry function" in done.stderr, done.stderr[-400:])


def caught(pid):
    """The set of signals for which it has handlers."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"SigCgt:\s+(\w+)", f.read())[1], 16)


def started(t, *args):
    p = subprocess.Popen([harness.PRELOOM, "record", "-o", os.path.join(t.dir, "r.html"), *map(str, args)], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, start_new_session=True)
    if args[0] == "--":
        p.stdout.readline()
    t.until(lambda: caught(p.pid) >> signal.SIGINT - 1 & 1)
    time.sleep(0.8)
    return p


def test_interrupt(t):
    """Ctrl-C goes to both, as a terminal sends it: the report is written, and the status says how the program ended."""
    p = started(t, "--", t.compile("relay.c"))
    os.killpg(p.pid, signal.SIGINT)
    _, err = p.communicate(timeout=harness.LIMIT)
    t.check(p.returncode == -signal.SIGINT, p.returncode)
    t.check("threads by entry function" in err and "to its end" in err, err)
    data = data_of(os.path.join(t.dir, "r.html"))
    t.check(any(f["n"] for f in data["flames"]), "no profile")


def test_a_signal_comes_once(t):
    """Whether it is sent to the recorder, or to the group that both are in: the program gets it once, as it would alone."""
    program = t.compile("sigcount.c")
    for send in (os.kill, os.killpg):
        for sig, said in ((signal.SIGINT, "1 0 0"), (signal.SIGTERM, "0 1 0"), (signal.SIGHUP, "0 0 1")):
            p = started(t, "--", program)
            send(p.pid, sig)
            out, err = p.communicate(timeout=harness.LIMIT)
            t.check(p.returncode == 0 and out.strip() == said, f"{send.__name__} {sig.name}: {out!r} {p.returncode} {err}")


def test_several_signals_come_once_each(t):
    p = started(t, "--", t.compile("sigcount.c"), 3)
    for send, sig in ((os.killpg, signal.SIGHUP), (os.kill, signal.SIGTERM), (os.killpg, signal.SIGINT)):
        send(p.pid, sig)
        time.sleep(0.05)
    out, err = p.communicate(timeout=harness.LIMIT)
    t.check(p.returncode == 0 and out.strip() == "1 1 1", f"{out!r} {p.returncode} {err}")


def test_typed_at_a_terminal(t):
    program, out = t.compile("sigcount.c"), os.path.join(t.dir, "r.html")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(harness.PRELOOM, [harness.PRELOOM, "record", "-o", out, "--", program])
    text = b""

    def more():
        nonlocal text
        try:
            read = os.read(terminal, 1000)
        except OSError:  # EIO: nobody has the terminal open any more
            read = b""
        text += read
        return read

    while b"ready" not in text and more():
        pass
    time.sleep(0.5)
    os.write(terminal, b"\3")
    while more():
        pass
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    t.check(status == 0 and b"1 0 0" in text, f"{status} {text!r}")


def test_ignored_signals_stay_ignored(t):
    """Under nohup a hangup concerns neither."""
    said = t.run("nohup", harness.PRELOOM, "record", "-o", os.path.join(t.dir, "r.html"), "--", t.compile("sigcount.c"), status=3)
    t.check("SIGHUP is ignored" in said, said)


def test_a_process(t):
    """It joins, and leaves the process as it was."""
    p = t.start(t.compile("hot.c"))
    r = started(t, p.pid)
    r.send_signal(signal.SIGINT)
    _, err = r.communicate(timeout=harness.LIMIT)
    t.check(r.returncode == 0, err)
    t.check(section(t, err, "where CPU time went")[0].endswith("hot_function"), err)
    t.check(p.popen.poll() is None, "the process has ended")
    t.check(not caught(p.pid) >> signal.SIGINT - 1 & 1, "SIGINT is still caught")
    t.preloom("record", "--seconds", 0.3, "-o", os.path.join(t.dir, "again.html"), p.pid)


def test_children_are_not_recorded(t):
    """What the recorded program starts runs with preloom too, but does not wait for somebody to read it."""
    begin = time.monotonic()
    t.run(harness.PRELOOM, "record", "-o", os.path.join(t.dir, "r.html"), "--", "/bin/sh", "-c",
          f"for i in 1 2 3; do {t.compile('relay.c')} ends; done; exit 4", status=4)
    t.check("nothing is recorded" in t.err, t.err)
    t.check(time.monotonic() - begin < 12, "it took long")


def test_page_in_a_browser(t):
    with Browser() as b:
        _, data = recorded(t, t.compile("lock.c"), 1)
        b.open(os.path.join(t.dir, "report.html"))
        t.check([u for u in b.requests if not u.startswith(("file:", "about:"))] == [], b.requests)
        t.check("lock 1" in b.ask("document.getElementById('title').textContent"), "no title")
        # The timeline: something is drawn, the wheel zooms, dragging moves, a click marks.
        painted = "(() => { const c = document.getElementById('tl'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;" \
                  "const s = new Set(); for (let i = 0; i < d.length; i += 4) s.add(d[i] << 16 | d[i+1] << 8 | d[i+2]); return s.size; })()"
        t.check(b.ask(painted) > 8, f"{b.ask(painted)} colours in the timeline")
        before = b.ask("TL.view()")
        box = b.ask("(r => ({x: r.x, y: r.y, w: r.width, h: r.height}))(document.getElementById('tl').getBoundingClientRect())")
        x, y = box["x"] + box["w"] / 2, box["y"] + 40
        b.mouse("mouseWheel", x, y, deltaX=0, deltaY=-600)
        zoomed = b.ask("TL.view()")
        t.check(zoomed["t1"] - zoomed["t0"] < 0.6 * (before["t1"] - before["t0"]), f"{before} {zoomed}")
        b.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        b.mouse("mouseMoved", x + 100, y, button="left", buttons=1)
        b.mouse("mouseReleased", x + 100, y, button="left")
        t.check(b.ask("TL.view()")["t0"] < zoomed["t0"], "dragging did not move it")
        b.mouse("mouseMoved", box["x"] + 300, box["y"] + 32)
        t.check(b.ask("document.getElementById('tip').textContent.length") > 3, "no tip")
        y = box["y"] + 22 + 2 * 18 + 4 + 7
        b.mouse("mousePressed", box["x"] + 40, y, button="left", buttons=1, clickCount=1)
        b.mouse("mouseReleased", box["x"] + 40, y, button="left")
        t.check(b.ask("TL.view()")["marked"] == data["g"][0]["id"], b.ask("TL.view()"))
        # Flame graphs: all three, search and zoom.
        for i, kind in enumerate(data["flames"]):
            b.ask(f"FL.choose({i})")
            view = b.ask("FL.view()")
            t.check(not kind["n"] or (view["total"] == kind["n"][1] and view["drawn"] > 0), f"{kind['title']}: {view}")
        b.ask("FL.choose(2)")
        b.ask("FL.search('slow_.*er')")
        said = b.ask("document.getElementById('fsaid').textContent")
        t.check(re.match(r"found: .*\((?:100|[6-9]\d)\.\d+ %\)", said), said)
        t.check(b.ask("FL.zoom('slow_holder')") and b.ask("FL.view()")["zoomed"] == "slow_holder", "no zoom")
        # The table of threads: sorted by a click, and back.
        order = "[...document.querySelectorAll('#threads tbody tr')].map(r => r.cells[0].textContent)"
        b.ask("document.querySelectorAll('#threads th')[0].click()")
        up = b.ask(order)
        b.ask("document.querySelectorAll('#threads th')[0].click()")
        t.check(len(up) == len(data["threads"]) and up == sorted(up) and b.ask(order) == sorted(up, reverse=True), up)
        b.ask("(e => { e.value = 'slow'; e.dispatchEvent(new Event('input')); })(document.getElementById('tfind'))")
        t.check(len(b.ask(order)) == 1, b.ask(order))
        shot = os.environ.get("PRELOOM_SHOT") or os.path.join(t.dir, "page.png")
        b.shot(shot)
        t.check(os.path.getsize(shot) > 10000, "an empty picture")
        t.check(not b.complaints, b.complaints)


def test_bad_arguments(t):
    t.one_line(r"preloom record: a program, or a process id, is needed.*", "record", status=2)
    t.one_line(r"preloom record: --frob: unknown option.*", "record", "--frob", "x", status=2)
    t.one_line(r"preloom record: -o: value missing", "record", "-o", status=2)
    t.one_line(r"preloom record: process 999999999: no such process", "record", "999999999")


def test_a_program_with_a_life_of_its_own(t):
    """It handles the signal that ends the recording, forks, and loads a library while it is recorded."""
    source = """
import ctypes, os, signal, sys, threading, time
def leave(*_):
    print("left", flush=True)
    sys.exit(6)
signal.signal(signal.SIGINT, leave)
def work():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the children shall not leave that way
    while True:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        ctypes.CDLL("libz.so.1").zlibVersion()
        time.sleep(0.01)
threading.Thread(target=work, daemon=True).start()
print("ready", flush=True)
while True:
    time.sleep(1)
"""
    p = started(t, "--", "python3", "-c", source)
    os.kill(p.pid, signal.SIGINT)  # the program gets it from the recorder: once, as a second one would interrupt its end
    out, err = p.communicate(timeout=harness.LIMIT)
    t.check(p.returncode == 6 and out == "left\n", f"{p.returncode} {out!r} {err}")
    t.check("2 threads, to its end" in err and "lost" not in err, err)
    t.check(data_of(os.path.join(t.dir, "r.html"))["threads_total"] == 2, err)
