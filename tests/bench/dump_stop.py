#!/usr/bin/env python3
"""How long `preloom dump` stops a process with 10, 1,000 and 10,000 threads: from the first kernel thread's stop to the last
one's release.

    tests/bench/dump_stop.py [THREADS ...] [--repeat N]      PRELOOM_BUILD: where preloom is (default: build)
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRELOOM = Path(os.environ.get("PRELOOM_BUILD", ROOT / "build")).resolve() / "preloom"


def measure(program, threads, repeat):
    env = dict(os.environ, GOMAXPROCS="2")
    env.pop("PRELOOM", None)
    p = subprocess.Popen([PRELOOM, program, str(threads)], stdout=subprocess.PIPE, env=env)
    try:
        p.stdout.readline()
        done = subprocess.run([PRELOOM, "dump", "--times", "--repeat", str(repeat), str(p.pid)], check=True, text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    finally:
        p.kill()
        p.wait()
    return [float(ms) for ms in re.findall(r"stood still for ([0-9.]+) ms", done.stderr)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("threads", nargs="*", type=int, default=[10, 1000, 10000])
    parser.add_argument("--repeat", type=int, default=15)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="preloom-cost-") as folder:
        program = os.path.join(folder, "many")
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-pthread", "-o", program, str(ROOT / "tests/inspect/many.c")], check=True)
        print("threads   ms: least, median, most")
        for threads in args.threads:
            ms = measure(program, threads, args.repeat)
            print(f"{threads:7} {min(ms):9.3f} {statistics.median(ms):9.3f} {max(ms):9.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
