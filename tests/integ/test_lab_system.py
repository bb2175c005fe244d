# SPDX-License-Identifier: Apache-2.0
"""The reference system from its manifests, as local pods."""
import json
import os
import pathlib
import re
import signal
import subprocess
import urllib.error
import urllib.request

import pytest

from test_lab import descendants, is_alive


class System:
    def __init__(self, process, out):
        self.process = process
        self.urls = {name: f"http://{address}" for name, address
                     in re.findall(r"^([a-z-]+):\d+ +(127\.[\d.]+:\d+)$", out, re.M)}
        self.secret = pathlib.Path(re.search(r"^secret \S+ CLIENT_SECRET +(\S+)$", out, re.M)[1])
        self.dir = self.secret.parents[2]

    def call(self, service, path, body=None, **headers):
        request = urllib.request.Request(self.urls[service] + path, headers=headers,
                                         data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def token(self):
        status, text = self.call("api-gateway", "/auth/token",
                                 {"client_id": "demo", "client_secret": self.secret.read_text()})
        assert status == 200, text
        return json.loads(text)["access_token"]

    def everyone(self):
        supervisor = int((self.dir / "owner").read_text().split()[0])
        return [supervisor, *descendants(supervisor)]


@pytest.fixture
def system(binary, spawn, source):
    process = spawn([binary, "lab", "up", "--name", f"s{os.urandom(3).hex()}", source / "examples" / "system"],
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = ""
    for line in process.stdout:
        out += line
        if line.startswith("secret order-platform POSTGRES_PASSWORD"):
            return System(process, out)
    pytest.fail(f"the system did not become ready:\n{out}")


def test_order_goes_all_the_way(system, wait_until):
    assert set(system.urls) == {"api-gateway", "nats", "notification-worker", "order-service", "postgres", "provider"}
    bearer = {"Authorization": f"Bearer {system.token()}", "Content-Type": "application/json"}
    for i in range(5):
        status, text = system.call("api-gateway", "/api/v1/orders", {"amount": 100 + i, "currency": "EUR"}, **bearer)
        assert status == 201, text
        order = json.loads(text)
        status, text = system.call("api-gateway", f"/api/v1/orders/{order['id']}", **bearer)
        assert status == 200 and json.loads(text)["amount"] == 100 + i
    assert system.call("api-gateway", "/api/v1/orders", {"amount": 1, "currency": "EUR"})[0] == 401
    everyone = system.everyone()
    owners = {pathlib.Path(f"/proc/{pid}").stat().st_uid for pid in everyone[1:]}
    assert os.getuid() != 0 or 0 not in owners  # nobody runs as root, PostgreSQL least of all
    wait_until(lambda: (system.dir / "pods" / "provider-0" / "ledger").exists())
    wait_until(lambda: (system.dir / "pods" / "provider-0" / "ledger").read_text().count("\n") >= 5,
               what="five e-mails")
    system.process.send_signal(signal.SIGINT)
    system.process.wait(timeout=60)
    assert system.process.returncode == 0
    assert not any(map(is_alive, everyone))
    assert not system.dir.exists()


def test_kill_leaves_no_server_behind(system, wait_until):
    everyone = system.everyone()
    names = {pathlib.Path(f"/proc/{pid}/comm").read_text().strip() for pid in everyone}
    assert {"postgres", "nats-server", "order-service", "api-gateway", "provider"} <= names
    system.process.kill()
    wait_until(lambda: not any(map(is_alive, everyone)), what="the end of all processes")
    wait_until(lambda: not system.dir.exists())
