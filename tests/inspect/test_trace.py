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


def begun(t, p, path, seconds=60):
    """`preloom trace` of it, of which a part is in the file already; by SIGINT it ends."""
    tracer = subprocess.Popen([harness.PRELOOM, "trace", "--seconds", str(seconds), "-o", path, str(p.pid)], stdout=subprocess.PIPE, text=True)
    t.until(lambda: tracer.poll() is not None or os.path.exists(path) and os.path.getsize(path) > 0)
    return tracer


def check_whole(t, trace, goid):
    """Its states follow one another without a gap, through the whole time."""
    every = [s for row in trace.rows.values() for s in row]
    span = max(e for _, e, *_ in every) - min(b for b, *_ in every)
    states = sum(e - b for b, e, *_ in trace.spans(goid))
    t.check(0.97 * span < states < 1.001 * span, f"G{goid}: states for {states} of {span} us")


def too_little(t, trace):
    """What there is too little of for an answer, if a second was too short on a busy machine."""
    first, second, sleeper, caller = (only(t, trace, n) for n in ("first", "second", "sleeper", "caller"))
    there = sum(s["tid"] == first and f["tid"] == second for s, f in trace.flows)
    back = sum(s["tid"] == second and f["tid"] == first for s, f in trace.flows)
    t.check(abs(there - back) <= 2, f"{there} flows there, {back} back")
    wrong = [(s["tid"], f["tid"]) for s, f in trace.flows if f["tid"] == second and s["tid"] != first]
    t.check(not wrong, f"second was readied by others: {wrong[:5]}")
    t.check(trace.ps() == [0, 1], trace.ps())
    for g in (first, second, sleeper, caller):
        check_whole(t, trace, g)
    sleeps = [e - b for b, e, *_ in trace.spans(sleeper, "wait: sleep")][1:-1]
    t.check(min(sleeps, default=20e3) > 19.9e3, f"sleeps of {sleeps} us")
    calls = [(e - b) / 1000 for b, e, *_ in trace.spans(caller, "wait4")]
    amounts = [(there, 20, "flows there"), (trace.total(sleeper, "wait: sleep"), 600, "ms of the sleeper's sleep"),
               (trace.total(second, "wait: futex"), 500, "ms that second waited"), (len(calls), 5, "calls"),
               (max(calls, default=0), 45, "ms of the longest call"), (len(trace.marks("preempted")), 20, "preemptions")]
    for g in by_name(trace, "spinner"):
        amounts += [(trace.total(g, "running"), 100, "ms that a spinner ran"), (trace.total(g, "runnable"), 50, "ms that it could have")]
    return [f"{n} {what}" for n, least, what in amounts if n < least]


def test_known_answer(t):
    p = t.start(t.compile("relay.c"), procs=2)
    for seconds in (1, 3, 10):
        trace, _ = traced(t, p, seconds=seconds)
        t.check(trace.other["lost events"] == 0, trace.other)
        t.check(len(by_name(trace, "spinner")) == 3, trace.names)
        little = too_little(t, trace)
        if not little:
            return
    t.check(False, f"in {seconds} s: {', '.join(little)}")


def test_threads_come_and_go(t):
    p = t.start(t.compile("relay.c"), procs=2)
    for seconds in (1, 5): # on a busy machine there are few in a second
        trace, _ = traced(t, p, seconds=seconds)
        briefs = by_name(trace, "brief")
        if len(briefs) >= 5:
            break
    main = only(t, trace, "main") if by_name(trace, "main") else 1
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
    tracer = begun(t, p, path)
    time.sleep(1)
    p.popen.send_signal(signal.SIGTERM)
    said, _ = tracer.communicate(timeout=harness.LIMIT)
    t.check(p.popen.wait(timeout=harness.LIMIT) == -signal.SIGTERM, p.popen.returncode)
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
            time.sleep(1)
            p.popen.send_signal(signal.SIGTERM)
        p.popen.communicate(timeout=harness.LIMIT)
        written = path.replace("%p", str(p.pid))
        t.check(os.path.exists(written) and os.path.getsize(written) > 0, f"{end}: no {written}")
        trace = well_formed(t, written)
        t.check(len(trace.flows) > 10, f"{end}: {trace.other}")
        t.check(p.popen.returncode == (5 if end == "exit" else -signal.SIGTERM), f"{end}: {p.popen.returncode}")


def test_gomaxprocs_changes(t):
    p = t.start(t.compile("relay.c"), procs=3)
    path = os.path.join(t.dir, "t.json")
    tracer = begun(t, p, path)
    time.sleep(0.3)
    t.preloom("set", "gomaxprocs=1", p.pid)
    time.sleep(0.5)
    tracer.send_signal(signal.SIGINT)
    tracer.communicate(timeout=harness.LIMIT)
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
    tracer = begun(t, p, path)
    time.sleep(0.5)
    p.popen.kill()
    said, _ = tracer.communicate(timeout=harness.LIMIT)
    t.check(tracer.returncode == 0 and "killed" in said, said)
    t.check(len(well_formed(t, path).flows) > 10, said)


def test_tracer_dies(t):
    """The process does not wait for a tool that is gone."""
    p = t.start(t.compile("relay.c"))
    tracer = begun(t, p, os.path.join(t.dir, "t.json"))
    tracer.kill()
    tracer.communicate()
    begin = time.monotonic()
    p.popen.send_signal(signal.SIGTERM)
    t.check(p.popen.wait(timeout=harness.LIMIT) == -signal.SIGTERM, p.popen.returncode)
    t.check(time.monotonic() - begin < 20, "it waited for long")


def test_one_at_a_time(t):
    p = t.start(t.compile("relay.c"))
    tracer = begun(t, p, os.path.join(t.dir, "first"))
    t.one_line(rf"preloom trace: process {p.pid}: it is being traced already", "trace", "-o", os.path.join(t.dir, "x"), p.pid)
    tracer.send_signal(signal.SIGINT)
    tracer.communicate(timeout=harness.LIMIT)
    t.check(tracer.returncode == 0, "the first one failed")
    traced(t, p, seconds=0.3)


def test_bad_arguments(t):
    t.one_line(r"preloom trace: --seconds x: not a number from .*", "trace", "--seconds", "x", "1", status=2)
    t.one_line(r"preloom trace: --frob: unknown option.*", "trace", "--frob", "1", "2", status=2)
    t.one_line(r"preloom trace: a process id is needed.*", "trace", status=2)
    p = t.start(t.compile("relay.c"))
    t.one_line(r"preloom trace: /nonexistent/x: No such file or directory", "trace", "-o", "/nonexistent/x", p.pid)
