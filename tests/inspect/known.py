"""known.py: dumps taken apart, and programs run to their end under preloom."""
import os
import re
import select
import subprocess
import time

import harness
from harness import Failure


def check(condition, message):
    if not condition:
        raise Failure(message)


def environment(procs=2, **more):
    env = {k: v for k, v in os.environ.items() if k not in ("PRELOOM", "GOTRACEBACK", "LD_PRELOAD")}
    return {**env, "LD_PRELOAD": os.path.join(harness.BUILD, "libpreloom.so"), "GOMAXPROCS": str(procs), **more}


def run(path, *args, procs=2, timeout=60, **env):
    """A program under preloom, to its end: status, stdout, stderr."""
    p = subprocess.run([path, *map(str, args)], capture_output=True, text=True, errors="replace", timeout=timeout,
                       env=environment(procs, **env), check=False)
    return p.returncode, p.stdout, p.stderr


def end_of(p, timeout=60):
    """Waits for the end of what Test.start started: status, stdout, stderr."""
    out, err = p.popen.communicate(timeout=timeout)
    return p.popen.returncode, out.decode(errors="replace"), err.decode(errors="replace")


def until_said(p, *patterns, limit=60):
    """What a program has on its stderr when all of them match."""
    text, end = "", time.monotonic() + limit
    while not all(re.search(x, text) for x in patterns):
        left = end - time.monotonic()
        check(left > 0, f"not within {limit} s: {text[:1500]!r}")
        if select.select([p.popen.stderr], [], [], left)[0]:
            part = os.read(p.popen.stderr.fileno(), 65536)
            check(part, f"it has ended: {text[:1500]!r}")
            text += part.decode(errors="replace")
    return text


class Block:
    """One goroutine of a dump."""

    def __init__(self, text):
        lines = text.split("\n")
        head = re.fullmatch(r"goroutine (\d+) \[(.*)\]:", lines[0])
        check(head, f"no head line: {lines[0]!r}")
        self.goid, self.state = int(head[1]), head[2]
        self.text = text
        thread = re.match(r'\tthread (\d+) "(.*?)"(.*)', lines[1])
        check(thread, f"no line of the thread: {lines[1]!r}")
        self.tid, self.name, self.more = int(thread[1]), thread[2], thread[3]
        self.functions = [m[1] for m in (re.match(r"([^\t\s][^+]*?)(?:\+0x[0-9a-f]+|\+0| \(inlined\))$", x)
                                         for x in lines[1:]) if m]
        created = re.search(r"^created by (\S+?)(?:\+0x\w+)? in goroutine (\d+)", text, re.M)
        self.creator = created[1] if created else None


def blocks(dump):
    """A dump's goroutines by the names of their threads, and in order."""
    found = [Block(t.strip("\n")) for t in re.split(r"\n\n", dump) if t.lstrip("\n").startswith("goroutine ")]
    return {b.name: b for b in found}, found
