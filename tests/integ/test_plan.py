# SPDX-License-Identifier: Apache-2.0
"""plimsoll plan and report: bad input, and one limit of the reference system from end to end."""
import json
import signal
import subprocess

import pytest

HEAD = """apiVersion: plimsoll.dev/v1
kind: CapacityPlan
metadata: {name: shop}
spec:
  system: {manifests: [app.yaml]}
  limits:
"""


@pytest.fixture
def plan(tmp_path):
    """plan(text) writes a plan beside a script and a manifest, and returns its path."""
    (tmp_path / "a.js").write_text("export default function () {}\n")
    (tmp_path / "app.yaml").write_text("""apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - {name: app, command: [sleep, "600"]}
""")

    def write(text):
        path = tmp_path / "plan.yaml"
        path.write_text(text)
        return path
    return write


@pytest.mark.parametrize("text, line, words", [
    (HEAD + "    - {service: app, script: b.js}\n", 7, ["limits[0].script", "b.js"]),
    (HEAD + "    - {service: app, scirpt: a.js}\n", 7, ["scirpt", "'script'"]),
    (HEAD + "    - {service: app, script: a.js, knobs: [{env: X, scale: much}]}\n", 7, ["scale"]),
    (HEAD + "    - {service: app, script: a.js, sustained: ['slope < 1%']}\n", 7, ["deficit("]),
    (HEAD.replace("CapacityPlan", "Capacity"), 2, ["kind", "CapacityPlan"]),
    (HEAD + "    - {service: ap, script: a.js}\n", 7, ["no Deployment", "'ap'"]),
    (HEAD.replace("app.yaml", "gone.yaml") + "    - {service: app, script: a.js}\n", 5, ["gone.yaml"]),
    (HEAD + "    - {service: app\n", None, ["plan.yaml"]),
])
def test_bad_plan(plimsoll, plan, text, line, words):
    done = plimsoll("plan", plan(text))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not line or f"plan.yaml:{line}:" in done.stderr
    for word in words:
        assert word in done.stderr


def test_usage(plimsoll, plan):
    path = plan(HEAD + "    - {service: app, script: a.js}\n")
    assert plimsoll("plan").returncode == 2
    assert "did you mean 'app'" in plimsoll("plan", path, "--only", "apo").stderr
    assert "--budget" in plimsoll("plan", path, "--budget", "3").stderr
    assert plimsoll("report", path.parent).returncode == 2


def test_service_that_cannot_be_measured(plimsoll, plan, tmp_path):
    """A script without thresholds: told, in the result too; the run ends and nothing is left."""
    done = plimsoll("plan", plan(HEAD + "    - {service: app, script: a.js}\n"), "--quiet", cwd=tmp_path)
    assert done.returncode == 2
    assert "no thresholds" in " ".join(done.stdout.split())
    result = json.loads(next((tmp_path / "plimsoll-runs").glob("*-shop/result.json")).read_text())
    assert result["limits"][0]["service"] == "app"
    assert "no thresholds" in result["limits"][0]["error"]


def test_interrupted(spawn, binary, plan, tmp_path, wait_until):
    script = "export const options = {thresholds: {checks: ['rate>0.9']}};\nexport default function () {}\n"
    path = plan(HEAD + "    - {service: app, script: a.js}\n")
    (tmp_path / "a.js").write_text(script)
    process = spawn([binary, "plan", path], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    for line in process.stderr:
        if "warm-up" in line or "app: limit" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 3
    run = next((tmp_path / "plimsoll-runs").glob("*-shop"))
    assert json.loads((run / "result.json").read_text())["exit"] == 3


@pytest.mark.slow
def test_pool_binds(plimsoll, source, tmp_path):
    """order-service by default: ten connections, held for 20 ms and a little, bind; more lift the limit."""
    for attempt in range(2):
        done = plimsoll("plan", source / "examples/plan.yaml", "--only", "order-service", "--format", "json",
                        "--quiet", cwd=tmp_path, timeout=280)
        limit = json.loads(done.stdout)["limits"][0]
        if done.returncode == 0 and limit["bottleneck"]["confirmed"]:
            break
    assert limit["bottleneck"]["name"] == "DB pool", limit
    assert limit["bottleneck"]["elasticity"] >= 0.6
    assert 250 < limit["rate"] < 500
    run = max((tmp_path / "plimsoll-runs").iterdir())
    assert "| DB pool | order-service |" in (run / "plan.md").read_text()
    series = [json.loads(line) for line in (run / "series.jsonl").read_text().splitlines()]
    assert any("db_pool_in_use" in s["pods"].get("order-service", {}) for s in series)
    assert any("dbIdleInTransaction" in s for s in series)
    for name in ("result.json", "series.jsonl", "events.jsonl", "plan.md"):
        assert "password=" not in (run / name).read_text()
    again = plimsoll("report", run, "--format", "markdown")
    assert again.stdout == (run / "plan.md").read_text()
