"""Dumps of a busy program, of one that forks, handles signals and loads libraries meanwhile: every dump is whole, and the
program counts right to its end. DUMPS=N for the number of dumps."""
import os
import re

from known import blocks, check, end_of

DUMPS = int(os.environ.get("DUMPS", "12"))
AT_ONCE = 4


def watch(t, *args, **more):
    p = t.start(t.compile("busy.c"), 0, *args, **more)
    done = torn = 0
    while done < DUMPS:
        still = done // AT_ONCE % 4 != 3
        out = t.preloom("dump", "--repeat", AT_ONCE, *([] if still else ["--no-stop"]), p.pid)
        for text in re.split(r"^(?=goroutine 1 \[)", out, flags=re.M)[1:]:
            names = blocks(text)[0]
            check({"counts", "computes", "pings", "pongs", "naps", "echo", "asks", "breeds"} <= set(names), str(list(names)))
            if still and "stack ends here: the" in text:
                torn += 1
                last = re.search(r"(.*\n){6}.*stack ends here: the.*", text)[0]
            done += 1
    status, out, err = end_of(p)
    check(status == 0 and re.search(r"^done: ", out, re.M), f"status {status}: {out!r} {err!r}")
    check(torn * 10 <= done, f"{torn} of {done} dumps had a stack that could not be followed to its end: {torn and last!r}")


def test_busy(t):
    watch(t)
    watch(t, procs=1)


def test_chaos(t):
    watch(t, options="chaos=17")


def test_strange(t):
    watch(t, "strange")
