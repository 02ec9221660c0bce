"""Nothing in the environment makes preloom write where the user did not say, or, in a program with more privileges than its
user, at all."""
import os
import shutil
import subprocess

import harness

PROGRAM = os.path.join(harness.BUILD, "tests", "prog", "create_join")
OPTIONS = ("log", "trace", "cpuprofile", "blockprofile", "mutexprofile", "threadprofile", "wallprofile")
TRUSTED = "/usr/lib/x86_64-linux-gnu/libmemusage.so"  # a library of glibc's that nothing here needs
USER = 65534


def run(options, **more):
    env = dict(os.environ, LD_PRELOAD=os.path.join(harness.BUILD, "libpreloom.so"), PRELOOM=options)
    return subprocess.run([PROGRAM], env=env, capture_output=True, text=True, timeout=harness.LIMIT, **more)


def test_symbolic_links(t):
    """A file that is a symbolic link is not opened: one line names it, and the program runs as ever."""
    target = os.path.join(t.dir, "target")
    wanted = subprocess.run([PROGRAM], capture_output=True, text=True, timeout=harness.LIMIT).stdout
    for option in OPTIONS:
        for exists in (True, False):
            link = os.path.join(t.dir, f"{option}-{exists}.pb.gz")
            goal = target if exists else os.path.join(t.dir, "nowhere")
            with open(target, "w") as f:
                f.write("precious")
            os.symlink(goal, link)
            done = run(f"{option}={link}")
            t.check(done.returncode == 0 and done.stdout == wanted, f"{option}: {done.returncode} {done.stdout!r}")
            t.check(done.stderr.startswith("preloom: ") and done.stderr.count("\n") == 1 and link in done.stderr,
                    f"{option}: {done.stderr!r}")
            t.check(os.path.islink(link) and open(target).read() == "precious", f"{option}: the link's target was changed")
            t.check(not os.path.exists(os.path.join(t.dir, "nowhere")), f"{option}: the link's target was made")


def secure(t, script, env):
    """Runs a shell script as another user, with PROGRAM setuid root and the library where ld.so trusts it."""
    if os.geteuid() != 0 or not os.path.exists(TRUSTED):
        raise harness.Skip("needs root, and glibc's libmemusage.so")
    os.chmod(t.dir, 0o755)
    program, library = os.path.join(t.dir, "program"), os.path.join(t.dir, "library.so")
    shutil.copy(PROGRAM, program)
    shutil.copy(os.path.join(harness.BUILD, "libpreloom.so"), library)
    for f in (program, library):
        os.chmod(f, 0o4755)
    with open(os.path.join(t.dir, "script"), "w") as f:
        f.write(script)
    inside = f"mount --bind {library} {TRUSTED} && cd {t.dir} && exec setpriv --reuid={USER} --regid={USER} --clear-groups sh ./script"
    done = subprocess.run(["unshare", "-m", "sh", "-c", inside], env=dict(os.environ, **env), capture_output=True, text=True,
                          timeout=harness.LIMIT)
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        raise harness.Skip("no mount namespaces here")
    return done


def test_more_privileges_than_the_user(t):
    """A setuid program for which ld.so loads preloom: its options are ignored, and said not to exist to its children."""
    name = os.path.basename(TRUSTED)
    files = {option: os.path.join(t.dir, f"{option}.pb.gz") for option in OPTIONS}
    options = ",".join(f"{o}={f}" for o, f in files.items()) + ",stats=1,sites=1,nonsense=1"
    script = f"LD_PRELOAD={name} ./program; LD_PRELOAD={name} PRELOOM=help ./program; LD_PRELOAD={name} PRELOOM=off=1 ./program\n"
    done = secure(t, script, {"PRELOOM": options})
    wanted = subprocess.run([PROGRAM], capture_output=True, text=True, timeout=harness.LIMIT).stdout
    t.check(done.returncode == 0 and done.stdout == 3 * wanted and done.stderr == "",
            f"{done.returncode} {done.stdout!r} {done.stderr!r}")
    for f in files.values():
        t.check(not os.path.exists(f), f"{f} was written")


def test_it_was_loaded(t):
    """... and the test above says something: without the privileges, the same library reads its options."""
    name = os.path.basename(TRUSTED)
    done = secure(t, f"chmod -s ./program 2>/dev/null; cp ./program /tmp/copy.$$ && LD_PRELOAD={name} PRELOOM=stats=1 /tmp/copy.$$; "
                     "rm -f /tmp/copy.$$\n", {})
    t.check(done.returncode == 0 and "preloom" in done.stderr, f"{done.returncode} {done.stdout!r} {done.stderr!r}")
