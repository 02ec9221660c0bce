"""The benchmarks of scripts/bench and what each must reach, as one table.

A row is Bench(name, command, unit, …). In a command {ms} is the measuring time and {quick:A/B} is A in a quick run and B
in a full one; the first word is a program of this folder unless kind is "wall", where it is a program of the system and the
figure is its running time. All figures are costs: smaller is better.

required and aim map a number of CPUs to conditions, all of which must hold:
    nat=R   native / preloom >= R            go=R    Go / preloom >= R
    add=D   preloom - native <= D            max=V   preloom <= V
Rows with options measure what looking inside costs: their "native" column is preloom as well, with nothing switched on.

Aims of time are ratios to native, taken on the machine they were set on (`was` says the nanoseconds there): between two
machines, and between two hours on a shared one, the ratio is what lasts.
"""

from dataclasses import dataclass, field


@dataclass
class Bench:
    name: str
    command: str
    unit: str
    go: tuple = ()  # Go programs; the first stands in the table, the others in the notes
    kind: str = "program"  # program, spawn (the library goes to its children only), wall
    required: dict = field(default_factory=dict)
    aim: dict = field(default_factory=dict)
    was: dict = field(default_factory=dict)
    notes: tuple = ()  # keys of the result line to show below the table
    timeout: int = 20
    pairs: int = 0  # at least so many, unless --pairs says otherwise: where a ratio near 1 decides
    options: str = ""  # PRELOOM for the preloom side; the "native" side is then preloom without them


def both(**conditions):
    return {1: conditions, 2: conditions}


def each(one, two):
    return {1: one, 2: two}


XZ_TEXT, TEXT = "{text:12/48}", "{text:32/96}"

SYSBENCH = "sysbench threads --threads=64 --time=0 --events={quick:3000/8000} run"
BENCHES = [
    Bench("handoff-cond", "handoff_cond {ms}", "ns", go=("handoff_chan {ms}", "handoff_cond {ms}"),
          required=each(dict(nat=25, go=1), dict(nat=100, go=1)), aim=each(dict(nat=50), dict(nat=208)),
          was=each("80 ns", "120 ns")),
    Bench("handoff-sem", "handoff_sem {ms}", "ns", go=("handoff_chan {ms}",),
          required=each(dict(nat=25, go=1), dict(nat=100, go=1)), aim=each(dict(nat=37), dict(nat=190)),
          was=each("60 ns", "100 ns")),
    Bench("handoff-mutex", "handoff_mutex {ms}", "ns", go=("handoff_mutex {ms}",),
          aim=each(dict(nat=25), dict(nat=100))),
    Bench("handoff-pipe", "handoff_pipe {ms}", "ns", go=("handoff_pipe {ms}",), aim=each(dict(nat=2), dict(nat=14)),
          was=each("1500 ns", "1500 ns")),
    Bench("yield-2", "yield {ms} 2", "ns", go=("yield {ms} 2",), aim=each(dict(nat=37), dict(nat=6.5)),
          was=each("40 ns", "40 ns")),
    Bench("yield-100", "yield {ms} 100", "ns", go=("yield {ms} 100",), aim=each(dict(nat=37), dict(nat=6.5))),
    Bench("create-join", "create_join {ms}", "ns", go=("create_join {ms}",), required=both(nat=15),
          aim=each(dict(nat=31), dict(nat=63)), was=each("700 ns", "700 ns")),
    Bench("alive-10000", "alive {ms} 10000", "ns", go=("alive {ms} 10000",), required=both(nat=10),
          aim=each(dict(nat=17), dict(nat=15)), was=each("4000 ns", "4000 ns"), notes=("make", "rest"), timeout=30),
    Bench("contended-100", "contended {ms} 100", "ns", go=("contended {ms} 100",), required=both(nat=1),
          notes=("most/mean",), pairs=9),
    Bench("sleepers-10000", "sleepers {quick:100/300} 10000 10", "ns", go=("sleepers {quick:100/300} 10000 10",),
          required=both(nat=8), aim=each(dict(nat=18), dict(nat=21.7)), was=each("300 ns", "300 ns"),
          notes=("cpu", "late_us"), timeout=40),
    Bench("beside-3", "beside {quick:600/2000} 3", "ns", go=("beside {quick:600/2000} 3",), notes=("p90_us", "max_us")),
    Bench("beside-pairs", "beside {quick:600/2000} 2 2", "ns", go=("beside {quick:600/2000} 2 2",), notes=("p90_us", "max_us")),
    Bench("memory-10000", "memory {ms} 10000", "KiB", go=("memory {ms} 10000",), aim=both(max=13),
          notes=("rss", "page_tables", "kernel_stack", "slab"), timeout=30),
    Bench("syscall-libc", "syscall_cost {ms} libc", "ns", required=both(add=10), aim=both(add=5)),
    Bench("syscall-raw", "syscall_cost {ms} raw", "ns", go=("syscall_cost {ms} raw",), required=both(add=10),
          aim=both(add=5)),
    Bench("syscall-zero", "syscall_cost {ms} zero", "ns", go=("syscall_cost {ms} zero",)),
    Bench("syscall-wake", "syscall_cost {ms} wake", "ns"),
    Bench("start", "startup {quick:300/1000} start", "us", kind="spawn", required=both(add=300)),
    Bench("activation", "startup {quick:300/1000} thread", "us", kind="spawn", required=both(add=5000),
          aim=both(add=2000), notes=("without", "with")),
    Bench("xz", "xz -1 -T4 -k -c " + XZ_TEXT, "ms", kind="wall", required=both(nat=0.98), aim=both(nat=0.99),
          notes=("cpu_ms",), timeout=60, pairs=9),
    Bench("pigz", "pigz -p4 -k -c " + TEXT, "ms", kind="wall", required=both(nat=0.98), aim=both(nat=0.99),
          notes=("cpu_ms",), timeout=60, pairs=9),
    Bench("zstd", "zstd -6 -T4 -q -k -c " + TEXT, "ms", kind="wall", required=both(nat=0.98), aim=both(nat=0.99),
          notes=("cpu_ms",), timeout=60, pairs=9),
    Bench("openmp", "openmp {quick:400/1500}", "ms", required=both(nat=0.98), aim=both(nat=0.99), pairs=9),
    Bench("hackbench", "hackbench -T -l {quick:25/100}", "ms", kind="wall", required=both(nat=1), notes=("cpu_ms",),
          timeout=60),
    Bench("perf-messaging", "perf bench sched messaging -t -l {quick:25/100}", "ms", kind="wall", required=both(nat=1),
          notes=("cpu_ms",), timeout=60),
    Bench("perf-pipe", "perf bench sched pipe -T -l {quick:50000/200000}", "ms", kind="wall", required={2: dict(nat=4)},
          timeout=60),
    Bench("sysbench-threads", SYSBENCH, "ms", kind="wall",
          timeout=60),
    Bench("blocked-1000", "blocked_readers {quick:60000/200000} 1000", "ms",
          go=("blocked_readers {quick:60000/200000} 1000",), notes=("kernel_threads", "release_us")),
    Bench("cpuprofile-openmp", "openmp {quick:400/1500}", "ms", options="cpuprofile=/dev/null", aim=both(nat=0.97)),
    Bench("cpuprofile-cond", "handoff_cond {ms}", "ns", options="cpuprofile=/dev/null", aim=both(nat=0.97)),
    Bench("blockprof-openmp", "openmp {quick:400/1500}", "ms", options="blockprofile=/dev/null", aim=both(nat=0.97)),
    Bench("blockprof-cond", "handoff_cond {ms}", "ns", options="blockprofile=/dev/null"),
    Bench("mutexprof-mutex", "handoff_mutex {ms}", "ns", options="mutexprofile=/dev/null"),
    Bench("wallprof-openmp", "openmp {quick:400/1500}", "ms", options="wallprofile=/dev/null", aim=both(nat=0.97)),
    Bench("trace-openmp", "openmp {quick:400/1500}", "ms", options="trace=/dev/null", aim=both(nat=0.97)),
    Bench("trace-cond", "handoff_cond {ms}", "ns", options="trace=/dev/null"),
    Bench("trace-sem", "handoff_sem {ms}", "ns", options="trace=/dev/null"),
    Bench("trace-pipe", "handoff_pipe {ms}", "ns", options="trace=/dev/null"),
    Bench("trace-create", "create_join {ms}", "ns", options="trace=/dev/null"),
    Bench("trace-sleepers", "sleepers {quick:100/300} 10000 10", "ns", options="trace=/dev/null", timeout=40),
    Bench("blockprof-sysbench", SYSBENCH, "ms", kind="wall", options="blockprofile=/dev/null", aim=both(nat=0.97), timeout=60),
    Bench("mutexprof-sysbench", SYSBENCH, "ms", kind="wall", options="mutexprofile=/dev/null", aim=both(nat=0.97), timeout=60),
    Bench("cpuprofile-sysbench", SYSBENCH, "ms", kind="wall", options="cpuprofile=/dev/null", aim=both(nat=0.97), timeout=60),
    Bench("trace-sysbench", SYSBENCH, "ms", kind="wall", options="trace=/dev/null", timeout=60),
    Bench("lockcheck-sysbench", SYSBENCH, "ms", kind="wall", options="lockcheck=1", timeout=60),
    Bench("lockcheck-cond", "handoff_cond {ms}", "ns", options="lockcheck=1"),
    Bench("wallprof-sleepers", "sleepers {quick:100/300} 10000 10", "ns", options="wallprofile=/dev/null", timeout=40),
]
