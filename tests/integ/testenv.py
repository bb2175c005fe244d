# SPDX-License-Identifier: Apache-2.0
"""The reference system for tests: a real PostgreSQL, a real nats-server and the four services, each
on a loopback address and port of its own. Everything is ended by pid, and nothing may be left.

    with System(order={"DB_POOL_SIZE": "4"}) as system:
        token = system.token()
        reply = system.post_order(token, 100, "EUR")
        assert reply.status == 201
        rate = system.saturate(seconds=3, connections=16).rate      # closed loop, orders/s
"""
import http.client
import json
import os
import pwd
import random
import secrets
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BUILD = (SOURCE / os.environ.get("BUILD", "build")).resolve()
MARK = "PLIMSOLL_TEST_ID"  # in the environment of each process, to find what was left behind
# What a process of the system gets of ours; sanitizers are told by their own variables.
KEPT = ("PATH", "TMPDIR", "PLIMSOLL_TEST_RUN", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
        "TSAN_OPTIONS", "LD_LIBRARY_PATH")


def wait_until(condition, timeout=15.0, what="condition"):
    """Polls until condition() is truthy and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.02)


def loopback_address():
    """An address in 127/8 that nobody else is likely to use."""
    return f"127.{random.randint(64, 126)}.{random.randint(1, 254)}.{random.randint(1, 254)}"


def free_port(address):
    with socket.socket() as sock:
        sock.bind((address, 0))
        return sock.getsockname()[1]


class Process:
    """One supervised program: started, stopped, killed and started again by its pid."""

    def __init__(self, name, argv, env, log, preexec=()):
        self.name, self.argv, self.env, self.log = name, [*preexec, *argv], env, log
        self.process = None

    def start(self):
        assert self.process is None
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        return self

    @property
    def pid(self):
        return self.process.pid

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def end(self, sig=signal.SIGTERM, timeout=20):
        """Sends the signal and waits; the exit code, negative for a signal."""
        if self.process is None:
            return None
        self.process.send_signal(sig)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end within {timeout} s: {self.tail()}")
        self.process = None
        return code

    def kill(self):
        return self.end(signal.SIGKILL)

    def tail(self, size=2000):
        text = Path(self.log).read_text(errors="replace")
        return text[-size:]

    def descendants(self):
        return _descendants(self.pid)

    def cpu_seconds(self):
        """User and system time of this process and its living children (PostgreSQL's back ends)."""
        return sum(_cpu_seconds(pid) for pid in [self.pid, *self.descendants()])


def _stat(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _descendants(root):
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = _stat(entry)
            if stat:
                parents.setdefault(int(stat[1]), []).append(int(entry))
    found, todo = [], [root]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def _cpu_seconds(pid):
    stat = _stat(pid)
    # With the reaped children, so that a back end that ended is still counted.
    return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK") if stat else 0.0


class Service(Process):
    """One of ours: its port is taken from its first log line, and kept over restarts."""

    def __init__(self, name, env, log, address):
        super().__init__(name, [str(BUILD / "services" / name)], env, log)
        self.address, self.port = address, 0

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    def start(self):
        offset = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.env["LISTEN"] = f"{self.address}:{self.port}"
        super().start()
        self.port = wait_until(lambda: self._listening(offset), 10, f"{self.name} listens")
        return self

    def _listening(self, offset):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(offset)
            for line in log:
                if '"message":"listening"' in line and line.endswith("\n"):
                    return json.loads(line)["port"]
        assert self.is_alive(), f"{self.name} ended: {self.tail()}"
        return None

    def logs(self):
        return [json.loads(line) for line in Path(self.log).read_text().splitlines()]

    def request(self, method, path, body=None, headers=None, timeout=20):
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=timeout)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def metrics(self):
        """{name or name{labels}: value} of /metrics."""
        text = self.request("GET", "/metrics").text
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def metric(self, name):
        return self.metrics()[name]

    def is_ready(self):
        try:
            return self.request("GET", "/readyz", timeout=2).status == 200
        except OSError:
            return False


class Reply:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.text = response.read().decode()

    def json(self):
        return json.loads(self.text)


class Saturation:
    """Outcome of a closed loop: completions counted after the warm-up only."""

    def __init__(self, statuses, latencies, seconds):
        self.statuses, self.latencies, self.seconds = statuses, sorted(latencies), seconds

    @property
    def ok(self):
        return sum(n for status, n in self.statuses.items() if status < 300)

    @property
    def rate(self):
        return self.ok / self.seconds

    def percentile(self, share):
        return self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)]


def closed_loop(address, port, requests, connections, seconds, warm_up=0.5, on_reply=None):
    """Keeps `connections` requests open for `seconds`; `requests()` gives the bytes of the next one.
    `on_reply(status, body)` sees each answer. A lost connection counts as status 599 and is opened
    again."""
    selector = selectors.DefaultSelector()
    statuses, latencies = {}, []
    start = time.monotonic()
    counted, end = start + warm_up, start + warm_up + seconds

    def send(sock):
        sock.sent_at, sock.data = time.monotonic(), b""
        sock.sendall(requests())

    def open_one():
        sock = _Socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(10)
        sock.connect((address, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ)
        send(sock)

    def count(status, data, sent_at, now):
        if on_reply and data:
            on_reply(status, data.partition(b"\r\n\r\n")[2])
        if counted <= now < end:
            statuses[status] = statuses.get(status, 0) + 1
            latencies.append(now - sent_at)

    lost = 0
    for _ in range(connections):
        open_one()
    while time.monotonic() < end:
        while lost:
            try:
                open_one()
            except OSError:
                time.sleep(0.01)
                break
            lost -= 1
        for key, _ in selector.select(0.1):
            sock, now = key.fileobj, time.monotonic()
            try:
                data = sock.recv(65536)
                sock.data += data
                if data and not _is_complete(sock.data):
                    continue
                count(int(sock.data[9:12]) if data else 599, sock.data, sock.sent_at, now)
                if not data:
                    raise ConnectionError
                send(sock)
            except OSError:
                selector.unregister(sock)
                sock.close()
                lost += 1
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    selector.close()
    return Saturation(statuses, latencies, seconds)


class _Socket(socket.socket):
    """A socket that carries the state of its exchange."""
    sent_at, data = 0.0, b""


def _is_complete(data):
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return True


class System:
    """All of it. Keyword arguments are settings (environment) of each service."""

    def __init__(self, gateway=None, order=None, worker=None, provider=None):
        self.id = secrets.token_hex(8)
        self.dir = Path(tempfile.mkdtemp(prefix="plimsoll-test-"))
        os.chmod(self.dir, 0o755)
        self.client_id, self.client_secret = "demo", secrets.token_hex(16)
        self.database_password = secrets.token_hex(16)
        self.base_env = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.base_env[MARK] = self.id
        jwt_secret = secrets.token_hex(32)
        self.postgres = self._postgres()
        self.nats = self._nats()
        self.provider = self._service("provider", {"LEDGER": str(self.dir / "ledger"), **(provider or {})})
        self.order = self._service("order-service", {
            "JWT_SECRET": jwt_secret, "PGPASSWORD": self.database_password,
            "DATABASE_URL": self.database_url, "NATS_URL": self.nats_url, **(order or {})})
        self.worker = self._service("notification-worker", {
            "NATS_URL": self.nats_url, "ACK_WAIT": "2s", **(worker or {})})
        self.gateway = self._service("api-gateway", {
            "JWT_SECRET": jwt_secret, "CLIENT_ID": self.client_id, "CLIENT_SECRET": self.client_secret,
            **(gateway or {})})
        self.services = [self.provider, self.order, self.worker, self.gateway]

    def _service(self, name, env):
        return Service(name, {**self.base_env, **env}, str(self.dir / f"{name}.log"), loopback_address())

    def _unprivileged(self):
        if os.getuid() != 0:
            return []
        user = pwd.getpwnam("nobody")
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]

    def _pod_dir(self, name):
        path = self.dir / name
        path.mkdir()
        if os.getuid() == 0:
            shutil.chown(path, "nobody", pwd.getpwnam("nobody").pw_gid)
        return path

    def _postgres(self):
        address = loopback_address()
        port = free_port(address)
        self.database_url = f"postgresql://orders@{address}:{port}/orders"
        env = {**self.base_env, "PLIMSOLL_POD_DIR": str(self._pod_dir("postgres")), "POD_IP": address,
               "PGPORT": str(port), "POSTGRES_USER": "orders", "POSTGRES_DB": "orders",
               "POSTGRES_PASSWORD": self.database_password}
        # The tree may stand where only root can go.
        script = shutil.copy(SOURCE / "services/postgres/run.sh", self._pod_dir("postgres-script"))
        return Process("postgres", [str(script)], env,
                       str(self.dir / "postgres.log"), self._unprivileged())

    def _nats(self):
        address = loopback_address()
        port = free_port(address)
        self.nats_url = f"nats://{address}:{port}"
        return Process("nats", ["nats-server", "-js", "-sd", str(self._pod_dir("nats")), "-a", address,
                                "-p", str(port)], dict(self.base_env), str(self.dir / "nats.log"),
                       self._unprivileged())

    # ---- life

    def start(self):
        self.postgres.start()
        self.nats.start()
        self.provider.start()
        self.order.env["PROVIDER_URL"] = self.worker.env["PROVIDER_URL"] = self.provider.url
        self.order.start()
        self.worker.start()
        self.gateway.env["ORDER_SERVICE_URL"] = self.order.url
        self.gateway.start()
        self.await_ready()
        return self

    def await_ready(self, timeout=30):
        for service in self.services:
            wait_until(service.is_ready, timeout, f"{service.name} is ready")

    def stop(self):
        """Stops all; asserts that each service stopped gracefully and that no process is left."""
        bad = []
        for service in reversed(self.services):
            code = service.end()
            if code not in (0, None):
                bad.append(f"{service.name}: exit code {code}: {service.tail()}")
        for process in (self.nats, self.postgres):
            process.end()
        left = self.processes()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not left, f"processes left behind: {left}"
        assert not bad, "\n".join(bad)

    def processes(self):
        """Pids of the living processes of this system, found by the mark in their environment."""
        mark = f"{MARK}={self.id}".encode()
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                try:
                    if mark in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                        found.append(int(entry))
                except OSError:
                    pass
        return found

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.end_hard()
            raise

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.end_hard()

    def end_hard(self):
        """Shows the logs of what still runs, kills it, removes all; harmless after stop()."""
        left = self.processes()
        for process in [*self.services, self.nats, self.postgres]:
            if left and os.path.exists(process.log):
                print(f"---- {process.name}\n{process.tail()}")
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        for process in [*self.services, self.nats, self.postgres]:
            if process.process is not None:
                process.process.wait()
                process.process = None
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- use

    def token(self):
        reply = self.gateway.request("POST", "/auth/token", {"client_id": self.client_id,
                                                             "client_secret": self.client_secret})
        assert reply.status == 200, reply.text
        return reply.json()["access_token"]

    def post_order(self, token, amount=100, currency="EUR", key=None, service=None):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return (service or self.order).request("POST", "/api/v1/orders",
                                               {"amount": amount, "currency": currency}, headers)

    def saturate(self, seconds, connections, service=None, on_reply=None):
        """Orders in a closed loop, to order-service unless told otherwise."""
        service = service or self.order
        request = (f"POST /api/v1/orders HTTP/1.1\r\nHost: order\r\nAuthorization: Bearer {self.token()}\r\n"
                   "Content-Type: application/json\r\nContent-Length: 32\r\n\r\n"
                   '{"amount": 100,"currency":"EUR"}').encode()
        return closed_loop(service.address, service.port, lambda: request, connections, seconds,
                           on_reply=on_reply)

    def email_rate(self, seconds):
        """E-mails per second, measured between two that were just accepted."""
        def next_one():
            before = self.emails()[0]
            return wait_until(lambda: (n := self.emails()[0]) > before and (n, time.monotonic()))
        first, start = next_one()
        time.sleep(seconds)
        last, end = next_one()
        return (last - first) / (end - start)

    def sql(self, query):
        """The rows of a query as lists of texts."""
        env = {**self.base_env, "PGPASSWORD": self.database_password}
        out = subprocess.run(["psql", "-XAtqF", "\t", "-d", self.database_url, "-c", query], env=env,
                             check=True, capture_output=True, text=True, timeout=30).stdout
        return [line.split("\t") for line in out.splitlines()]

    def orders(self):
        return int(self.sql("SELECT count(*) FROM orders")[0][0])

    def emails(self):
        """E-mails the provider accepted, each key once, and how many it was asked for again."""
        counts = self.provider.request("GET", "/emails/count").json()
        return counts["accepted"], counts["repeated"]

    def await_emails(self, count, timeout=60):
        wait_until(lambda: self.emails()[0] >= count, timeout, f"{count} e-mails, now {self.emails()}")
        return self.emails()


class Background(threading.Thread):
    """Runs a function beside the test; result() joins and gives what it returned or raised."""

    def __init__(self, function, *args, **kwargs):
        super().__init__(daemon=True)
        self._call, self._result, self._error = (function, args, kwargs), None, None
        self.start()

    def run(self):
        function, args, kwargs = self._call
        try:
            self._result = function(*args, **kwargs)
        except BaseException as error:  # handed to result()
            self._error = error

    def result(self, timeout=120):
        self.join(timeout)
        assert not self.is_alive(), "still running"
        if self._error:
            raise self._error
        return self._result
