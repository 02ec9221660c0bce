"""preloom trace: the file is well-formed, and says of a known program what is known; what is lost is counted."""
import json
import os
import re
import signal
import subprocess
import time

import harness
from tracefile import PID_G, PID_P, Trace


def traced(t, p, *args, seconds=1):
    path = os.path.join(t.dir, "t.json")
    said = t.preloom("trace", "--seconds", seconds, "-o", path, *args, p.pid)
    return well_formed(t, path), said


def well_formed(t, path):
    trace = Trace(path)
    t.check(not trace.errors, "\n".join(map(str, trace.errors)))
    return trace


def by_name(trace, word):
    return [g for g in trace.goroutines() if word in trace.names[PID_G, g].split()]


def only(t, trace, word):
    found = by_name(trace, word)
    t.check(len(found) == 1, f"{word}: {found} in {trace.names}")
    return found[0]


def test_known_answer(t):
    trace, _ = traced(t, t.start(t.compile("relay.c"), procs=2))
    t.check(trace.other["lost events"] == 0, trace.other)
    first, second, sleeper, caller = (only(t, trace, n) for n in ("first", "second", "sleeper", "caller"))
    spinners = by_name(trace, "spinner")
    t.check(len(spinners) == 3, trace.names)
    there = sum(s["tid"] == first and f["tid"] == second for s, f in trace.flows)
    back = sum(s["tid"] == second and f["tid"] == first for s, f in trace.flows)
    t.check(there >= 20 and abs(there - back) <= 2, f"{there} flows there, {back} back")
    wrong = [(s["tid"], f["tid"]) for s, f in trace.flows if f["tid"] == second and s["tid"] != first]
    t.check(not wrong, f"second was readied by others: {wrong[:5]}")
    t.check(trace.total(sleeper, "wait: sleep") > 600, f"the sleeper slept for {trace.total(sleeper, 'wait: sleep')} ms")
    t.check(trace.total(second, "wait: futex") > 500, f"second waited for {trace.total(second, 'wait: futex')} ms")
    calls = [(e - b) / 1000 for b, e, *_ in trace.spans(caller, "wait4")]
    t.check(len(calls) >= 5 and max(calls) >= 45, f"calls of {calls} ms")
    for g in spinners:
        t.check(trace.total(g, "running") > 100, f"a spinner ran for {trace.total(g, 'running')} ms")
        t.check(trace.total(g, "runnable") > 50, f"a spinner was runnable for {trace.total(g, 'runnable')} ms")
    t.check(len(trace.marks("preempted")) >= 20, f"{len(trace.marks('preempted'))} preemptions")
    t.check(trace.ps() == [0, 1], trace.ps())


def test_threads_come_and_go(t):
    trace, _ = traced(t, t.start(t.compile("relay.c"), procs=2))
    main = only(t, trace, "main") if by_name(trace, "main") else 1
    briefs = by_name(trace, "brief")
    t.check(len(briefs) >= 5, trace.names)
    for g in briefs:
        made = [s["tid"] for s, f in trace.flows if f["tid"] == g]
        t.check(made[:1] == [main], f"brief {g} was made by {made}")
        t.check(trace.spans(g)[0][2] == "runnable" and trace.spans(g)[0][3]["why"] == "created", trace.spans(g)[0])


def test_rows_agree(t):
    """What a G's row calls running on a P stands in that P's row, at the same time."""
    trace, _ = traced(t, t.start(t.compile("relay.c"), procs=2))
    on = {p: [(b, e, a["G"]) for b, e, _, a in trace.rows[PID_P, p]] for p in trace.ps()}
    checked = 0
    for g in trace.goroutines():
        for b, e, _, a in trace.spans(g, "running"):
            if not any(x <= b + 0.002 and e <= y + 0.002 and who == g for x, y, who in on[a["P"]]):
                raise harness.Failure(f"G{g} ran on P{a['P']} from {b} to {e}, but the P had others: "
                                      f"{[s for s in on[a['P']] if s[0] < e and s[1] > b]}")
            checked += 1
    t.check(checked > 10, f"{checked} intervals")


def test_everything_is_in_the_file(t):
    """A span with nothing lost has the number of switches that the scheduler counts."""
    p = t.start(t.compile("relay.c"), procs=2, options="stats=1")
    path = os.path.join(t.dir, "t.json")
    tracer = subprocess.Popen([harness.PRELOOM, "trace", "--seconds", "60", "-o", path, str(p.pid)], stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    p.popen.send_signal(signal.SIGTERM)
    said, _ = tracer.communicate(timeout=30)
    t.check(p.popen.wait(timeout=10) == -signal.SIGTERM, p.popen.returncode)
    t.check("lost" not in said, said)
    trace = well_formed(t, path)
    span = max(e for rows in trace.rows.values() for _, e, *_ in rows)
    t.check(span > 500e3, f"{span} us")


def test_lost_events_are_counted(t):
    trace, said = traced(t, t.start(t.compile("relay.c"), "storm", procs=1), "--buffer", 1, "--size", 4, seconds=1.5)
    lost = re.search(r"(\d+) events are lost", said)
    t.check(trace.other["lost events"] > 0, f"{trace.other} {said}")
    t.check(lost and int(lost[1]) == trace.other["lost events"], f"{trace.other} {said}")


def test_the_file_is_bounded(t):
    trace, said = traced(t, t.start(t.compile("relay.c"), "storm", procs=1), "--size", 1)
    size = os.path.getsize(os.path.join(t.dir, "t.json"))
    t.check(size < 1.2e6, f"{size} bytes")
    t.check(trace.other["dropped for size"] > 0 and "left out" in said, f"{trace.other} {said}")
    # Many threads of which the file has nothing: they have no names in it either.
    traced(t, t.start(t.compile("busy.c"), 0), "--size", 1)
    size = os.path.getsize(os.path.join(t.dir, "t.json"))
    t.check(size < 1.5e6, f"{size} bytes")


def test_written_at_exit(t):
    path = os.path.join(t.dir, "at-%p.json")
    for end in ("exit", "signal"):
        p = t.start(t.compile("relay.c"), *(["ends"] if end == "exit" else []), options=f"trace={path}")
        if end == "signal":
            time.sleep(0.3)
            p.popen.send_signal(signal.SIGTERM)
        p.popen.communicate(timeout=30)
        written = path.replace("%p", str(p.pid))
        t.check(os.path.exists(written) and os.path.getsize(written) > 0, f"{end}: no {written}")
        trace = well_formed(t, written)
        t.check(len(trace.flows) > 10, f"{end}: {trace.other}")
        t.check(p.popen.returncode == (5 if end == "exit" else -signal.SIGTERM), f"{end}: {p.popen.returncode}")


def test_gomaxprocs_changes(t):
    p = t.start(t.compile("relay.c"), procs=3)
    path = os.path.join(t.dir, "t.json")
    tracer = subprocess.Popen([harness.PRELOOM, "trace", "--seconds", "1.5", "-o", path, str(p.pid)], stdout=subprocess.PIPE)
    time.sleep(0.7)
    t.preloom("set", "gomaxprocs=1", p.pid)
    tracer.communicate(timeout=30)
    trace = well_formed(t, path)
    numbers = [e["args"]["P"] for e in trace.events if e["ph"] == "C" and e["name"] == "gomaxprocs"]
    t.check(numbers == [3, 1], numbers)
    when = max(e["ts"] for e in trace.events if e["ph"] == "C" and e["name"] == "gomaxprocs")
    late = [s for p_ in (1, 2) for s in trace.rows[PID_P, p_] if s[1] > when + 1]
    t.check(not late, f"P's that are gone ran: {late[:3]}")


def test_killed(t):
    """A process that is killed while it is traced: what was read until then is in the file."""
    p = t.start(t.compile("relay.c"))
    path = os.path.join(t.dir, "t.json")
    tracer = subprocess.Popen([harness.PRELOOM, "trace", "--seconds", "20", "-o", path, str(p.pid)], stdout=subprocess.PIPE, text=True)
    time.sleep(0.8)
    p.popen.kill()
    said, _ = tracer.communicate(timeout=20)
    t.check(tracer.returncode == 0 and "killed" in said, said)
    t.check(len(well_formed(t, path).flows) > 10, said)


def test_tracer_dies(t):
    """The process does not wait for a tool that is gone."""
    p = t.start(t.compile("relay.c"))
    tracer = subprocess.Popen([harness.PRELOOM, "trace", "--seconds", "20", "-o", "/dev/null", str(p.pid)], stdout=subprocess.PIPE)
    time.sleep(0.5)
    tracer.kill()
    tracer.communicate()
    begin = time.monotonic()
    p.popen.send_signal(signal.SIGTERM)
    t.check(p.popen.wait(timeout=10) == -signal.SIGTERM, p.popen.returncode)
    t.check(time.monotonic() - begin < 5, "it waited for long")


def test_one_at_a_time(t):
    p = t.start(t.compile("relay.c"))
    tracer = subprocess.Popen([harness.PRELOOM, "trace", "--seconds", "2", "-o", os.devnull, str(p.pid)], stdout=subprocess.PIPE)
    time.sleep(0.5)
    t.one_line(rf"preloom trace: process {p.pid}: it is being traced already", "trace", "-o", os.path.join(t.dir, "x"), p.pid)
    tracer.communicate(timeout=20)
    t.check(tracer.returncode == 0, "the first one failed")
    traced(t, p, seconds=0.3)


def test_bad_arguments(t):
    t.one_line(r"preloom trace: --seconds x: not a number from .*", "trace", "--seconds", "x", "1", status=2)
    t.one_line(r"preloom trace: --frob: unknown option.*", "trace", "--frob", "1", "2", status=2)
    t.one_line(r"preloom trace: a process id is needed.*", "trace", status=2)
    p = t.start(t.compile("relay.c"))
    t.one_line(r"preloom trace: /nonexistent/x: No such file or directory", "trace", "-o", "/nonexistent/x", p.pid)
