"""What scripts/bench and scripts/bench-io share: build, run a command with a bound, read its result line.

Every run yields a Result or a Failure with the command in it. Nothing is retried and nothing is dropped: a benchmark that
fails now and then is news.
"""

import os
import re
import resource
import select
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "tests" / "bench"
BUILD = Path(os.environ.get("PRELOOM_BUILD", ROOT / "build")).resolve()
LIBRARY = BUILD / "libpreloom.so"
RESULT = re.compile(r"^(\S+) (-?[0-9.]+) (\S+)((?: \S+=\S+)*) *$")


@dataclass
class Result:
    value: float
    more: dict = field(default_factory=dict)
    warning: str = ""  # first line the program wrote to standard error
    foreign: float = 0.0  # seconds of CPU that other programs used meanwhile
    seconds: float = 0.0


@dataclass
class Failure:
    command: str
    reason: str


def fail(message):
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def build_programs():
    """Builds the C programs, in the project's build tree if it is configured, else in one beside the temporary files."""
    tree = BUILD
    if not (tree / "CMakeCache.txt").exists() or not has_target(tree):
        tree = Path(tempfile.gettempdir()) / f"preloom-bench-{os.getuid()}"
        run_build(["cmake", "-S", str(SOURCES), "-B", str(tree)])
    run_build(["cmake", "--build", str(tree), "--target", "bench_programs", "-j2"])
    return tree / "bench"


def has_target(tree):
    targets = subprocess.run(["cmake", "--build", str(tree), "--target", "help"], capture_output=True, text=True)
    return "bench_programs" in targets.stdout


def run_build(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        fail(f"{shlex.join(command)} failed:\n{done.stdout}{done.stderr}")


def build_go(programs):
    """Builds the Go programs and returns their folder, or None and says why the column is empty."""
    go = shutil.which("go")
    if not go:
        print("no Go compiler (Debian: golang-go): the Go column stays empty", file=sys.stderr)
        return None
    out = programs / "go"
    out.mkdir(exist_ok=True)
    env = dict(os.environ, GO111MODULE="off", GOFLAGS="", CGO_ENABLED="0")
    for source in sorted((SOURCES / "go").glob("*.go")):
        binary = out / source.stem
        if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
            done = subprocess.run([go, "build", "-o", str(binary), str(source)], env=env, capture_output=True, text=True)
            if done.returncode:
                fail(f"go build {source.name} failed:\n{done.stderr}")
    return out


def environment(cpus, preload=False):
    env = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "OMP_NUM_THREADS")}
    env["GOMAXPROCS"] = str(cpus)
    if preload:
        env["LD_PRELOAD"] = str(LIBRARY)
    return env


def on_cpus(cpus):
    """What the child does before exec: its CPUs, as taskset would, and no core files of crashed runs."""
    def setup():
        os.sched_setaffinity(0, cpus)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return setup


def shown(command, cpus, env):
    """The command as a person can type it."""
    names = [f"{k}={env[k]}" for k in ("GOMAXPROCS", "LD_PRELOAD", "PRELOOM") if k in env]
    return " ".join(names + [f"taskset -c {','.join(map(str, sorted(cpus)))}", shlex.join(command)])


def await_end(child, timeout):
    """Until the very moment: subprocess looks every 50 ms."""
    fd = os.pidfd_open(child.pid)
    select.select([fd], [], [], timeout)
    os.close(fd)


def run(command, cpus, env, timeout, wall=False):
    text = shown(command, cpus, env)
    with tempfile.TemporaryFile("w+") as errors:
        start, cpu0, work0 = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN), cpu_seconds()[0]
        try:
            child = subprocess.Popen(command, env=env, preexec_fn=on_cpus(cpus), start_new_session=True,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL if wall else subprocess.PIPE,
                                     stderr=errors, text=True)
        except OSError as e:
            return Failure(text, str(e))
        try:
            if wall:
                await_end(child, timeout)
            output, _ = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            return Failure(text, f"not finished after {timeout} s")
        spent, cpu1 = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = cpu1.ru_utime + cpu1.ru_stime - cpu0.ru_utime - cpu0.ru_stime
        foreign = max(0.0, cpu_seconds()[0] - work0 - cpu)
        errors.seek(0)
        warning = errors.read(400).strip().split("\n")[0]
    if child.returncode:
        how = f"signal {-child.returncode}" if child.returncode < 0 else f"exit status {child.returncode}"
        return Failure(text, f"{how}: {warning}" if warning else how)
    if wall:
        return Result(spent * 1000, {"cpu_ms": f"{cpu * 1000:.0f}"}, warning, foreign, spent)
    result = parse(output, text, warning)
    if isinstance(result, Result):
        result.foreign, result.seconds = foreign, spent
    return result


def parse(output, text, warning=""):
    for line in reversed((output or "").splitlines()):
        match = RESULT.match(line)
        if match:
            return Result(float(match[2]), dict(pair.split("=", 1) for pair in match[4].split()), warning)
    return Failure(text, f"no result line in {output!r:.80}")


def median(results):
    return statistics.median(r.value for r in results)


def median_of(results, key):
    """Median of a key=value figure, which may carry a % sign."""
    values = [float(r.more[key].rstrip("%")) for r in results if key in r.more]
    return statistics.median(values) if values else None


def cpu_seconds():
    """Seconds that all CPUs of the machine have worked and been idle since it started."""
    user, nice, system, idle, iowait, *rest = map(int, open("/proc/stat").readline().split()[1:])
    hz = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + sum(rest[:3])) / hz, (idle + iowait) / hz


def busy():
    """Share of all CPUs that others use now, in percent. The load average would count our own last run for minutes."""
    work0, idle0 = cpu_seconds()
    time.sleep(0.3)
    work1, idle1 = cpu_seconds()
    return round(100 * (work1 - work0) / max(0.01, work1 - work0 + idle1 - idle0))


def disturbed(results):
    """Share of the machine that other programs used during these runs, in percent."""
    capacity = sum(r.seconds for r in results) * os.cpu_count()
    return 100 * sum(r.foreign for r in results) / capacity if capacity else 0.0


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    kernel, share = os.uname(), busy()
    commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True)
    line = (f"{time.strftime('%Y-%m-%d %H:%M')}  {os.cpu_count()} x {model}, {kernel.sysname} {kernel.release} "
            f"{kernel.machine}, {share} % busy before, source {commit.stdout.strip() or '?'}")
    if share > 10:
        line += "\nOther programs are running: the figures below are worth less for it."
    return line


def figure(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
