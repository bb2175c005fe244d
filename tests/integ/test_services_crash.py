# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load, one service at a time: no committed order and no notification is lost."""
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from testenv import Background, System, wait_until


def run_load(system, target, crash):
    """Orders in a closed loop while `crash` runs; the ids that were answered 201."""
    ids = []

    def keep(status, body):
        if status == 201:
            ids.append(json.loads(body)["id"])

    load = Background(system.saturate, 3, 10, target, keep)
    wait_until(lambda: len(ids) >= 100, what="load")
    crash()
    after = len(ids)
    result = load.result()
    assert len(ids) > after + 20, f"no orders after the crash: {result.statuses}"
    return ids, result


def assert_nothing_lost(system, ids):
    """Each answered order is stored, and each stored order became one e-mail."""
    # What the load left unanswered at its end may still be committed. The one is this request.
    wait_until(lambda: system.order.metric("http_requests_in_flight") == 1, what="the last orders")
    stored = {row[0] for row in system.sql("SELECT id FROM orders")}
    assert len(set(ids)) == len(ids)
    assert set(ids) <= stored, f"{len(set(ids) - stored)} committed orders lost"
    accepted, _ = system.await_emails(len(stored))
    assert accepted == len(stored), "an e-mail for an order that is not stored"
    for order in stored:
        assert system.provider.request("GET", f"/emails/{order}").status == 200
    wait_until(lambda: system.worker.metric("nats_consumer_ack_pending") == 0, what="all acknowledged")
    assert system.sql("SELECT count(*) FROM outbox WHERE published_at IS NULL") == [["0"]]


@pytest.fixture
def system():
    with System(worker={"WORKER_CONCURRENCY": "24"}, order={"DB_POOL_SIZE": "6"}) as running:
        yield running


def kill_and_restart(process):
    assert process.kill() == -signal.SIGKILL
    time.sleep(0.2)
    process.start()


@pytest.mark.parametrize("name", ["order", "worker", "provider", "nats", "postgres"])
def test_kill_under_load(system, name):
    ids, result = run_load(system, system.order, lambda: kill_and_restart(getattr(system, name)))
    system.await_ready()
    assert_nothing_lost(system, ids)
    if name == "worker":
        # The API does not notice: what the worker does is not in its path.
        assert set(result.statuses) == {201}


def test_kill_postmaster_under_load(system):
    """The database itself crashes and recovers."""
    def crash():
        for pid in system.postgres.descendants():
            if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"/postgres"):
                os.kill(pid, signal.SIGKILL)
        assert system.postgres.end(0) != 0
        system.postgres.start()

    ids, _ = run_load(system, system.order, crash)
    system.await_ready()
    assert_nothing_lost(system, ids)


def test_kill_gateway_under_load(system):
    ids, _ = run_load(system, system.gateway, lambda: kill_and_restart(system.gateway))
    assert_nothing_lost(system, ids)


def test_terminate_order_service_under_load(system):
    """A rolling restart by SIGTERM: every request that was taken is answered."""
    def restart():
        assert system.order.end() == 0
        system.order.start()

    ids, result = run_load(system, system.order, restart)
    assert set(result.statuses) <= {201, 503, 599}
    assert_nothing_lost(system, ids)


def test_nats_that_lost_what_it_acknowledged(system):
    """A crashed nats-server may not have written its last messages; here it has lost them all."""
    token = system.token()
    assert system.worker.end() == 0
    assert [system.post_order(token).status for _ in range(20)] == [201] * 20
    wait_until(lambda: system.order.metric("outbox_published_total") == 20, what="published")
    system.nats.kill()
    shutil.rmtree(system.dir / "nats" / "jetstream")
    system.nats.start()
    system.worker.start()
    assert system.await_emails(20) == (20, 0)
