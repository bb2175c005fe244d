# SPDX-License-Identifier: Apache-2.0
"""plimsoll limit against servers of known capacity (tests/tools/known_server.c).

The truth is what wrk gets at saturation, or the limiter's setting. Each test needs the machine for
itself; the file's tests run one after the other, and one that a busy machine spoilt is tried again.
"""
import json
import re
import shutil
import signal
import subprocess
import time

import pytest

BUDGET = "40s"


@pytest.fixture
def known_server(spawn, build):
    """known_server(*options) starts one and returns its URL."""
    def start(*options):
        process = spawn([build / "tests/tools/known-server", *options], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, text=True)
        return process.stdout.readline().strip() + "/"
    return start


def saturation(url, connections=64):
    """Successful requests per second that wrk gets."""
    wrk = shutil.which("wrk")
    if not wrk:
        pytest.skip("wrk is not installed")
    text = subprocess.run([wrk, "-t1", f"-c{connections}", "-d4s", url], capture_output=True,
                          text=True, check=True, timeout=30).stdout
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))


def find_limit(plimsoll, *args, budget=BUDGET):
    done = plimsoll("limit", *args, "--budget", budget, "--format", "json", "--quiet", timeout=150)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done


def within(plimsoll, url, truth, *options, share=0.05, **more):
    """The limit found is within 5 % of the truth: at once, or at the second try."""
    for attempt in range(2):
        found, done = find_limit(plimsoll, url, *options, **more)
        if found["verdict"] == "limit" and abs(found["rate"] / truth - 1) <= share:
            assert done.returncode == 0
            assert found["low"] <= found["rate"] <= found["high"]
            assert found["confirmed"] < found["breached"]
            return found
    pytest.fail(f"truth {truth:.1f}/s, found {found}\n{done.stderr}")


# -- capacity that is known ---------------------------------------------------------------------------

def test_fixed_pool(plimsoll, known_server):
    url = known_server("--workers", "10", "--service", "0.02")
    truth = saturation(url)
    assert abs(truth / 500 - 1) < 0.05
    found = within(plimsoll, url, truth, "--p99", "300ms", "--errors", "1%")
    assert found["unit"] == "requests/s"
    assert found["generator"]["colocated"] is True


def test_mutex(plimsoll, known_server):
    url = known_server("--workers", "1", "--service", "0.004")
    within(plimsoll, url, saturation(url), "--p99", "200ms", "--errors", "1%")


def test_noisy_service_time(plimsoll, known_server):
    url = known_server("--workers", "12", "--service", "0.015", "--cv", "1")
    within(plimsoll, url, saturation(url), "--p99", "500ms", "--errors", "1%")


def test_rate_limiter(plimsoll, known_server):
    url = known_server("--workers", "64", "--service", "0.002", "--limit", "300", "--burst", "30")
    found = within(plimsoll, url, 300, "--p99", "300ms", "--errors", "1%")
    assert found["objective"].startswith("http_req_failed")


def test_two_objectives_the_smaller_wins(plimsoll, known_server):
    # Saturation is 500/s, but the limiter bites first.
    url = known_server("--workers", "10", "--service", "0.02", "--limit", "200", "--burst", "20")
    found = within(plimsoll, url, 200, "--p99", "300ms", "--errors", "1%")
    assert found["objective"].startswith("http_req_failed")


# -- bounds and refusals ------------------------------------------------------------------------------

def test_max_rate_holds_and_is_no_limit(plimsoll, known_server):
    url = known_server("--workers", "64", "--service", "0.002")
    found, done = find_limit(plimsoll, url, "--max-rate", "100")
    assert (found["verdict"], found["rate"], found["high"]) == ("not-reached", 100, None)
    assert done.returncode == 0


def test_a_service_that_only_fails(plimsoll, known_server):
    url = known_server("--status", "503", "--service", "0.001")
    found, done = find_limit(plimsoll, url)
    assert (found["verdict"], found["rate"]) == ("not-held", None)
    assert done.returncode == 1


def test_too_few_vus_are_the_generators_fault(plimsoll, known_server):
    # 2 VUs at 50 ms each can start 40 iterations a second; the server would do 1280.
    url = known_server("--workers", "64", "--service", "0.05")
    found, done = find_limit(plimsoll, url, "--max-vus", "2")
    assert (found["verdict"], found["reason"]) == ("lower-bound", "generator")
    assert found["rate"] <= 41
    assert done.returncode == 3


def test_script_with_setup_and_sleep(plimsoll, known_server, tmp_path):
    url = known_server("--workers", "4", "--service", "0.02")
    (tmp_path / "order.js").write_text("""
import http from 'k6/http';
import { check, sleep } from 'k6';
export const options = {
    stages: [{ duration: '2m', target: 100 }],
    thresholds: { http_req_duration: ['p(99)<200'], checks: ['rate>0.99'] },
};
export function setup() {
    return { id: http.post(`${__ENV.BASE_URL}token`, '{}').json('id') };
}
export default function (data) {
    const r = http.post(`${__ENV.BASE_URL}orders`, JSON.stringify(data));
    check(r, { ok: (x) => x.status === 200 && x.json('id') === data.id });
    sleep(0.5);
}
""")
    # An iteration takes half a second, so that every probe has to be longer.
    within(plimsoll, "order.js", 200, "-e", f"BASE_URL={url}", budget="80s")


def test_foreign_target_is_refused(plimsoll):
    done = plimsoll("limit", "http://192.0.2.1/", "--budget", "20s", timeout=60)
    assert done.returncode == 2
    assert "--allow-target 192.0.2.1" in done.stderr


def test_a_script_that_only_throws_never_holds(plimsoll, tmp_path):
    (tmp_path / "a.js").write_text("""
export const options = { thresholds: { iteration_duration: ['p(99)<100'] } };
export default function () { throw new Error('no'); }
""")
    found, done = find_limit(plimsoll, "a.js")
    assert (found["verdict"], found["rate"]) == ("not-held", None)
    assert done.returncode == 1


def test_uncountable_threshold_is_refused_by_name(plimsoll, tmp_path):
    (tmp_path / "a.js").write_text("""
import http from 'k6/http';
export const options = { thresholds: { http_req_duration: ['avg<200'] } };
export default function () { http.get('http://127.0.0.1:9/'); }
""")
    done = plimsoll("limit", "a.js")
    assert done.returncode == 2
    assert "http_req_duration avg<200" in done.stderr


def test_no_threshold_says_what_to_add(plimsoll, tmp_path):
    (tmp_path / "a.js").write_text("export default function () {}\n")
    done = plimsoll("limit", "a.js")
    assert done.returncode == 2
    assert "--p99" in done.stderr


@pytest.mark.parametrize("args, message", [
    (("limit",), "SCRIPT"),
    (("limit", "http://127.0.0.1:1/", "--p99", "fast"), "--p99"),
    (("limit", "http://127.0.0.1:1/", "--errors", "200%"), "--errors"),
    (("limit", "http://127.0.0.1:1/", "--budget", "1s"), "--budget"),
    (("limit", "http://127.0.0.1:1/", "--bugdet", "30s"), "--budget"),
    (("limit", "nowhere.js"), "nowhere.js"),
])
def test_bad_usage(plimsoll, args, message):
    done = plimsoll(*args)
    assert done.returncode == 2
    assert message in done.stderr


def test_url_prints_its_script(plimsoll, known_server):
    url = known_server("--workers", "64", "--service", "0.001")
    done = plimsoll("limit", url, "--max-rate", "50", "--budget", "20s", timeout=60)
    assert done.returncode == 0, done.stderr
    assert "import http from 'k6/http'" in done.stdout
    assert "at least 50" in done.stdout
    assert "co-located" in done.stdout
    assert "left" in done.stderr


def test_interrupt_keeps_what_is_known(spawn, binary, known_server, tmp_path):
    url = known_server("--workers", "64", "--service", "0.001")
    process = spawn([binary, "limit", url, "--budget", "60s", "--format", "json", "--quiet"],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 3, err
    found = json.loads(out)
    assert (found["verdict"], found["reason"]) == ("lower-bound", "interrupted")
    [directory] = (tmp_path / "plimsoll-runs").iterdir()
    assert json.loads((directory / "result.json").read_text())["limits"][0] == found
