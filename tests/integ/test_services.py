# SPDX-License-Identifier: Apache-2.0
"""The reference system, request by request: every status code and every behaviour it promises."""
import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import uuid

import pytest

from testenv import BUILD, SOURCE, Background, System, closed_loop, wait_until

NAMES = ["api-gateway", "order-service", "notification-worker", "provider"]


@pytest.fixture(scope="module")
def system():
    with System(order={"DB_POOL_TIMEOUT": "1s", "REQUEST_TIMEOUT": "3s"}) as running:
        yield running


@pytest.fixture(scope="module")
def token(system):
    return system.token()


@pytest.fixture
def provider_settings(system):
    """Changes the provider's settings for one test."""
    before = system.provider.request("GET", "/settings").json()

    def change(**settings):
        reply = system.provider.request("PUT", "/settings", settings)
        assert reply.status == 200, reply.text

    yield change
    change(**{**before, "outage": "0"})


def bearer(token, **more):
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **more}


def assert_error(reply, status, code, field=None):
    assert reply.status == status, reply.text
    error = reply.json()
    assert error["error"] == code
    assert error.get("field") == field
    assert error["message"]
    if field:
        assert field in error["message"], error


# ---- tokens

def test_token(system):
    reply = system.gateway.request("POST", "/auth/token", {"client_id": system.client_id,
                                                           "client_secret": system.client_secret})
    assert reply.status == 200
    body = reply.json()
    assert set(body) == {"access_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "=="))
                      for part in body["access_token"].split(".")[:2])
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert claims["sub"] == system.client_id
    assert claims["exp"] - claims["iat"] == 3600
    assert abs(claims["iat"] - time.time()) < 5
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("change", [{"client_secret": "wrong"}, {"client_id": "somebody"}])
def test_token_wrong_credentials(system, change):
    body = {"client_id": system.client_id, "client_secret": system.client_secret, **change}
    reply = system.gateway.request("POST", "/auth/token", body)
    assert_error(reply, 401, "invalid_client")
    assert reply.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("body, code, field", [
    ({"client_secret": "x"}, "invalid_field", "client_id"),
    ({"client_id": "demo"}, "invalid_field", "client_secret"),
    ({"client_id": 7, "client_secret": "x"}, "invalid_field", "client_id"),
    ({"client_id": "demo", "client_secret": "x" * 257}, "invalid_field", "client_secret"),
    ("{", "invalid_body", None),
    ("[]", "invalid_body", None),
    ("", "invalid_body", None),
    ('{"client_id":"a","client_id":"b"}', "invalid_body", None),
    ("[" * 5000 + "]" * 5000, "invalid_body", None),
])
def test_token_bad_body(system, body, code, field):
    assert_error(system.gateway.request("POST", "/auth/token", body), 400, code, field)


# ---- orders

def test_create_and_read(system, token):
    reply = system.post_order(token, 1999, "JPY")
    assert reply.status == 201
    order = reply.json()
    assert set(order) == {"id", "amount", "currency", "status", "created_at"}
    assert str(uuid.UUID(order["id"])) == order["id"]
    assert (order["amount"], order["currency"], order["status"]) == (1999, "JPY", "authorised")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", order["created_at"])
    assert reply.headers["Location"] == f"/api/v1/orders/{order['id']}"
    for service in (system.order, system.gateway):
        read = service.request("GET", f"/api/v1/orders/{order['id']}", headers=bearer(token))
        assert read.status == 200
        assert read.json() == order
    upper = system.order.request("GET", f"/api/v1/orders/{order['id'].upper()}", headers=bearer(token))
    assert upper.json() == order


def test_create_through_gateway(system, token):
    reply = system.post_order(token, 5, "EUR", service=system.gateway, key=f"g-{uuid.uuid4()}")
    assert reply.status == 201
    assert reply.headers["Location"].endswith(reply.json()["id"])
    assert_error(system.post_order(token, 0, "EUR", service=system.gateway), 400, "invalid_field", "amount")


@pytest.mark.parametrize("body, field", [
    ({"currency": "EUR"}, "amount"),
    ({"amount": 0, "currency": "EUR"}, "amount"),
    ({"amount": -5, "currency": "EUR"}, "amount"),
    ({"amount": 1.5, "currency": "EUR"}, "amount"),
    ({"amount": "5", "currency": "EUR"}, "amount"),
    ({"amount": True, "currency": "EUR"}, "amount"),
    ({"amount": None, "currency": "EUR"}, "amount"),
    ({"amount": 2 ** 53, "currency": "EUR"}, "amount"),
    ({"amount": 5}, "currency"),
    ({"amount": 5, "currency": "eur"}, "currency"),
    ({"amount": 5, "currency": "ABC"}, "currency"),
    ({"amount": 5, "currency": "EURO"}, "currency"),
    ({"amount": 5, "currency": 978}, "currency"),
])
def test_create_bad_field(system, token, body, field):
    reply = system.order.request("POST", "/api/v1/orders", body, bearer(token))
    assert_error(reply, 400, "invalid_field", field)


@pytest.mark.parametrize("body", ["", "nonsense", "5", '"x"', '{"amount":5,"currency":"EUR"', b"\xff\xfe{}",
                                  '{"amount":99999999999999999999,"currency":"EUR"}'])
def test_create_bad_body(system, token, body):
    assert_error(system.order.request("POST", "/api/v1/orders", body, bearer(token)), 400, "invalid_body")


def forged(token):
    header, claims, signature = token.split(".")
    return f"{header}.{claims}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def unsigned(token):
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


@pytest.mark.parametrize("make", [lambda t: None, lambda t: "Basic abc", lambda t: "Bearer", lambda t: "Bearer x",
                                  lambda t: "Bearer " + forged(t), lambda t: "Bearer " + unsigned(t),
                                  lambda t: "Bearer " + "a" * 5000, lambda t: "Bearer a.b.c"])
@pytest.mark.parametrize("service", ["order", "gateway"])
def test_unauthorised(system, token, make, service):
    header = make(token)
    headers = {"Authorization": header} if header else {}
    target = getattr(system, service)
    for method, path in (("POST", "/api/v1/orders"), ("GET", f"/api/v1/orders/{uuid.uuid4()}")):
        reply = target.request(method, path, "{}", headers)
        assert reply.status == 401, reply.text
        assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_not_found(system, token):
    for path in (f"/api/v1/orders/{uuid.uuid4()}", "/api/v1/orders/nonsense", "/api/v1/orders/"):
        assert_error(system.order.request("GET", path, headers=bearer(token)), 404, "not_found")
    assert_error(system.order.request("GET", "/nothing", headers=bearer(token)), 404, "not_found")
    assert_error(system.gateway.request("GET", "/api/v1/nothing", headers=bearer(token)), 404, "not_found")


def test_order_of_another_client_is_not_found(system, token):
    order = system.post_order(token).json()
    system.sql(f"UPDATE orders SET client_id = 'somebody' WHERE id = '{order['id']}'")
    reply = system.order.request("GET", f"/api/v1/orders/{order['id']}", headers=bearer(token))
    assert_error(reply, 404, "not_found")


def test_method_not_allowed(system, token):
    reply = system.order.request("DELETE", "/api/v1/orders", headers=bearer(token))
    assert_error(reply, 405, "method_not_allowed")
    assert reply.headers["Allow"] == "POST"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("name", ["order", "gateway", "provider"])
def test_body_too_large(system, token, name, chunked):
    service = getattr(system, name)
    path = "/emails" if name == "provider" else "/api/v1/orders"
    body = b"x" * 20000
    if chunked:
        body = iter([body[:10000], body[10000:]])
    assert_error(service.request("POST", path, body, bearer(token)), 413, "body_too_large")
    assert service.request("GET", "/healthz").status == 200


def test_headers_and_target_too_large(system, token):
    assert system.order.request("GET", "/healthz", headers={"X-Big": "x" * 60000}).status in (413, 431)
    assert system.order.request("GET", "/" + "x" * 5000).status == 414


# ---- idempotency

def test_idempotency_key(system, token):
    before, key = system.orders(), f"k-{uuid.uuid4()}"
    first = system.post_order(token, 700, "EUR", key)
    again = system.post_order(token, 700, "EUR", key)
    assert (first.status, again.status) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.headers["Idempotent-Replayed"] is None
    other = system.post_order(token, 701, "EUR", key)
    assert (other.status, other.json()["error"]) == (422, "key_reused")
    assert system.orders() == before + 1


def test_idempotency_key_at_the_same_time(system, token):
    before, key = system.orders(), f"k-{uuid.uuid4()}"
    replies = [call.result() for call in
               [Background(system.post_order, token, 800, "EUR", key) for _ in range(5)]]
    assert {reply.status for reply in replies} == {201}
    assert len({reply.text for reply in replies}) == 1
    assert system.orders() == before + 1


@pytest.mark.parametrize("key", ["", "with space", "x" * 201])
def test_idempotency_key_invalid(system, token, key):
    assert_error(system.post_order(token, key=key), 400, "invalid_field", "Idempotency-Key")


def test_failed_payment_leaves_no_order_and_the_key_usable(system, token, provider_settings):
    before, key = system.orders(), f"k-{uuid.uuid4()}"
    provider_settings(payment_error_rate=1)
    assert_error(system.post_order(token, key=key), 502, "payment_failed")
    assert system.orders() == before
    provider_settings(payment_error_rate=0)
    assert system.post_order(token, key=key).status == 201
    assert system.orders() == before + 1


def test_provider_outage_and_timeout(system, token, provider_settings):
    provider_settings(outage="5s")
    assert_error(system.post_order(token), 502, "payment_failed")
    provider_settings(outage="0", payment_latency="10s")
    start = time.monotonic()
    assert_error(system.post_order(token), 504, "payment_timeout")
    assert time.monotonic() - start < 3


# ---- pool

def test_pool_full_and_pool_timeout():
    settings = {"DB_POOL_SIZE": "1", "DB_POOL_QUEUE": "2", "DB_POOL_TIMEOUT": "300ms"}
    with System(order=settings, provider={"PAYMENT_LATENCY": "1s"}) as system:
        token = system.token()
        calls = [Background(system.post_order, token) for _ in range(6)]
        replies = [call.result() for call in calls]
        assert sorted(reply.status for reply in replies) == [201] + [503] * 5
        failed = [reply for reply in replies if reply.status == 503]
        codes = sorted(reply.json()["error"] for reply in failed)
        assert codes == ["pool_full"] * 3 + ["pool_timeout"] * 2
        assert all(reply.headers["Retry-After"] == "1" for reply in failed)
        metrics = system.order.metrics()
        assert metrics["db_pool_timeouts_total"] == 2
        assert metrics["db_pool_rejected_total"] == 3
        assert metrics["db_pool_wait_seconds_count"] == 3


def test_pool_metrics_show_the_load(system, token, provider_settings):
    provider_settings(payment_latency="500ms")
    calls = [Background(system.post_order, token) for _ in range(14)]
    wait_until(lambda: system.order.metric("db_pool_in_use") == 10, what="pool in use")
    metrics = system.order.metrics()
    assert metrics["db_pool_size"] == 10
    assert metrics["db_pool_pending"] == 4
    assert metrics["http_requests_in_flight"] >= 15
    assert [call.result().status for call in calls] == [201] * 14
    metrics = system.order.metrics()
    assert (metrics["db_pool_in_use"], metrics["db_pool_pending"]) == (0, 0)


def test_payment_is_authorised_inside_the_transaction(system, token, provider_settings):
    provider_settings(payment_latency="1s")
    call = Background(system.post_order, token)
    query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
    wait_until(lambda: system.sql(query) == [["1"]], what="an open transaction")
    assert call.result().status == 201
    assert system.sql(query) == [["0"]]


# ---- rate limit

@pytest.mark.parametrize("name, path", [("order", "/api/v1/orders"), ("gateway", "/auth/token")])
def test_rate_limit(name, path):
    limit = {"RATE_LIMIT": "40", "RATE_BURST": "4"}
    with System(**{name: limit}) as system:
        service = getattr(system, name)
        result = closed_loop(service.address, service.port, lambda: (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}").encode(), 2, 2)
        passed = sum(n for status, n in result.statuses.items() if status in (400, 401))
        assert result.statuses[429] > passed
        assert passed == pytest.approx(80, abs=4)
        reply = wait_until(lambda: (r := service.request("POST", path, "{}")).status == 429 and r, what="429")
        assert_error(reply, 429, "rate_limited")
        assert int(reply.headers["Retry-After"]) >= 1
        assert service.request("GET", "/healthz").status == 200


# ---- database gone

def test_database_gone_and_back():
    with System(order={"REQUEST_TIMEOUT": "2s"}) as system:
        token = system.token()
        assert system.post_order(token).status == 201
        system.postgres.end()
        start = time.monotonic()
        reply = system.post_order(token)
        assert_error(reply, 503, "database_unavailable")
        assert reply.headers["Retry-After"] == "1"
        assert time.monotonic() - start < 2.5
        wait_until(lambda: not system.order.is_ready(), what="not ready")
        assert system.order.request("GET", "/healthz").status == 200
        system.postgres.start()
        wait_until(system.order.is_ready, what="ready again")
        # Every connection of the pool had died; none of the deaths may show.
        assert [system.post_order(token).status for _ in range(12)] == [201] * 12


def test_database_that_hangs_is_answered_in_time():
    with System(order={"REQUEST_TIMEOUT": "1s"}) as system:
        token = system.token()
        assert system.post_order(token).status == 201
        stopped = [pid for pid in system.processes()
                   if "postgres" in open(f"/proc/{pid}/comm", encoding="utf-8").read()]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            start = time.monotonic()
            assert_error(system.post_order(token), 503, "database_unavailable")
            assert time.monotonic() - start < 2.5
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        wait_until(lambda: system.post_order(token).status == 201, what="orders again")


# ---- events

def test_each_order_becomes_one_email(system, token):
    order = system.post_order(token).json()
    wait_until(lambda: system.provider.request("GET", f"/emails/{order['id']}").status == 200, what="e-mail")
    wait_until(lambda: system.order.metric("outbox_depth") == 0, what="outbox empty")
    assert system.sql("SELECT count(*) FROM outbox WHERE published_at IS NULL") == [["0"]]
    assert system.await_emails(system.orders()) == (system.orders(), 0)


def test_nats_away_and_back():
    with System() as system:
        token = system.token()
        assert system.post_order(token).status == 201
        system.await_emails(1)
        system.nats.end()
        assert [system.post_order(token).status for _ in range(20)] == [201] * 20
        wait_until(lambda: system.order.metric("outbox_depth") == 20, what="outbox holds them")
        assert system.order.is_ready()
        wait_until(lambda: not system.worker.is_ready(), what="worker not ready")
        system.nats.start()
        assert system.await_emails(21) == (21, 0)
        wait_until(lambda: system.order.metric("outbox_depth") == 0, what="outbox empty")


def test_events_that_jetstream_refuses_stay_in_the_outbox():
    with System() as system:
        token = system.token()
        assert system.post_order(token).status == 201
        system.await_emails(1)
        host, port = system.nats_url.removeprefix("nats://").split(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(b"PUB $JS.API.STREAM.DELETE.ORDERS 0\r\n\r\nPING\r\n")
            wait_until(lambda: b"PONG" in sock.recv(4096), what="PONG")
        # The stream is gone, the server is not: nothing is acknowledged until it is made again.
        assert [system.post_order(token).status for _ in range(10)] == [201] * 10
        assert system.await_emails(11) == (11, 0)
        system.await_ready()


def test_everything_may_start_in_any_order():
    system = System()
    try:
        system.provider.port = system.order.port = 8080
        for service in (system.order, system.worker):
            service.env["PROVIDER_URL"] = system.provider.url
        system.gateway.env["ORDER_SERVICE_URL"] = system.order.url
        for service in (system.gateway, system.worker, system.order, system.provider):
            service.start()
        token = system.token()
        assert system.post_order(token).status == 503
        assert not system.order.is_ready() and not system.worker.is_ready()
        system.nats.start()
        system.postgres.start()
        system.await_ready()
        assert system.post_order(token).status == 201
        assert system.await_emails(1) == (1, 0)
        system.stop()
    finally:
        system.end_hard()


def test_failing_emails_are_tried_again(system, token, provider_settings):
    provider_settings(email_error_rate=1)
    failed = system.worker.metric("notifications_failed_total")
    order = system.post_order(token).json()
    wait_until(lambda: system.worker.metric("notifications_failed_total") >= failed + 2, what="two failures")
    assert system.provider.request("GET", f"/emails/{order['id']}").status == 404
    provider_settings(email_error_rate=0)
    wait_until(lambda: system.provider.request("GET", f"/emails/{order['id']}").status == 200, what="e-mail")


def test_consumer_lag_is_shown(system, token, provider_settings):
    provider_settings(email_latency="400ms")
    for _ in range(24):
        assert system.post_order(token).status == 201
    wait_until(lambda: system.worker.metric("nats_consumer_pending") >= 4, what="pending")
    metrics = system.worker.metrics()
    assert metrics["worker_busy"] == metrics["worker_concurrency"] == 4
    assert metrics["nats_consumer_offered_total"] == \
        metrics["nats_consumer_delivered_total"] + metrics["nats_consumer_pending"]
    assert 0 <= metrics["nats_consumer_delivered_total"] - metrics["nats_consumer_acked_total"] <= 4
    provider_settings(email_latency="0")
    wait_until(lambda: system.worker.metric("nats_consumer_pending") == 0 and
               system.worker.metric("nats_consumer_ack_pending") == 0, what="caught up")
    metrics = system.worker.metrics()
    assert metrics["nats_consumer_offered_total"] == metrics["nats_consumer_acked_total"] > 0


def test_events_that_are_no_orders_are_dropped(system):
    dropped = system.worker.metric("notifications_dropped_total")
    host, port = system.nats_url.removeprefix("nats://").split(":")
    with socket.create_connection((host, int(port))) as sock:
        for payload in (b"nonsense", b'{"id":"x"}', b""):
            sock.sendall(b'PUB orders.created %d\r\n%b\r\n' % (len(payload), payload))
        sock.sendall(b"PING\r\n")
        wait_until(lambda: b"PONG" in sock.recv(4096), what="PONG")
    wait_until(lambda: system.worker.metric("notifications_dropped_total") == dropped + 3, what="dropped")
    assert system.worker.is_ready()


def test_schema_is_migrated_once_by_many_replicas():
    with System() as system:
        system.order.end()
        system.sql("DROP TABLE schema_migrations, orders, outbox")
        replicas = []
        try:
            for i in range(4):
                replica = system._service("order-service", dict(system.order.env))
                replica.log = str(system.dir / f"replica-{i}.log")
                replicas.append(replica)
            # Whoever holds the lock may change the schema; nobody else does meanwhile.
            lock = re.search(r'SCHEMA_LOCK "(\d+)"', (SOURCE / "services/order-service/schema.h").read_text())
            holder = Background(system.sql, f"SELECT pg_advisory_lock({lock[1]}), pg_sleep(2)")
            wait_until(lambda: system.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"), what="lock")
            for start in [Background(replica.start) for replica in replicas]:
                start.result()
            time.sleep(0.7)
            assert not holder.is_alive() or not any(replica.is_ready() for replica in replicas)
            holder.result()
            for replica in replicas:
                wait_until(replica.is_ready, what="replica ready")
            assert system.sql("SELECT version FROM schema_migrations") == [["1"]]
            migrated = [line for replica in replicas for line in replica.logs()
                        if line["message"] == "schema migrated"]
            assert len(migrated) == 1
            token = system.token()
            for replica in replicas:
                assert system.post_order(token, service=replica).status == 201
            assert system.await_emails(4) == (4, 0)
        finally:
            for replica in replicas:
                assert replica.end() == 0
        system.order.start()


# ---- every service

@pytest.mark.parametrize("name", ["gateway", "order", "worker", "provider"])
def test_probes_metrics_and_logs(system, name):
    service = getattr(system, name)
    assert service.request("GET", "/healthz").status == 200
    assert service.request("GET", "/readyz").status == 200
    assert service.request("HEAD", "/healthz").status == 200
    reply = service.request("GET", "/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    check_prometheus(reply.text)
    metrics = service.metrics()
    assert metrics['http_requests_total{method="GET",route="/healthz",status="200"}'] >= 1
    assert metrics['http_request_duration_seconds_count{method="GET",route="/healthz"}'] >= 1
    assert metrics["process_cpu_seconds_total"] > 0
    for line in service.logs():
        assert {"time", "level", "service", "message"} <= set(line)


def check_prometheus(text):
    """Each sample belongs to a family with HELP and TYPE; histograms are cumulative and end in +Inf."""
    types, seen = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in types, f"{name} twice"
            types[name] = kind
        elif not line.startswith("#"):
            match = re.fullmatch(r'([a-z_]+)(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [-+0-9.e]+', line)
            assert match, line
            assert line.rsplit(" ", 1)[0] not in seen, line
            seen.add(line.rsplit(" ", 1)[0])
            base = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert match[1] in types or types.get(base) == "histogram", line
    buckets = re.findall(r'_bucket\{(.*?),?le="(.*?)"\} (\d+)', text)
    last = (None, 0)
    for labels, le, count in buckets:
        if labels == last[0] and le != "0.0005":
            assert int(count) >= last[1]
        last = (labels, int(count))


@pytest.mark.parametrize("name", NAMES)
def test_bad_setting_is_one_message_and_exit_2(name):
    cases = [({"LISTEN": "nonsense"}, 2, "LISTEN"), ({"LISTEN": "192.0.2.1:1"}, 1, "192.0.2.1:1"),
             ({"PROVIDER_URL": "ftp://x", "ORDER_SERVICE_URL": "ftp://x", "LEDGER": "/nowhere/x"},
              1 if name == "provider" else 2, "LEDGER" if name == "provider" else "_URL"),
             ({"THREADS": "many"}, 2, "THREADS"),
             ({"BODY_MAX": "1"}, 2, "BODY_MAX"), ({"LOG_LEVEL": "loud"}, 2, "LOG_LEVEL"),
             ({"SHUTDOWN_TIMEOUT": "20"}, 2, "SHUTDOWN_TIMEOUT")]
    base = {"PATH": os.environ["PATH"], "JWT_SECRET": "x" * 32, "CLIENT_SECRET": "y"}
    for env, code, word in cases:
        done = subprocess.run([BUILD / "services" / name], env={**base, **env}, capture_output=True,
                              text=True, timeout=20, check=False)
        assert done.returncode == code, done
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        errors = [line for line in lines if line["level"] == "error"]
        assert len(errors) == 1 and word in errors[0]["message"]
    done = subprocess.run([BUILD / "services" / name, "--help"], capture_output=True, text=True, timeout=20,
                          check=False)
    assert done.returncode == 0 and "LISTEN" in done.stdout
    assert subprocess.run([BUILD / "services" / name, "--hepl"], capture_output=True, timeout=20,
                          check=False).returncode == 2


@pytest.mark.parametrize("name, missing", [("api-gateway", "CLIENT_SECRET"), ("order-service", "JWT_SECRET")])
def test_secrets_have_no_default(name, missing):
    env = {"PATH": os.environ["PATH"], "JWT_SECRET": "x" * 32, "CLIENT_SECRET": "y"}
    del env[missing]
    done = subprocess.run([BUILD / "services" / name], env=env, capture_output=True, text=True, timeout=20,
                          check=False)
    assert done.returncode == 2
    assert missing in done.stderr


def test_settings_stand_in_the_readme():
    readme = (SOURCE / "services/README.md").read_text()
    for name in NAMES:
        out = subprocess.run([BUILD / "services" / name, "--help"], capture_output=True, text=True,
                             timeout=20, check=True).stdout
        for setting, default in re.findall(r"^  ([A-Z_]+) +(\S+)", out, re.MULTILINE):
            value = "required" if default == "(required)" else f"`{default}`"
            assert re.search(rf"^\| `{setting}` \| {re.escape(value)} \| (all|[^|]*{name})[^|]* \|", readme,
                             re.MULTILINE), f"services/README.md: {name}: {setting}, default {value}"


def test_shutdown_answers_what_came_in():
    with System(provider={"PAYMENT_LATENCY": "700ms"}) as system:
        token = system.token()
        kept = http.client.HTTPConnection(system.order.address, system.order.port)
        kept.request("GET", "/healthz")
        kept.getresponse().read()
        calls = [Background(system.post_order, token) for _ in range(5)]
        wait_until(lambda: system.order.metric("db_pool_in_use") == 5, what="orders under way")
        process = system.order.process
        process.send_signal(signal.SIGTERM)
        assert [call.result().status for call in calls] == [201] * 5
        assert process.wait(10) == 0
        system.order.process = None
        with pytest.raises(OSError):
            system.order.request("GET", "/healthz", timeout=2)
        kept.close()
        assert system.orders() == 5
        system.order.start()


def test_slow_bodies_are_cut_off():
    with System(order={"RECEIVE_TIMEOUT": "300ms", "IDLE_TIMEOUT": "1s"}) as system:
        with socket.create_connection((system.order.address, system.order.port)) as sock:
            sock.settimeout(10)
            sock.sendall(b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n")
            start = time.monotonic()
            with pytest.raises((ConnectionError, BrokenPipeError)):
                while time.monotonic() - start < 8:
                    sock.sendall(b"x")
                    time.sleep(0.05)
            assert time.monotonic() - start < 4
        assert drip(system.order, b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 500) < 4
        assert drip(system.order, b"GET /" + b"z" * 500) < 4
        with socket.create_connection((system.order.address, system.order.port)) as sock:
            sock.settimeout(10)
            sock.sendall(b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            assert sock.recv(1000)[:12] in (b"", b"HTTP/1.1 408"), "an unfinished body stays open"
        # Who waits for an answer is not cut off.
        system.provider.request("PUT", "/settings", {"payment_latency": "1500ms"})
        assert system.post_order(system.token()).status == 201


def drip(service, data):
    """Sends one byte each 50 ms; how long the service stood it, in seconds."""
    start = time.monotonic()
    with socket.create_connection((service.address, service.port)) as sock:
        try:
            for i in range(len(data)):
                sock.sendall(data[i:i + 1])
                time.sleep(0.05)
        except OSError:
            pass
    return time.monotonic() - start


def test_provider_latency_is_what_is_set(system, provider_settings):
    for latency in (5, 20, 60):
        provider_settings(payment_latency=f"{latency}ms")
        result = closed_loop(system.provider.address, system.provider.port, lambda: (
            b"POST /payments/authorise HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 2\r\n\r\n{}"),
            2, 0.6, 0.1)
        median = result.percentile(0.5) * 1000
        # The upper bound is for a busy machine; the lower one is exact.
        assert latency <= median < latency + 2, f"{latency} ms: {median:.2f} ms"


def test_provider_errors_are_reproducible_and_counted(system, provider_settings):
    provider_settings(payment_latency="0", payment_error_rate=0.25)
    result = closed_loop(system.provider.address, system.provider.port, lambda: (
        b"POST /payments/authorise HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 2\r\n\r\n{}"),
        2, 0.5, 0)
    total = sum(result.statuses.values())
    # 5 standard deviations of a binomial share.
    assert result.statuses[500] / total == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / total) ** 0.5)
    for bad in ({"payment_error_rate": 2}, {"email_latency": "soon"}, {"colour": 1}):
        reply = system.provider.request("PUT", "/settings", bad)
        assert (reply.status, reply.json()["field"]) == (400, next(iter(bad)))
