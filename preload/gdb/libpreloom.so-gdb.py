"""libpreloom.so-gdb.py - gdb's view of a program that runs on preloom: goroutines, which are its threads.

    info goroutines          the list; * marks those that are on a kernel thread
    goroutine N bt           any command, bt for instance, with goroutine N's stack
    goroutine all bt         the same for each

Loaded by gdb when it sees libpreloom.so, in a live process and in a core file alike. All is read from memory by the table that
the library describes itself with (runtime/inspect.h), so neither symbols nor debugging information of the library are
needed. A goroutine that is on no kernel thread is shown by an unwinder: the frame that it left when it was switched out is
taken for the caller of the selected thread's innermost frame, which is then left out. No register is written, so nothing
can be damaged, and a core file will do.

The same unwinder leads through the trampolines of rewritten system calls, so that a plain `bt` of a kernel thread gets
from preloom's code into the program's.
"""
import bisect
import re
import struct

import gdb
from gdb.unwinder import Unwinder

MAGIC = 0x6D6F6F6C65727031
VERSION = 1
HEADER = struct.Struct("=QIIQ16sQQQQQQQQIIQQQQQ")  # struct inspect_header up to objtab
FIELD = struct.Struct("=16s20sII")
GIDLE, GRUNNABLE, GRUNNING, GSYSCALL, GWAITING, GDEAD = range(6)
STATES = ("idle", "runnable", "running", "syscall", "waiting", "dead")
REASONS = ("", "futex", "PI mutex", "sleep", "read", "write", "poll", "epoll", "signal",
           "kernel thread")
FUTEX, FUTEX_PI, READ, WRITE = 1, 2, 4, 5
TRAMPOLINES = 1  # enum unwind_kind
# In a trampoline, before and behind the return address of its call: see preload/arch/x86_64/tramp.c.
RED_ZONE, LEA_SIZE, CALL_SIZE, UNLEA_SIZE = 128, 5, 6, 8
SAVED = ("r15", "r14", "r13", "r12", "rbx", "rbp")  # as arch_mcall pushes them


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def word(address):
    return struct.unpack("=Q", read(address, 8))[0]


class Layout:
    """The header of the library, and where things are in its structures."""

    def __init__(self):
        try:
            at = int(gdb.parse_and_eval("(unsigned long)&preloom_inspect"))
            values = HEADER.unpack(read(at, HEADER.size))
        except gdb.error:
            raise gdb.GdbError("preloom: there is no process or core file with libpreloom.so") from None
        (magic, version, _, _, _, self.active, self.sched, self.allp, self.m0, _, _, self.gtable, self.gcount, self.gpiece,
         nfields, fields, self.text_lo, self.text_hi, _, self.objtab) = values
        if magic != MAGIC or version != VERSION:
            raise gdb.GdbError("preloom: this libpreloom.so is of another version than the script")
        if not self.active:
            raise gdb.GdbError("preloom: the process has made no thread yet")
        self.at = {}
        table = read(fields, nfields * FIELD.size)
        for kind, member, offset, size in FIELD.iter_unpack(table):
            self.at[kind.rstrip(b"\0").decode(), member.rstrip(b"\0").decode()] = offset, size

    def get(self, data, kind, member, base=0):
        offset, size = self.at[kind, member]
        return int.from_bytes(data[base + offset:base + offset + size], "little")

    def size(self, kind):
        return self.at[kind, ""][1]


class Goroutine:
    def __init__(self, layout, address):
        self.layout, self.address = layout, address
        self.data = read(address, layout.size("g"))
        for name in ("goid", "tid", "status", "sp", "m", "regs", "waitreason", "wait_fd", "wait_addr", "syscall_nr", "entry",
                     "lockedm"):
            setattr(self, name, layout.get(self.data, "g", name))
        offset, size = layout.at["g", "name"]
        self.name = self.data[offset:offset + size].split(b"\0")[0].decode(errors="replace")

    def what(self):
        if self.status == GSYSCALL:
            return f"number {self.syscall_nr}"
        if self.status != GWAITING:
            return ""
        reason = REASONS[self.waitreason] if self.waitreason < len(REASONS) else "?"
        if self.waitreason in (FUTEX, FUTEX_PI):
            return f"{reason} {self.wait_addr:#x}"
        if self.waitreason in (READ, WRITE):
            return f"{reason}, fd {self.wait_fd}"
        return reason

    def thread(self):
        """gdb's thread that it is on, or None."""
        if self.status not in (GRUNNING, GSYSCALL) or not self.m:
            return None
        m = read(self.m, self.layout.size("m"))
        if self.layout.get(m, "m", "curg") != self.address:
            return None
        lwp = self.layout.get(m, "m", "procid")
        return next((t for t in gdb.selected_inferior().threads() if t.ptid[1] == lwp or t.ptid[0] == lwp and not t.ptid[1]), None)

    def registers(self):
        """Those that it will go on with."""
        layout = self.layout
        switch = layout.size("switch")
        if self.regs == self.sp + switch:  # it has not run yet: the frame of the system call that made it
            data = read(self.regs, layout.size("regs"))
            found = {name: layout.get(data, "regs", name) for name in SAVED}
            found.update(rip=layout.get(data, "regs", "ret"), rsp=self.regs + layout.size("regs"))
            return found
        offset, size = layout.at["switch", "gpr"]
        values = struct.unpack("=7Q", read(self.sp + offset, size + 8))
        return dict(zip(SAVED, values), rip=values[6], rsp=self.sp + switch)


def goroutines():
    layout = Layout()
    count = struct.unpack("=I", read(layout.gcount, 4))[0]
    found = []
    for first in range(0, count, layout.gpiece):
        piece = word(layout.gtable + first // layout.gpiece * 8)
        n = min(layout.gpiece, count - first)
        if piece:
            found += [a for a in struct.unpack(f"={n}Q", read(piece, 8 * n)) if a]
    found = [Goroutine(layout, a) for a in found]
    return sorted((g for g in found if g.status not in (GIDLE, GDEAD)), key=lambda g: g.goid)


# --- stacks ---

def register(frame, name):
    return int(frame.read_register(name)) & (1 << 64) - 1


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class PreloomUnwinder(Unwinder):
    """Goes from trampolines to the code that they stand for, and, while `start` is set, from the innermost frame of
    whatever thread is selected to those registers."""

    def __init__(self):
        super().__init__("preloom")
        self.start = None
        self.innermost = None  # pc and sp of the thread that is used; functions inlined there are frames with the same
        self.lows = None  # begins of the ranges of trampolines, sorted
        self.ranges = []

    def forget(self, *_):
        self.lows = None

    def load(self):
        self.lows, self.ranges = [], []
        layout = Layout()
        if not layout.objtab:
            return
        view = layout.get(read(layout.objtab, layout.size("objtab")), "objtab", "view")
        n, size = layout.get(read(view, layout.size("objview")), "objview", "n"), layout.size("unwind_object")
        data = read(view + layout.at["objview", "v"][0], n * size) if n else b""
        for i in range(n):
            o = {f: layout.get(data, "unwind_object", f, i * size) for f in ("lo", "hi", "info", "size", "kind", "stride")}
            if o["kind"] == TRAMPOLINES:
                self.ranges.append(o)
        self.ranges.sort(key=lambda o: o["lo"])
        self.lows = [o["lo"] for o in self.ranges]
        self.layout = layout

    def begin(self, registers):
        frame = gdb.newest_frame()
        self.innermost = register(frame, "rip"), register(frame, "rsp")
        self.start = registers

    def is_innermost(self, frame):
        return bool(self.start) and (register(frame, "rip"), register(frame, "rsp")) == self.innermost

    def site_of(self, pc):
        if self.lows is None:
            try:
                self.load()
            except (gdb.error, gdb.GdbError, KeyError):
                self.lows = self.lows or []
        i = bisect.bisect_right(self.lows, pc) - 1
        if i < 0 or pc >= self.ranges[i]["hi"]:
            return None
        o, layout = self.ranges[i], self.layout
        if "sites" not in o:
            data = read(o["info"], o["size"] * o["stride"])
            o["sites"] = sorted((s for s in (
                {f: layout.get(data, "unwind_site", f, k * o["stride"]) for f in ("addr", "next", "span", "span_end", "tramp", "ret")}
                for k in range(o["size"])) if s["tramp"]), key=lambda s: s["tramp"])
            o["tramps"] = [s["tramp"] for s in o["sites"]]
        k = bisect.bisect_right(o["tramps"], pc) - 1
        return o["sites"][k] if k >= 0 else None

    @staticmethod
    def original(site, pc, sp):
        lea, done = site["ret"] - CALL_SIZE - LEA_SIZE, site["ret"] + UNLEA_SIZE
        if lea + LEA_SIZE <= pc < done:
            sp += RED_ZONE
        if pc < lea:
            return site["span"] + pc - site["tramp"], sp
        if pc < site["ret"]:
            return site["addr"], sp
        return min(site["next"] + max(pc - done, 0), max(site["span_end"], site["next"])), sp

    def __call__(self, pending):
        pointer = gdb.lookup_type("long")
        if self.is_innermost(pending):
            # An id of its own, further in than all that follows.
            info = pending.create_unwind_info(FrameId(gdb.Value(self.start["rsp"] - 16).cast(pointer),
                                                      gdb.Value(self.start["rip"]).cast(pointer)))
            for name, value in self.start.items():
                kind = pending.read_register(name).type
                info.add_saved_register(name, gdb.Value(value).cast(pointer).cast(kind) if name != "rip" else
                                        gdb.Value(value).cast(kind))
            return info
        pc = register(pending, "rip")
        site = self.site_of(pc)
        if not site:
            return None
        sp = register(pending, "rsp")
        info = pending.create_unwind_info(FrameId(gdb.Value(sp).cast(pointer), gdb.Value(site["tramp"]).cast(pointer)))
        new_pc, new_sp = self.original(site, pc, sp)
        for name in SAVED:
            info.add_saved_register(name, pending.read_register(name))
        info.add_saved_register("rip", gdb.Value(new_pc).cast(pending.read_register("rip").type))
        info.add_saved_register("rsp", gdb.Value(new_sp).cast(pointer).cast(pending.read_register("rsp").type))
        return info


unwinder = PreloomUnwinder()


class OwnFrames:
    """Leaves preloom's own frames, its trampolines and the frame that is only there to begin with out of backtraces, while
    a command `goroutine` runs."""

    def __init__(self):
        self.name, self.priority, self.enabled = "preloom", 50, True
        self.layout = None
        gdb.frame_filters[self.name] = self

    def is_own(self, frame):
        if unwinder.is_innermost(frame):
            return True
        pc = frame.pc()
        return self.layout.text_lo <= pc < self.layout.text_hi or unwinder.site_of(pc) is not None

    def filter(self, frames):
        if not self.layout:
            return frames
        return (f for f in frames if not self.is_own(f.inferior_frame()))


own_frames = OwnFrames()


class InThread:
    """While a `with` lasts, the selected thread shows this goroutine."""

    def __init__(self, g):
        self.g = g

    def __enter__(self):
        self.before = gdb.selected_thread()
        thread = self.g.thread()
        if thread:
            thread.switch()
        else:
            unwinder.begin(self.g.registers())
        own_frames.layout = self.g.layout
        gdb.invalidate_cached_frames()
        return self

    def select(self):
        """The innermost frame of the program."""
        frame = gdb.newest_frame()
        while frame and own_frames.is_own(frame) and frame.older():
            frame = frame.older()
        frame.select()

    def __exit__(self, *_):
        unwinder.start = None
        own_frames.layout = None
        gdb.invalidate_cached_frames()
        if self.before and self.before.is_valid():
            self.before.switch()
        gdb.newest_frame().select()


def run_in(g, command):
    with InThread(g) as t:
        if re.match(r"(bt|backtrace|where)\b", command):
            text = gdb.execute(command, to_string=True)
            first = re.search(r"^#(\d+)", text, re.M)
            shift = int(first.group(1)) if first else 0
            gdb.write(re.sub(r"^#(\d+) {1,2}", lambda m: f"#{int(m.group(1)) - shift:<3}", text, flags=re.M))
        else:
            t.select()
            gdb.execute(command)


def title(g):
    what = g.what()
    return f"goroutine {g.goid} [{STATES[g.status]}{', ' if what else ''}{what}]: thread {g.tid} \"{g.name}\""


class InfoGoroutines(gdb.Command):
    """List the threads of a program that runs on preloom (goroutines), with what each does or waits for."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STATUS)

    def invoke(self, arg, from_tty):
        for g in goroutines():
            what = g.what()
            state = STATES[g.status] + (f" ({what})" if what else "")
            place = ""
            if g.entry:
                place = gdb.execute(f"info symbol {g.entry:#x}", to_string=True).split(" in section")[0].strip()
            if place.startswith("No symbol"):
                place = f"{g.entry:#x}"
            gdb.write(f"{'*' if g.status in (GRUNNING, GSYSCALL) else ' '} {g.goid:<6} {state:<32} thread {g.tid:<10} "
                      f"\"{g.name}\"{'  ' + place if place else ''}{'  wired' if g.lockedm else ''}\n")


class GoroutineCommand(gdb.Command):
    """Run a command in the context of a thread of a program that runs on preloom.
Usage: goroutine ID COMMAND, goroutine all COMMAND.
ID is a number that "info goroutines" shows."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        words = arg.split(None, 1)
        if len(words) != 2 or not (words[0] == "all" or words[0].isdigit()):
            raise gdb.GdbError("usage: goroutine ID COMMAND, or goroutine all COMMAND (info goroutines lists the ID's)")
        found = [g for g in goroutines() if words[0] == "all" or g.goid == int(words[0])]
        if not found:
            raise gdb.GdbError(f"There is no goroutine {words[0]}; info goroutines lists those that there are.")
        for g in found:
            if words[0] == "all":
                gdb.write(f"\n{title(g)}\n")
            try:
                run_in(g, words[1])
            except gdb.error as e:
                if words[0] != "all":
                    raise
                gdb.write(f"{e}\n")


gdb.unwinder.register_unwinder(None, unwinder, True)
for event in (gdb.events.stop, gdb.events.new_objfile, gdb.events.exited):
    event.connect(unwinder.forget)
InfoGoroutines()
GoroutineCommand()
