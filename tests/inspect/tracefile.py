"""Checks a file in the JSON Trace Event Format, as `preloom trace` writes it, and answers questions about it.

The format: "Trace Event Format", the Chromium project. What is checked is what Perfetto and chrome://tracing rely on.
"""
import json
from collections import defaultdict

PHASES = set("BEXiIsftMC")
PID_P, PID_G, PID_M = 1, 2, 3


class Trace:
    def __init__(self, path):
        with open(path) as f:
            self.doc = json.load(f)
        self.events = self.doc["traceEvents"]
        self.other = self.doc["otherData"]
        self.rows = defaultdict(list)  # (pid, tid) -> intervals (begin, end, name, args)
        self.names = {}
        self.errors = []
        self.check()

    def bad(self, text, event=None):
        if len(self.errors) < 20:
            self.errors.append(f"{text}: {event}" if event else text)

    def check(self):
        last, open_rows, flows, ends = {}, defaultdict(list), defaultdict(list), {}
        for e in self.events:
            ph = e.get("ph")
            if ph not in PHASES:
                self.bad("unknown phase", e)
                continue
            if not isinstance(e.get("pid"), int) or not isinstance(e.get("tid"), int):
                self.bad("no pid or tid", e)
                continue
            row = (e["pid"], e["tid"])
            if ph == "M":
                if e["name"] == "thread_name":
                    self.names[row] = e["args"]["name"]
                continue
            ts = e.get("ts")
            if not isinstance(ts, (int, float)) or ts < 0:
                self.bad("no time", e)
                continue
            if not e.get("name"):
                self.bad("no name", e)
            if ph in "BEi" and ts < last.get(row, 0):
                self.bad(f"time goes back from {last[row]}", e)
            if ph in "BEi":
                last[row] = ts
            if ph == "B":
                if open_rows[row]:
                    self.bad(f"nested in {open_rows[row][-1]}", e)
                open_rows[row].append(e)
                end = ends.pop(row, None)
                if end and (end["ts"] != ts or e["name"] != "runnable"):
                    self.bad(f"flow leads to {e}", end)
            elif ph == "E":
                if not open_rows[row]:
                    self.bad("E without B", e)
                else:
                    b = open_rows[row].pop()
                    if e.get("name") != b["name"]:
                        self.bad(f"not the end of {b}", e)
                    self.rows[row].append((b["ts"], ts, b["name"], b.get("args", {})))
            elif ph in "sf":
                if "id" not in e or "cat" not in e:
                    self.bad("flow without id or cat", e)
                else:
                    flows[e["cat"], e["name"], e["id"]].append(e)
                if ph == "f":
                    if "bp" in e or row in ends:
                        self.bad("flow's end does not bind to an interval of its own", e)
                    ends[row] = e
        for row, left in open_rows.items():
            for e in left:
                self.bad("B without E", e)
        for e in ends.values():
            self.bad("flow ends in no interval", e)
        for key, both in flows.items():
            if [e["ph"] for e in both] != ["s", "f"]:
                self.bad(f"flow {key} has not one start and one end", both)
        self.flows = [(s, f) for s, f in flows.values()]
        for row in self.rows:
            if row not in self.names:
                self.bad(f"row {row} has no name")

    def goroutines(self):
        return sorted(tid for pid, tid in self.rows if pid == PID_G)

    def ps(self):
        return sorted(tid for pid, tid in self.rows if pid == PID_P)

    def spans(self, goid, name=None):
        return [s for s in self.rows[PID_G, goid] if name is None or s[2] == name]

    def total(self, goid, name):
        """ms"""
        return sum(e - b for b, e, n, _ in self.rows[PID_G, goid] if n == name) / 1000

    def marks(self, name):
        return [e for e in self.events if e["ph"] == "i" and e["name"] == name]
