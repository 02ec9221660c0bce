"""What a case of scripts/servers stands on: a folder and ports of its own, servers and clients with a time limit.

A program in its role `under test` runs as the mode says (natively, or under preloom with GOMAXPROCS=N); everything beside it
runs natively. Every process gets a session of its own, is ended by its number, and is waited for. Standard input,
output and error of the program under test are one terminal, as from a shell; its flags must be the same afterwards.
"""

import fcntl
import os
import pty
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PRELOOM_BUILD", ROOT / "build")).resolve()
LIBRARY = BUILD / "libpreloom.so"


class Trouble(Exception):
    """What a case found wrong, in one line."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def in_child():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored in what a shell runs in the background
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


class Terminal:
    """A terminal for the program under test; what it prints is kept."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        self.before = fcntl.fcntl(self.slave, fcntl.F_GETFL)
        self.text = b""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while True:
            try:
                part = os.read(self.master, 65536)
            except OSError:
                return
            if not part:
                return
            self.text = (self.text + part)[-200000:]

    def check(self):
        after = fcntl.fcntl(self.slave, fcntl.F_GETFL)
        if after != self.before:
            raise Trouble(f"the terminal's flags were {self.before:#o} and are {after:#o}")

    def close(self):
        os.close(self.slave)
        self.reader.join(2)
        os.close(self.master)


class Stage:
    def __init__(self, mode, seconds):
        self.mode, self.seconds = mode, seconds
        self.dir = Path(tempfile.mkdtemp(prefix="preloom-servers-"))
        self.dir.chmod(0o755)  # servers that drop privileges look into it
        self.started = []
        self.terminal = Terminal()
        self.log = ""

    # --- processes ---

    def environment(self, under_test, extra=None):
        env = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "GOMAXPROCS")}
        if under_test and self.mode != "native":
            env["LD_PRELOAD"] = str(LIBRARY)
            env["GOMAXPROCS"] = self.mode[1:]
        else:
            env.pop("PRELOOM", None)
        env.update(extra or {})
        return env

    def start(self, command, under_test=False, env=None, cwd=None):
        """A server; it must be stopped with stop() or have ended as expected."""
        command = [str(c) for c in command]
        self.log += f"$ {shlex.join(command)}\n"
        fds = {}
        if under_test:
            fds = dict(stdin=self.terminal.slave, stdout=self.terminal.slave, stderr=self.terminal.slave)
        else:
            out = open(self.dir / f"helper-{len(self.started)}.log", "wb")
            fds = dict(stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        process = subprocess.Popen(command, env=self.environment(under_test, env), cwd=cwd or self.dir,
                                   start_new_session=True, preexec_fn=in_child, **fds)
        process.shown = command[0].rsplit("/", 1)[-1]
        self.started.append(process)
        return process

    def run(self, command, timeout, under_test=False, env=None, ok=(0,), stdin=None):
        """A client, or whatever else ends by itself: its output. An exit status not in `ok` is trouble."""
        command = [str(c) for c in command]
        self.log += f"$ {shlex.join(command)}\n"
        process = subprocess.Popen(command, env=self.environment(under_test, env), cwd=self.dir, text=True,
                                   errors="replace", stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                   preexec_fn=in_child)
        self.started.append(process)
        try:
            out, _ = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            self.log += out[-4000:]
            raise Trouble(f"{command[0]} not finished after {timeout:.0f} s") from None
        self.log += out[-8000:]
        if process.returncode not in ok:
            raise Trouble(f"{command[0]} ended with status {process.returncode}: {last_line(out)}")
        return out

    def wait_for_port(self, port, process, timeout=30):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if process.poll() is not None:
                raise Trouble(f"{process.shown} ended at its start with status {process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Trouble(f"{process.shown} does not listen after {timeout} s")

    def wait_for(self, what, condition, timeout):
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise Trouble(f"{what} did not happen within {timeout} s")
            time.sleep(0.02)

    def ended(self, process, timeout=20, ok=(0,)):
        """The server ends by itself now, with a status that tells so."""
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Trouble(f"{process.shown} did not end within {timeout} s") from None
        if status not in ok:
            raise Trouble(f"{process.shown} ended with status {status}")

    def stop(self, process, sig=signal.SIGTERM, timeout=20, ok=(0,)):
        if process.poll() is not None:
            raise Trouble(f"{process.shown} had ended by itself, with status {process.returncode}")
        process.send_signal(sig)
        self.ended(process, timeout, ok)

    # --- what several cases use ---

    def backend(self):
        """A small HTTP server that runs natively; its port."""
        process = self.start([BUILD / "bench" / "http_server", 300 + 30 * self.seconds])
        path = self.dir / f"helper-{len(self.started) - 1}.log"
        self.wait_for("the backend's start", lambda: path.read_text().startswith("port") and path.read_text()[-1] == "\n", 10)
        return int(path.read_text().split()[1])

    def web_files(self):
        """Files to serve: name → size."""
        www = self.dir / "www"
        www.mkdir()
        www.chmod(0o755)
        sizes = {"small": 1000, "large": 100_000}
        for name, size in sizes.items():
            (www / name).write_bytes((b"0123456789abcdef" * (size // 16 + 1))[:size])
        return www

    # --- the end ---

    def finish(self, failed):
        """Ends what is left; the log is kept when something went wrong."""
        for process in self.started:
            if process.poll() is None or failed:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            process.wait()
        self.terminal.close()
        if failed:
            self.log += "--- the terminal ---\n" + self.terminal.text.decode(errors="replace")
            for path in sorted(self.dir.glob("*.log")):
                self.log += f"--- {path.name} ---\n" + path.read_text(errors="replace")[-8000:]
        shutil.rmtree(self.dir, ignore_errors=True)


def last_line(text):
    lines = [line for line in text.strip().split("\n") if line.strip()]
    return lines[-1][:200] if lines else "(no output)"
