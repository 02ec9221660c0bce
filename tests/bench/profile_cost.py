#!/usr/bin/env python3
"""What a profile costs while it runs: the same process with it on and off, in turn every half second, in CPU time per unit of
work. Other programs on the machine and differences between processes do not count.

    tests/bench/profile_cost.py [TYPE ...] [--seconds N]      PRELOOM_BUILD: where preloom is (default: build)
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRELOOM = Path(os.environ.get("PRELOOM_BUILD", ROOT / "build")).resolve() / "preloom"
ON, LEAD = 0.4, 0.15  # seconds a profile runs, and how long its command takes at most to start it


def quantile(values, q):
    return sorted(values)[int(len(values) * q)]


def measure(program, mode, kind, seconds):
    env = dict(os.environ, GOMAXPROCS="1")
    env.pop("PRELOOM", None)
    p = subprocess.Popen([PRELOOM, program, mode, str(seconds)], stdout=subprocess.PIPE, text=True, env=env)
    time.sleep(0.5)
    on, off, end = [], [], time.monotonic() + seconds - 2
    while time.monotonic() < end:
        begin = time.monotonic()
        subprocess.run([PRELOOM, "profile", "--type", kind, "--seconds", str(ON), "--format", "top", "-o", "/dev/null", str(p.pid)],
                       check=True)
        on.append((begin + LEAD, begin + ON - 0.02))
        time.sleep(0.1)
        begin = time.monotonic()
        time.sleep(0.3)
        off.append((begin, time.monotonic()))
    windows = [tuple(map(float, line.split())) for line in p.communicate()[0].splitlines()]
    pick = lambda spans: [v for t, v in windows if any(a < t < b for a, b in spans)]
    with_it, without = pick(on), pick(off)
    cells = [f"{quantile(without, q):9.1f} {quantile(with_it, q):9.1f} {100 * (quantile(with_it, q) / quantile(without, q) - 1):+5.1f}%"
             for q in (0.05, 0.25, 0.5)]
    print(f"{kind:8} {mode:8} {len(without):5} {len(with_it):5}  " + "  ".join(cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("types", nargs="*", default=["cpu", "block", "mutex", "wall"])
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="preloom-cost-") as folder:
        program = os.path.join(folder, "profile_windows")
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-pthread", "-o", program, str(ROOT / "tests/bench/profile_windows.c")], check=True)
        print("type     work     windows: off, on; ns off, on, and the difference at the 5th, 25th and 50th percentile")
        for kind in args.types:
            for mode in ("compute", "handoff"):
                measure(program, mode, kind, args.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
