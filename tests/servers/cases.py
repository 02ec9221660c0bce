"""The servers and clients of scripts/servers: how each is started, loaded, checked and stopped.

A case is a function of a Stage. It returns (figure, unit) and raises Trouble for every error that the client reports, every
request without an answer, and every end that is not clean.
"""

import hashlib
import re
import signal
from stage import Trouble, free_port

CASES = {}


def case(name, *packages):
    def add(function):
        CASES[name] = (function, packages)
        return function
    return add


def find(pattern, text, what):
    match = re.search(pattern, text)
    if not match:
        raise Trouble(f"{what} is missing in the client's report")
    return match[1]


# --- clients ---

def wrk(stage, url, connections, seconds=None, under_test=False):
    """Requests per second."""
    seconds = seconds or stage.seconds
    out = stage.run(["wrk", "-t", 2, "-c", connections, "-d", f"{seconds}s", "--timeout", "10s", url], seconds + 30, under_test)
    if "Socket errors" in out:
        raise Trouble(find(r"(Socket errors: .*)", out, ""))
    if "Non-2xx" in out:
        raise Trouble(find(r"(Non-2xx.*)", out, ""))
    rate = float(find(r"Requests/sec: *([0-9.]+)", out, "the rate"))
    if not rate:
        raise Trouble("no request was answered")
    return rate


def ab(stage, url, requests, concurrency, *more):
    out = stage.run(["ab", "-q", "-n", requests, "-c", concurrency, "-s", 20, *more, url], stage.seconds * 10 + 60)
    done, bad = int(find(r"Complete requests: *(\d+)", out, "the count")), int(find(r"Failed requests: *(\d+)", out, "the count"))
    if done != requests or bad or "Non-2xx" in out:
        raise Trouble(f"{done} of {requests} requests done, {bad} failed")
    return float(find(r"Requests per second: *([0-9.]+)", out, "the rate"))


def siege(stage, url, users, under_test=False, rate=2000):
    """A connection for each request. Not for a time (-t): then it cancels its threads asynchronously, in the middle of malloc
    for example, and may hang at its end, natively too."""
    each = rate * stage.seconds // users
    out = stage.run(["siege", "-b", "-c", users, "-r", each, url], stage.seconds * 10 + 60, under_test,
                    env={"HOME": str(stage.dir)})
    done, bad = int(find(r'"transactions"?:\s*(\d+)', out, "the count")), int(find(r'failed_transactions"?:\s*(\d+)', out, "it"))
    if done != users * each or bad:
        raise Trouble(f"{done} of {users * each} requests done, {bad} failed")
    return float(find(r'transaction_rate"?:\s*([0-9.]+)', out, "the rate"))


# --- databases and caches ---

def sysbench(stage, sock, threads, command, seconds=0):
    out = stage.run(["sysbench", "oltp_read_write", "--mysql-user=root", f"--mysql-socket={sock}", "--mysql-db=test",
                     "--tables=4", "--table-size=5000", f"--threads={threads}", f"--time={seconds}",
                     "--mysql-ignore-errors=1213,1020,1205", command], seconds + 120)
    if command == "run":
        if int(find(r"reconnects: *(\d+)", out, "the count of reconnects")):
            raise Trouble("connections were lost")
        return float(find(r"transactions: .*\(([0-9.]+) per sec", out, "the rate"))
    return 0


def mariadb_start(stage, sock, more):
    server = stage.start(["mariadbd", "--no-defaults", "--user=root", f"--datadir={stage.dir / 'data'}", f"--socket={sock}",
                          "--skip-networking", f"--pid-file={stage.dir / 'pid'}", "--max-connections=700", "--max-prepared-stmt-count=100000", "--back-log=1000", "--connect-timeout=120",
                          "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", *more], under_test=True)
    ping = ["mariadb-admin", "--no-defaults", "-uroot", f"--socket={sock}", "ping"]
    for _ in range(200):
        if server.poll() is not None:
            raise Trouble(f"mariadbd ended at its start with status {server.returncode}")
        if "alive" in stage.run(ping, 30, ok=(0, 1)):
            return server
    raise Trouble("mariadbd does not answer")


def mariadb_sql(stage, sock, sql):
    return stage.run(["mariadb", "--no-defaults", "-uroot", f"--socket={sock}", "-N", "-e", sql], 60)


def mariadb(stage, *more):
    sock, rates = stage.dir / "sock", []
    stage.run(["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={stage.dir / 'data'}", "--skip-test-db",
               "--auth-root-authentication-method=normal", "--innodb-log-file-size=32M"], 120)
    server = mariadb_start(stage, sock, more)
    mariadb_sql(stage, sock, "create database test")
    sysbench(stage, sock, 2, "prepare")
    for threads in (1, 64, 512):
        rates.append(sysbench(stage, sock, threads, "run", stage.seconds))
    checksums = "checksum table " + ", ".join(f"test.sbtest{i}" for i in range(1, 5))
    before = mariadb_sql(stage, sock, checksums)
    for again in (False, True):
        stage.run(["mariadb-admin", "--no-defaults", "-uroot", f"--socket={sock}", "shutdown"], 90)
        stage.ended(server, 90)
        if not again:
            server = mariadb_start(stage, sock, more)
            if mariadb_sql(stage, sock, checksums) != before:
                raise Trouble("the tables are not what they were before the restart")
    return " / ".join(f"{r:.0f}" for r in rates), "transactions/s with 1, 64, 512 connections"


@case("mariadb", "mariadb-server", "sysbench")
def mariadb_threads(stage):
    return mariadb(stage)


@case("mariadb-pool", "mariadb-server", "sysbench")
def mariadb_pool(stage):
    return mariadb(stage, "--thread-handling=pool-of-threads")


def redis(stage, server_options=(), client_options=(), client_under_test=False, rate=4000):
    port, n = free_port(), rate * stage.seconds
    server = stage.start(["redis-server", "--port", port, "--save", "", "--appendonly", "no", "--bind", "127.0.0.1",
                          *server_options], under_test=not client_under_test)
    stage.wait_for_port(port, server)
    cli = ["redis-cli", "-p", port]
    out = stage.run(["redis-benchmark", "-p", port, "-n", n, "-c", 50, "-t", "set,get,incr,lpush", "-q", *client_options],
                    stage.seconds * 20 + 60, client_under_test)
    rates = [float(r) for r in re.findall(r": ([0-9.]+) requests per second", out)]
    counted = int(stage.run([*cli, "get", "counter:__rand_int__"], 10)), int(stage.run([*cli, "llen", "mylist"], 10))
    if counted != (n, n) or len(rates) != 4:
        raise Trouble(f"of {n} INCR and LPUSH the server has seen {counted[0]} and {counted[1]}")
    stage.run([*cli, "bgsave"], 20)
    stage.wait_for("bgsave", lambda: "rdb_bgsave_in_progress:0" in stage.run([*cli, "info", "persistence"], 10), 20)
    if "rdb_last_bgsave_status:ok" not in stage.run([*cli, "info", "persistence"], 10):
        raise Trouble("bgsave failed")
    stage.stop(server)
    return f"{4 / sum(1 / r for r in rates):.0f}", "requests/s"


@case("redis", "redis-server", "redis-tools")
def redis_plain(stage):
    return redis(stage)


@case("redis-io-threads", "redis-server", "redis-tools")
def redis_io_threads(stage):
    """More threads that spin than CPUs: natively, too, this is slow."""
    return redis(stage, ("--io-threads", 4, "--io-threads-do-reads", "yes"), rate=100)


@case("redis-benchmark", "redis-server", "redis-tools")
def redis_benchmark_threads(stage):
    return redis(stage, (), ("--threads", 4), client_under_test=True)


@case("memcached", "memcached", "libmemcached-tools")
def memcached(stage):
    port = free_port()
    server = stage.start(["memcached", "-m", 1024, "-p", port, "-U", 0, "-l", "127.0.0.1", "-t", 4, "-u", "root", "-c", 2000], under_test=True)
    stage.wait_for_port(port, server)
    each, clients, rates = 100 * stage.seconds, 50, []
    for test in ("set", "get"):
        out = stage.run(["memcslap", f"--servers=127.0.0.1:{port}", f"--concurrency={clients}", f"--execute-number={each}",
                         "--initial-load=10000", f"--test={test}"], stage.seconds * 10 + 60)
        rates.append(each * clients / float(find(r"(?:set|get) .* threads: *([0-9.]+)", out, "the time")))
    stats = stage.run(["memcstat", f"--servers=127.0.0.1:{port}"], 20)
    got, misses = int(find(r"cmd_get: (\d+)", stats, "cmd_get")), int(find(r"get_misses: (\d+)", stats, "get_misses"))
    sets = int(find(r"cmd_set: (\d+)", stats, "cmd_set"))
    if got < each * clients or misses or sets < each * clients:
        raise Trouble(f"server has seen {sets} sets, {got} gets and {misses} misses")
    stage.stop(server)
    return f"{2 / sum(1 / r for r in rates):.0f}", "requests/s"


# --- web servers and proxies ---

@case("apache-worker", "apache2", "apache2-utils", "wrk")
def apache(stage):
    port, www = free_port(), stage.web_files()
    config = stage.dir / "apache.conf"
    modules = "/usr/lib/apache2/modules"
    config.write_text(f"""
ServerRoot {stage.dir}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {stage.dir}/pid
ErrorLog {stage.dir}/error.log
DefaultRuntimeDir {stage.dir}
LoadModule mpm_worker_module {modules}/mod_mpm_worker.so
LoadModule authz_core_module {modules}/mod_authz_core.so
StartServers 2
ServerLimit 8
ThreadsPerChild 25
MaxRequestWorkers 200
User www-data
Group www-data
DocumentRoot {www}
<Directory {www}>
Require all granted
</Directory>
""")
    server = stage.start(["apache2", "-DFOREGROUND", "-f", config], under_test=True)
    stage.wait_for_port(port, server)
    rate = wrk(stage, f"http://127.0.0.1:{port}/small", 64)
    wrk(stage, f"http://127.0.0.1:{port}/large", 64)
    ab(stage, f"http://127.0.0.1:{port}/small", 200 * stage.seconds, 50)
    server.send_signal(signal.SIGUSR1)  # graceful restart
    ab(stage, f"http://127.0.0.1:{port}/small", 200 * stage.seconds, 20)
    stage.stop(server)
    return f"{rate:.0f}", "requests/s"


@case("varnish", "varnish", "wrk", "apache2-utils")
def varnish(stage):
    port, back = free_port(), stage.backend()
    server = stage.start(["varnishd", "-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-b", f"127.0.0.1:{back}",
                          "-n", stage.dir / "varnish", "-s", "malloc,32m", "-t", "1"], under_test=True)
    stage.wait_for_port(port, server)
    ab(stage, f"http://127.0.0.1:{port}/", 10, 1)  # until its child is up
    rate = wrk(stage, f"http://127.0.0.1:{port}/", 200)
    ab(stage, f"http://127.0.0.1:{port}/", 200 * stage.seconds, 50)
    stage.stop(server)
    return f"{rate:.0f}", "requests/s"


@case("python-http", "python3", "apache2-utils", "wrk")
def python_http(stage):
    port, www = free_port(), stage.web_files()
    server = stage.start(["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", www,
                          "--protocol", "HTTP/1.1", port], under_test=True)
    stage.wait_for_port(port, server)
    ab(stage, f"http://127.0.0.1:{port}/small", 50 * stage.seconds, 20)
    rate = wrk(stage, f"http://127.0.0.1:{port}/small", 20)
    # It has no handler for SIGTERM, and ends on SIGINT with status 0.
    stage.stop(server, signal.SIGINT)
    return f"{rate:.0f}", "requests/s"


@case("tinyproxy", "tinyproxy", "apache2-utils")
def tinyproxy(stage):
    port, back = free_port(), stage.backend()
    config = stage.dir / "tinyproxy.conf"
    config.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 300\nLogFile \"{stage.dir}/tinyproxy.log\"\n"
                      "LogLevel Error\nAllow 127.0.0.1\n")
    server = stage.start(["tinyproxy", "-d", "-c", config], under_test=True)
    stage.wait_for_port(port, server)
    rate = ab(stage, f"http://127.0.0.1:{back}/", 500 * stage.seconds, 100, "-X", f"127.0.0.1:{port}")
    stage.stop(server)
    return f"{rate:.0f}", "requests/s"


@case("stunnel", "stunnel4", "openssl", "wrk", "siege")
def stunnel(stage):
    port, back = free_port(), stage.backend()
    pem, config = stage.dir / "pem", stage.dir / "stunnel.conf"
    stage.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 1,
               "-subj", "/CN=localhost", "-keyout", pem, "-out", stage.dir / "cert"], 20)
    pem.write_text(pem.read_text() + (stage.dir / "cert").read_text())
    config.write_text(f"foreground = yes\npid =\ndebug = err\n[web]\naccept = 127.0.0.1:{port}\n"
                      f"connect = 127.0.0.1:{back}\ncert = {pem}\n")
    server = stage.start(["stunnel4", config], under_test=True)
    stage.wait_for_port(port, server)
    rate = wrk(stage, f"https://127.0.0.1:{port}/", 64)
    siege(stage, f"https://127.0.0.1:{port}/", 20, rate=200)
    stage.stop(server)
    return f"{rate:.0f}", "requests/s"


# --- clients ---

@case("siege", "siege")
def siege_client(stage):
    return f"{siege(stage, f'http://127.0.0.1:{stage.backend()}/', 200, under_test=True):.0f}", "requests/s"


@case("curl", "curl")
def curl(stage):
    """Each name is looked up in a thread of curl's."""
    back, n = stage.backend(), 40 * stage.seconds
    out = stage.run(["curl", "-s", "-S", "--fail", "--parallel", "--parallel-max", 50, "--parallel-immediate", "-o", "/dev/null",
                     "-w", "%{http_code}\n", f"http://localhost:{back}/?[1-{n}]"], stage.seconds * 5 + 30, under_test=True)
    if out.split().count("200") != n:
        raise Trouble(f"{out.split().count('200')} of {n} transfers succeeded")
    for _ in range(5):
        stage.run(["curl", "-s", "-S", "--fail", f"http://localhost:{back}/"], 20, under_test=True)
    return f"{n}", "transfers"


@case("wrk", "wrk")
def wrk_client(stage):
    back = stage.backend()
    return f"{wrk(stage, f'http://localhost:{back}/', 100, under_test=True):.0f}", "requests/s"


@case("aria2c", "aria2", "apache2")
def aria2c(stage):
    port = free_port()
    www = stage.web_files()
    big = www / "big"
    big.write_bytes(b"".join(hashlib.sha256(i.to_bytes(8, "big")).digest() for i in range(32768 * 4 * stage.seconds)))
    wanted = hashlib.sha256(big.read_bytes()).hexdigest()
    server = stage.start(["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", www, port])
    stage.wait_for_port(port, server)
    stage.run(["aria2c", "-q", "-x", 8, "-s", 8, "-d", stage.dir, "-o", "got", f"http://127.0.0.1:{port}/big"],
              stage.seconds * 5 + 30, under_test=True)
    if hashlib.sha256((stage.dir / "got").read_bytes()).hexdigest() != wanted:
        raise Trouble("the file is not what was served")
    return f"{big.stat().st_size >> 20}", "MiB"
