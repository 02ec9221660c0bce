"""PRELOOM=lockcheck: inversions and locks that are held for long are named with both stacks; what is right is not reported."""
import re
import subprocess

from harness import Failure
from known import check, run


def reports(err):
    return re.split(r"^(?=preloom: lockcheck: )", err, flags=re.M)[1:]


def places(report):
    """Of each `… at:` line: the first function and its line."""
    return re.findall(r"^    (.*) at:\n\t(\w+)  \S+:(\d+)  in ", report, re.M)


def line_of(t, text, nth=0):
    with open(f"{t.here}/lockorder.c", encoding="utf-8") as f:
        return [str(i) for i, line in enumerate(f, 1) if text in line][nth]


def the_one(found, *words):
    """The first report that has all of the words."""
    for r in found:
        if all(w in r for w in words):
            return r
    raise Failure(f"no report has {words}: {found}")


def test_known(t):
    t.here = __file__.rpartition("/")[0]
    for procs in (1, 2):
        status, out, err = run(t.compile("lockorder.c"), procs=procs, PRELOOM="lockcheck=1,lockheld=100")
        check(status == 0 and "done" in out, f"status {status}: {out!r} {err[:300]!r}")
        found = reports(err)
        # On a busy machine other locks may be held for long too.
        check(sum("in a circle" in r for r in found) == 2, f"{len(found)} reports: {err}")
        two = the_one(found, "2 locks are taken in a circle")
        check([p[1] for p in places(two)] == ["backwards", "backwards", "forwards", "forwards"], str(places(two)))
        check([p[2] for p in places(two)] == [line_of(t, "mutex_lock(&lock_b)", 1), line_of(t, "mutex_lock(&lock_a)", 1),
                                              line_of(t, "mutex_lock(&lock_a)"), line_of(t, "mutex_lock(&lock_b)")], str(places(two)))
        check('"backwards"' in two and '"forwards"' in two and "holds lock_b" in two and "takes lock_a" in two, two)
        check(any("3 locks are taken in a circle" in r and r.count("ring") >= 6 for r in found), err)
        held = the_one(found, "was held for", '"hogs"')
        check(re.match(r'preloom: lockcheck: lock_c \(0x\w+\) was held for \d+ ms by goroutine \d+ "hogs"', held), held)
        check([p[1] for p in places(held)] == ["hogs", "hogs"], str(places(held)))


def test_correct(t):
    status, _, err = run(t.compile("lockorder.c"), "correct", PRELOOM="lockcheck=1,lockheld=500")
    check(status == 0 and not reports(err), f"status {status}: {err}")
    status, out, err = run(t.compile("busy.c"), 3, PRELOOM="lockcheck=1")
    check(status == 0 and "done" in out and not reports(err), f"status {status}: {out!r} {err}")


def test_off(t):
    """Without the option nothing stands before the C library's functions, and nothing is said."""
    status, _, err = run(t.compile("lockorder.c"))
    check(status == 0 and err == "", err)


def test_cxx_and_dlopen(t):
    """std::mutex, and a library that is loaded when all is set up."""
    library, main = f"{t.dir}/plugin.cc", f"{t.dir}/main.cc"
    with open(library, "w", encoding="utf-8") as f:
        f.write("""#include <mutex>
extern std::mutex first, second;
extern "C" void plugin() { std::lock_guard<std::mutex> b(second); std::lock_guard<std::mutex> a(first); }
""")
    with open(main, "w", encoding="utf-8") as f:
        f.write("""#include <dlfcn.h>
#include <mutex>
#include <thread>
std::mutex first, second;
static void host() { std::lock_guard<std::mutex> a(first); std::lock_guard<std::mutex> b(second); }
int main() {
	std::thread(host).join();
	void (*plugin)() = (void (*)())dlsym(dlopen("./plugin.so", RTLD_NOW), "plugin");
	std::thread(plugin).join();
}
""")
    for args in (["-shared", "-fPIC", "-o", "plugin.so", library], ["-rdynamic", "-pthread", "-o", "main", main]):
        subprocess.run(["g++", "-g", "-O1", *args], cwd=t.dir, check=True, timeout=60)
    status, _, err = run("sh", "-c", f"cd {t.dir} && exec ./main", PRELOOM="lockcheck=1", PRELOOM_CHILDREN="1")
    found = reports(err)
    check(status == 0 and len(found) == 1, f"status {status}: {err}")
    check("plugin" in found[0] and "host" in found[0] and "holds second" in found[0], found[0])
