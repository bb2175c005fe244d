# SPDX-License-Identifier: Apache-2.0
"""plimsoll run: life cycle, counts, outputs, exit codes, scripts that misbehave."""
import csv
import gzip
import http.server
import json
import os
import pty
import re
import select
import signal
import subprocess
import threading
import time

import pytest

NOOP = "export default function () {}\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """The order service as far as a load test sees it."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        token = self.path == "/auth/token"
        body = b'{"access_token":"t"}' if token else b'{"id":"7","amount":1,"status":"authorised"}'
        self.answer(200 if token else 201, body)

    def do_GET(self):
        self.answer(503 if self.path == "/busy" else 200, b"hello")

    def answer(self, status, body):
        with self.server.lock:
            self.server.seen[self.path] = self.server.seen.get(self.path, 0) + 1
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.seen = {}
        self.url = "http://127.0.0.1:%d" % self.server_port

    def handle_error(self, *_):
        pass


@pytest.fixture
def server():
    one = Server()
    thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield one
    one.shutdown()
    thread.join()
    one.server_close()


@pytest.fixture
def run(plimsoll, tmp_path):
    """run(script text or path, *flags) → (CompletedProcess, metrics of --summary-export)."""
    def go(script, *flags, timeout=60, **more):
        path = script
        if isinstance(script, str):
            path = tmp_path / "script.js"
            path.write_text(script)
        export = tmp_path / "export.json"
        export.unlink(missing_ok=True)
        done = plimsoll("run", "--quiet", "--no-record", f"--summary-export={export}", *flags, path,
                        timeout=timeout, **more)
        metrics = json.loads(export.read_text())["metrics"] if export.exists() else None
        return done, metrics
    return go


# -- the script that decides ------------------------------------------------------------------------

def order_flags(server):
    return ["-e", f"BASE_URL={server.url}", "-e", f"AUTH_URL={server.url}", "-e", "CLIENT_ID=a", "-e", "CLIENT_SECRET=b"]


def test_order_script(run, server, source):
    done, metrics = run(source / "examples/order-creation.js", "-s", "1s:5,1s:5,1s:0", *order_flags(server))
    assert done.returncode == 0, done.stderr
    orders = metrics["http_reqs"]["count"] - 1
    assert orders == server.seen["/api/v1/orders"] >= 10
    assert metrics["http_req_failed"]["passes"] == 0
    assert metrics["checks"]["fails"] == 0 and metrics["checks"]["passes"] >= 2 * orders
    assert "✓ 'rate<0.01' rate=0.00%" in done.stdout


def test_order_script_threshold_crossed(run, server, source, tmp_path):
    text = (source / "examples/order-creation.js").read_text()
    strict = re.sub(r"http_req_duration: \[.*?\]", "http_req_duration: ['p(99)<0.001']", text)
    assert strict != text
    done, _ = run(strict, "-s", "1s:2", *order_flags(server))
    assert done.returncode == 99
    assert "http_req_duration" in done.stderr


def test_order_script_server_dies(run, server, source):
    timer = threading.Timer(1, lambda: (server.shutdown(), server.socket.close()))
    timer.start()
    start = time.monotonic()
    done, metrics = run(source / "examples/order-creation.js", "-s", "3s:5", *order_flags(server))
    timer.join()
    assert time.monotonic() - start < 20
    assert done.returncode == 99
    assert metrics["http_req_failed"]["passes"] > 0


# -- invariants ---------------------------------------------------------------------------------------

SHAPES = {
    "shared-iterations": {"executor": "shared-iterations", "vus": 4, "iterations": 40},
    "per-vu-iterations": {"executor": "per-vu-iterations", "vus": 4, "iterations": 10},
    "constant-vus": {"executor": "constant-vus", "vus": 3, "duration": "1s"},
    "ramping-vus": {"executor": "ramping-vus", "startVUs": 1, "stages": [{"duration": "1s", "target": 4}]},
    "constant-arrival-rate": {"executor": "constant-arrival-rate", "rate": 40, "duration": "1s", "preAllocatedVUs": 2},
    "ramping-arrival-rate": {"executor": "ramping-arrival-rate", "startRate": 20, "preAllocatedVUs": 20,
                             "stages": [{"duration": "1s", "target": 60}]},
}
ARRIVALS = {"shared-iterations": 40, "per-vu-iterations": 40, "constant-arrival-rate": 41, "ramping-arrival-rate": 40}


@pytest.mark.parametrize("executor", SHAPES)
@pytest.mark.parametrize("cpus", [1, 2])
def test_every_arrival_and_request_is_counted(run, server, executor, cpus):
    script = """
        import http from 'k6/http';
        import { sleep } from 'k6';
        export const options = { scenarios: { s: %s } };
        export default function () {
          http.get(`${__ENV.URL}/${__ITER %% 3 ? 'fine' : 'busy'}`);
          sleep(0.1);
        }""" % json.dumps(SHAPES[executor])
    done, metrics = run(script, "-e", f"URL={server.url}", "--cpus", cpus, "--summary-trend-stats", "count,max")
    assert done.returncode == 0, done.stderr
    iterations = metrics["iterations"]["count"]
    dropped = metrics.get("dropped_iterations", {"count": 0})["count"]
    if executor in ARRIVALS:
        assert iterations + dropped == ARRIVALS[executor]
    requests = metrics["http_reqs"]["count"]
    assert requests == iterations == sum(server.seen.values())
    assert metrics["http_req_failed"]["passes"] == server.seen["/busy"]
    assert metrics["http_req_failed"]["fails"] == server.seen.get("/fine", 0)
    for name in ("http_req_duration", "http_req_waiting", "iteration_duration"):
        assert metrics[name]["count"] == requests


@pytest.mark.parametrize("executor", ["shared-iterations", "per-vu-iterations", "constant-arrival-rate", "ramping-arrival-rate"])
def test_two_segments_start_what_one_starts(run, executor):
    shape = {**SHAPES[executor]}
    if "preAllocatedVUs" in shape:
        shape["preAllocatedVUs"] = 30
    script = "export const options = { scenarios: { s: %s } };\n%s" % (json.dumps(shape), NOOP)
    whole = run(script)[1]["iterations"]["count"]
    halves = [run(script, "--execution-segment", part, "--execution-segment-sequence", "0,1/2,1")[1]["iterations"]["count"]
              for part in ("0:1/2", "1/2:1")]
    assert whole == sum(halves) == ARRIVALS[executor]
    assert min(halves) >= whole // 2 - 1


# -- scripts that misbehave ---------------------------------------------------------------------------

@pytest.mark.parametrize("body", ["for (;;) {}", "sleep(1000)", "await new Promise(() => {})",
                                  "const a = []; for (;;) a.push('x'.repeat(1000) + a.length)"])
def test_a_script_that_hangs_is_ended(run, body):
    start = time.monotonic()
    done, metrics = run("import { sleep } from 'k6';\nexport const options = { scenarios: { s: { executor: 'constant-vus', vus: 2,"
                        "duration: '1s', gracefulStop: '1s' } } };\nexport default async function () { %s }" % body,
                        "--vu-memory", "16MiB", timeout=60)
    assert time.monotonic() - start < 30
    assert done.returncode == 0, done.stderr
    assert metrics is not None and "TOTAL RESULTS" in done.stdout


def test_a_script_that_throws_goes_on(run):
    done, metrics = run("export const options = { iterations: 5 };\nexport default function () { throw new Error('no luck'); }")
    assert done.returncode == 0
    assert metrics["iterations"]["count"] == 5
    assert done.stderr.count("no luck") == 5


# -- bad input ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("script,flags,code,says", [
    ("export const options = { vus: 'many' };" + NOOP, [], 104, ["'vus'"]),
    ("export const options = { scenarios: { a: { executor: 'constant-vus', vuss: 3, duration: '1s' } } };" + NOOP, [], 104,
     ["scenario 'a'", "vuss", "did you mean 'vus'"]),
    (NOOP, ["--duration", "5 parsecs"], 104, ["--duration", "1m30s"]),
    (NOOP, ["--thresholds"], 255, ["--thresholds"]),
    (NOOP, ["--itterations=3"], 255, ["did you mean '--iterations'"]),
    (NOOP, ["--out", "xml=x"], 255, ["xml", "json=FILE"]),
    (NOOP, ["--config", "missing.json"], 104, ["missing.json"]),
    ("export default function () {", [], 107, ["script.js"]),
    ("throw new Error('cannot start');" + NOOP, [], 107, ["cannot start"]),
    ("const x = 1;", [], 255, ["export"]),
    ("export const options = { thresholds: { nothing: ['rate<1'] } };" + NOOP, [], 104, ["nothing"]),
    ("import x from 'k6/nonsense';" + NOOP, [], 107, ["k6/nonsense"]),
])
def test_bad_input(run, script, flags, code, says):
    done, _ = run(script, *flags)
    assert done.returncode == code, done.stderr
    for phrase in says:
        assert phrase in done.stderr
    assert done.stderr.count("level=error") == 1


def test_missing_script(plimsoll):
    done = plimsoll("run", "no-such.js")
    assert done.returncode == 255 and "no-such.js" in done.stderr


def test_config_file_and_its_mistakes(run, tmp_path):
    config = tmp_path / "options.json"
    config.write_text('{"iterations": 3, "tags": {"a": "b"}}')
    assert run(NOOP, "--config", config)[1]["iterations"]["count"] == 3
    assert run("export const options = { iterations: 4 };" + NOOP, "--config", config)[1]["iterations"]["count"] == 4
    config.write_text('{"iterations": 3,\n oops}')
    done, _ = run(NOOP, "--config", config)
    assert done.returncode == 104 and "options.json:2" in done.stderr


# -- signals ------------------------------------------------------------------------------------------

def test_ctrl_c_ends_with_teardown_and_summary(binary, tmp_path, spawn):
    (tmp_path / "s.js").write_text(
        "import { sleep } from 'k6';\nexport const options = { vus: 2, duration: '60s' };\nexport default function () { sleep(0.2); }\n"
        "export function teardown() { console.log('torn down'); }")
    process = spawn([binary, "run", "--no-record", "s.js"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 105
    assert "torn down" in err and "TOTAL RESULTS" in out


def test_second_ctrl_c_ends_at_once(binary, tmp_path, spawn):
    (tmp_path / "s.js").write_text(
        "import { sleep } from 'k6';\nexport const options = { duration: '60s' };\nexport default function () { sleep(0.2); }\n"
        "export function teardown() { sleep(50); }")
    process = spawn([binary, "run", "-q", "--no-record", "s.js"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode == 105


# -- outputs ------------------------------------------------------------------------------------------

def test_samples_to_json_and_csv(run, tmp_path):
    done, _ = run("import { Counter } from 'k6/metrics';\nconst c = new Counter('things');\nexport const options = { vus: 2, iterations: 10 };\n"
                  "export default function () { c.add(2, { kind: 'a \"b\", c' }); }", "--out", "json=a.json.gz", "--out", "csv=a.csv",
                  "--tag", "team=blue")
    assert done.returncode == 0, done.stderr
    with gzip.open(tmp_path / "a.json.gz", "rt") as stream:
        lines = [json.loads(line) for line in stream]
    points = [line for line in lines if line["type"] == "Point" and line["metric"] == "things"]
    assert len(points) == 10 and sum(p["data"]["value"] for p in points) == 20
    assert points[0]["data"]["tags"] == {"team": "blue", "kind": 'a "b", c', "scenario": "default", "group": ""}
    described = [line["metric"] for line in lines if line["type"] == "Metric"]
    assert len(described) == len(set(described)) and "things" in described
    for name in described:  # before the first point
        assert [line["type"] for line in lines if line["metric"] == name][0] == "Metric"
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric_name"] == "things"]
    assert len(rows) == 10 and rows[0]["scenario"] == "default" and "team=blue" in rows[0]["extra_tags"]


def test_rps_is_a_ceiling(run, server):
    start = time.monotonic()
    done, metrics = run("import http from 'k6/http';\nexport const options = { vus: 5, iterations: 40, rps: 20 };\n"
                        "export default function () { http.get(__ENV.URL); }", "-e", f"URL={server.url}/", "--cpus", "2")
    assert done.returncode == 0 and metrics["http_reqs"]["count"] == 40
    assert time.monotonic() - start >= 1.9


def test_padding_is_not_in_the_iteration(run):
    start = time.monotonic()
    _, metrics = run("export const options = { iterations: 3, minIterationDuration: '300ms' };\n" + NOOP)
    assert time.monotonic() - start >= 0.9
    assert metrics["iteration_duration"]["max"] < 200


def test_too_many_series_are_told(run):
    done, _ = run("import { Counter } from 'k6/metrics';\nconst c = new Counter('many');\nexport default function () {\n"
                  "  for (let i = 0; i < 100500; i++) c.add(1, { unique: String(i) });\n}")
    assert done.returncode == 0
    assert done.stderr.count("different sets of tags") == 1


def test_scenarios_one_after_the_other(run):
    done, metrics = run("""import exec from 'k6/execution';
        const one = { executor: 'per-vu-iterations', vus: 2, iterations: 2, maxDuration: '1s', gracefulStop: '0s' };
        export const options = { scenarios: { a: { ...one, tags: { kind: 'first' } }, b: { ...one, startTime: '1s', exec: 'second',
          env: { WHO: 'b' } } }, thresholds: { 'iterations{kind:first}': ['count==4'], 'iterations{scenario:b}': ['count==4'] } };
        export default function () {}
        export function second() { console.log(exec.scenario.name, __ENV.WHO, exec.vu.idInInstance); }""")
    assert done.returncode == 0, done.stderr
    assert metrics["iterations"]["count"] == 8
    assert sorted(re.findall(r'msg="b b (\d)"', done.stderr)) == ["1", "1", "2", "2"]  # the VUs of a are used again


def test_run_directory(plimsoll, tmp_path):
    (tmp_path / "shop.js").write_text("import { sleep } from 'k6';\nexport const options = { vus: 2, duration: '2s', thresholds: { iterations:"
                                      "['count<3'] } };\nexport default function () { sleep(0.1); }")
    done = plimsoll("run", "-q", "--seed", "5", "-e", "CLIENT_SECRET=hunter22", "shop.js")
    assert done.returncode == 99
    (folder,) = (tmp_path / "plimsoll-runs").iterdir()
    assert folder.name.endswith("-shop")
    result = json.loads((folder / "result.json").read_text())
    assert (result["schema"], result["command"], result["seed"], result["exit"]) == (1, "run", 5, 99)
    assert result["metrics"]["iterations"]["thresholds"] == {"count<3": True}
    assert "CLIENT_SECRET=***" in result["argv"]
    series = [json.loads(line) for line in (folder / "series.jsonl").read_text().splitlines()]
    assert series and series[-1]["iterations"] > 0
    kinds = [json.loads(line)["kind"] for line in (folder / "events.jsonl").read_text().splitlines()]
    assert kinds == ["started", "ended"]
    assert not any("hunter22" in path.read_text() for path in folder.iterdir())


def test_run_directory_that_cannot_be_written(plimsoll, tmp_path):
    (tmp_path / "plimsoll-runs").write_text("a file is in the way")
    (tmp_path / "s.js").write_text(NOOP)
    done = plimsoll("run", "-q", "s.js")
    assert done.returncode == 0 and "no run directory" in done.stderr


def test_console_output(run, tmp_path):
    done, _ = run("export default function () { console.log('for the file'); }", "--console-output", "console.log")
    assert "for the file" not in done.stderr
    assert "for the file" in (tmp_path / "console.log").read_text()


def test_full_disk(run):
    done, metrics = run("export const options = { iterations: 2000 };" + NOOP, "--out", "json=/dev/full")
    assert done.returncode == 0
    assert "/dev/full" in done.stderr and "No space left" in done.stderr
    assert metrics["iterations"]["count"] == 2000


def test_progress_on_a_terminal(binary, tmp_path):
    (tmp_path / "s.js").write_text("import { sleep, check } from 'k6';\nexport const options = { vus: 2, duration: '2s' };\n"
                                   "export default function () { check(1, { one: (x) => x === 1 }); sleep(0.1); }")
    master, slave = pty.openpty()
    process = subprocess.Popen([binary, "run", "--no-record", "s.js"], cwd=tmp_path, stdout=slave, stderr=slave, stdin=subprocess.DEVNULL)
    os.close(slave)
    text = b""
    while select.select([master], [], [], 20)[0]:
        try:
            text += os.read(master, 65536)
        except OSError:
            break
    os.close(master)
    assert process.wait(timeout=10) == 0
    shown = text.decode()
    assert re.search(r"\[=+>-*\]\s+\d+%\s+2/2 VUs\s+\d+ iterations \(\d+/s\)\s+checks 100.00%\s+0m0\d\.\ds left", shown)


def test_progress_events(plimsoll, tmp_path):
    (tmp_path / "s.js").write_text("import { sleep } from 'k6';\nexport const options = { vus: 2, duration: '2s' };\nexport default function () { sleep(0.1); }")
    done = plimsoll("run", "--progress=json", "--no-record", "s.js")
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert events and all(event["kind"] == "progress" for event in events)
    assert events[-1]["vusInitialized"] == 2 and 0 < events[-1]["progress"] <= 1


def test_plain_progress_and_header(plimsoll, tmp_path):
    (tmp_path / "s.js").write_text("export const options = { scenarios: { a: { executor: 'constant-arrival-rate', rate: 5, duration: '1s',"
                                   "preAllocatedVUs: 1, maxVUs: 3 } } };" + NOOP)
    done = plimsoll("run", "--no-record", "s.js")
    assert "* a: 5.00 iterations/s for 1s (maxVUs: 1-3, gracefulStop: 30s)" in done.stdout
    assert "6 complete and 0 interrupted iterations" in done.stdout
    assert "a ✓ [" in done.stdout


def test_help_names_every_option(plimsoll):
    text = plimsoll("run", "--help").stdout
    for flag in ("--vus", "--stage", "--summary-export", "--out", "--env", "--vus-max", "--no-thresholds", "--cpus", "--seed"):
        assert flag in text


def test_seed_repeats_random_numbers(run):
    script = "export const options = { iterations: 3 };\nexport default function () { console.log(Math.random()); }"
    first, again, other = (run(script, "--seed", seed)[0].stderr for seed in (7, 7, 8))
    numbers = [re.findall(r"msg=(0\.\d+)", text) for text in (first, again, other)]
    assert numbers[0] == numbers[1] != numbers[2] and len(numbers[0]) == 3
