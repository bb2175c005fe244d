# SPDX-License-Identifier: Apache-2.0
"""plimsoll lab: pods from manifests, their life, and that nothing is left of them."""
import json
import os
import pathlib
import pwd
import re
import signal
import subprocess
import time
import urllib.request

import pytest

PYTHON = "/usr/bin/python3"
TICKS = os.sysconf("SC_CLK_TCK")


def manifest(name, command, *, replicas=1, pod="", container="", annotations="", kind="Deployment"):
    """A workload with one container."""
    serve = "  serviceName: none\n" if kind == "StatefulSet" else ""
    return f"""\
apiVersion: apps/v1
kind: {kind}
metadata:
  name: {name}
spec:
{serve}  replicas: {replicas}
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
      annotations:
        example.com/x: z
{annotations}
    spec:
      terminationGracePeriodSeconds: 2
{pod}
      containers:
        - name: main
          command: {json.dumps(command)}
{container}
"""


WEB = [PYTHON, "-u", "-m", "http.server", "--bind", "$(POD_IP)", "8080"]
WEB_PORTS = """\
          ports:
            - name: http
              containerPort: 8080
          readinessProbe:
            httpGet:
              port: http
            periodSeconds: 1
"""
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata:
  name: %s
spec:
  selector:
    app: %s
  ports:
    - port: 80
      targetPort: http
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="m.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path
    return write


class Lab:
    """A lab in the foreground."""

    def __init__(self, binary, spawn, plimsoll, files, *options):
        self.name = f"t{os.urandom(4).hex()}"
        self.plimsoll = plimsoll
        self.process = spawn([binary, "lab", "up", "--name", self.name, *options, *files],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        root = pathlib.Path(os.environ["TMPDIR"]) / f"plimsoll-{os.getuid()}"
        self.dir = root / f"lab-{self.name}"

    def pods(self):
        done = self.plimsoll("lab", "ps", "--name", self.name, "--format", "json")
        return json.loads(done.stdout) if done.returncode == 0 else []

    def pod(self, name):
        return next((pod for pod in self.pods() if pod["name"] == name), None)

    def is_ready(self, count):
        pods = self.pods()
        return len(pods) == count and all(pod["ready"] for pod in pods)

    def log(self, pod):
        return self.plimsoll("lab", "logs", "--name", self.name, pod).stdout

    def supervisor(self):
        return int((self.dir / "owner").read_text().split()[0])


@pytest.fixture
def lab(binary, spawn, plimsoll):
    return lambda *files, options=(): Lab(binary, spawn, plimsoll, files, *options)


def is_alive(pid):
    try:
        return "\nState:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def descendants(pid):
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
        except OSError:
            continue
        parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


# -- life of pods -------------------------------------------------------------------------------------

def test_serves_and_stops_on_sigint(lab, write, wait_until):
    path = write(manifest("web", WEB, replicas=2, container=WEB_PORTS) + SERVICE % ("web", "web"))
    one = lab(path)
    wait_until(lambda: one.is_ready(2), what="two ready pods")
    pods = one.pods()
    assert {pod["name"] for pod in pods} == {"web-0", "web-1"}
    assert len({pod["ip"] for pod in pods}) == 2
    for pod in pods:
        assert re.fullmatch(r"127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+", pod["ip"])
        assert urllib.request.urlopen(f"http://{pod['ip']}:8080/", timeout=5).status == 200
        assert os.getsid(pod["pid"]) == pod["pid"]
    one.process.send_signal(signal.SIGINT)
    out, err = one.process.communicate(timeout=20)
    assert one.process.returncode == 0, err
    assert re.search(r"^web:80 +127\.[\d.]+:8080$", out, re.M)
    assert not any(is_alive(pod["pid"]) for pod in pods)
    assert not one.dir.exists()


def test_environment(lab, write, wait_until):
    env = """\
          ports:
            - {name: http, containerPort: 8080}
          env:
            - {name: ME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
            - {name: LISTEN, value: "$(IP):8080"}
            - {name: MODE, valueFrom: {configMapKeyRef: {name: conf, key: mode}}}
            - {name: SECRET, valueFrom: {secretKeyRef: {name: keys, key: made}}}
            - {name: GIVEN, valueFrom: {secretKeyRef: {name: keys, key: given}}}
            - {name: PEER, value: "http://$(OTHER_APP_SERVICE_HOST):$(OTHER_APP_SERVICE_PORT)/"}
            - {name: QUOTED, value: "$$(IP) $(NONE)"}
          envFrom:
            - {prefix: CONF_, configMapRef: {name: conf}}
"""
    more = """\
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: conf}, data: {mode: fast}}
---
apiVersion: v1
kind: Secret
metadata:
  name: keys
  annotations: {plimsoll.dev/generate: made}
data: {given: aGVsbG8=}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: front}, spec: {}}
"""
    dump = ["/bin/sh", "-c", "env; echo args $1; exec sleep 1000", "sh", "$(LISTEN)"]
    path = write(manifest("web", dump, container=env) + "---\n" + manifest("other", ["sleep", "1000"], container="""\
          ports:
            - {name: http, containerPort: 9999}
""") + SERVICE % ("other-app", "other") + more)
    one = lab(path)
    wait_until(lambda: one.is_ready(2) and "args" in one.log("web-0"), what="the environment")
    seen = dict(line.partition("=")[::2] for line in one.log("web-0").splitlines())
    ip = one.pod("web-0")["ip"]
    assert seen["ME"] == "web-0"
    assert seen["IP"] == seen["POD_IP"] == ip
    assert seen["LISTEN"] == f"{ip}:8080"
    assert f"args {ip}:8080" in one.log("web-0")
    assert seen["MODE"] == seen["CONF_mode"] == "fast"
    assert seen["GIVEN"] == "hello"
    assert seen["PEER"] == f"http://{one.pod('other-0')['ip']}:9999/"
    assert seen["QUOTED"] == "$(IP) $(NONE)"
    assert re.fullmatch("[0-9a-f]{48}", seen["SECRET"])
    secret = one.dir / "secrets" / "keys" / "made"
    assert secret.read_text() == seen["SECRET"]
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.parent.stat().st_mode & 0o777 == 0o700
    assert "XDG_RUNTIME_DIR" not in seen and "LOGNAME" not in seen
    one.process.send_signal(signal.SIGTERM)
    _, err = one.process.communicate(timeout=20)
    assert "Ingress 'front' is not run by the lab, skipped" in err


def test_restarts_with_back_off(lab, write, wait_until):
    # Crashes three times, then stays.
    script = "echo try >>$PLIMSOLL_POD_DIR/tries; " \
             "[ $(wc -l <$PLIMSOLL_POD_DIR/tries) -gt 3 ] && exec sleep 1000; date +%s.%N; exit 7"
    one = lab(write(manifest("crash", ["/bin/sh", "-c", script])))
    wait_until(lambda: (one.pod("crash-0") or {}).get("restarts") == 3, what="three restarts")
    wait_until(lambda: one.is_ready(1))
    ends = [float(line) for line in one.log("crash-0").splitlines()]
    # At once, then after 0.5 s; the third wait, 1 s, ends with the start that stays.
    assert len(ends) == 3
    assert ends[2] - ends[1] > 0.45
    one.process.send_signal(signal.SIGINT)
    _, err = one.process.communicate(timeout=20)
    assert "CrashLoopBackOff" in err and "exited with status 7" in err


def test_liveness_failure_restarts(lab, write, wait_until):
    script = "touch $PLIMSOLL_POD_DIR/alive; exec sleep 1000"
    probe = """\
          livenessProbe:
            exec: {command: [/bin/sh, -c, "test -e $PLIMSOLL_POD_DIR/alive"]}
            initialDelaySeconds: 1
            periodSeconds: 1
            failureThreshold: 1
"""
    one = lab(write(manifest("live", ["/bin/sh", "-c", script], container=probe)))
    wait_until(lambda: one.is_ready(1))
    (one.dir / "pods" / "live-0" / "alive").unlink()
    wait_until(lambda: one.pod("live-0")["restarts"] == 1, what="the restart")
    wait_until(lambda: one.is_ready(1))
    time.sleep(1.5)
    assert one.pod("live-0")["restarts"] == 1


def test_readiness_gates(lab, write, wait_until, tmp_path):
    gate = tmp_path / "open"
    probe = f"""\
          readinessProbe:
            exec: {{command: [test, -e, {gate}]}}
            periodSeconds: 1
            failureThreshold: 1
"""
    one = lab(write(manifest("gate", ["sleep", "1000"], container=probe)))
    wait_until(lambda: (one.pod("gate-0") or {}).get("detail") == "the command exited with status 1")
    assert not one.pod("gate-0")["ready"]
    gate.write_text("")
    wait_until(lambda: one.is_ready(1))
    gate.unlink()
    wait_until(lambda: not one.is_ready(1))
    assert one.pod("gate-0")["restarts"] == 0


def test_not_ready_in_time_fails_with_the_log(plimsoll, write):
    path = write(manifest("web", ["/bin/sh", "-c", "echo what is wrong; exit 3"]))
    done = plimsoll("lab", "up", "--timeout", "1500ms", path)
    assert done.returncode == 1
    assert "pod 'web-0' is not ready: CrashLoopBackOff: exited with status 3" in done.stderr
    assert "its log ends with:\nwhat is wrong" in done.stderr
    assert "no lab runs" in plimsoll("lab", "ps").stderr


def test_output_that_is_no_text(plimsoll, write):
    path = write(manifest("web", ["/bin/sh", "-c", r"printf '\377bad\n'; exit 3"]))
    done = plimsoll("lab", "up", "--timeout", "1s", path)
    assert done.returncode == 1
    assert "its log ends with:\n?bad\n" in done.stderr


def test_grace_then_kill(lab, write, wait_until):
    stubborn = ["/bin/sh", "-c", "trap 'echo asked' TERM; echo up; while :; do sleep 0.1; done"]
    polite = ["/bin/sh", "-c", "trap 'sleep 0.5; exit 0' TERM; echo up; while :; do sleep 0.1; done"]
    one = lab(write(manifest("stubborn", stubborn) + "---\n" + manifest("polite", polite)))
    wait_until(lambda: "up" in one.log("stubborn-0") and "up" in one.log("polite-0"))
    pids = [pod["pid"] for pod in one.pods()]
    before = time.monotonic()
    one.process.send_signal(signal.SIGINT)
    wait_until(lambda: not is_alive(one.pod("polite-0")["pid"] if one.pod("polite-0") else 0))
    _, err = one.process.communicate(timeout=20)
    assert one.process.returncode == 0, err
    assert 1.9 < time.monotonic() - before < 10  # the grace of 2 s
    assert not any(is_alive(pid) for pid in pids)


def test_stateful_data_outlives_the_process(lab, write, wait_until):
    script = "date >>$PLIMSOLL_POD_DIR/starts; cat $PLIMSOLL_POD_DIR/starts | wc -l; exec sleep 1000"
    one = lab(write(manifest("store", ["/bin/sh", "-c", script], kind="StatefulSet")))
    wait_until(lambda: one.is_ready(1))
    os.kill(one.pod("store-0")["pid"], signal.SIGKILL)
    wait_until(lambda: one.log("store-0").split() == ["1", "2"])
    wait_until(lambda: one.is_ready(1))
    assert one.pod("store-0")["restarts"] == 1


def test_init_containers_and_sidecars(lab, write, wait_until):
    pod = """\
      initContainers:
        - name: first
          command: [/bin/sh, -c, "sleep 0.3; echo first"]
        - name: second
          command: [/bin/sh, -c, "echo second"]
"""
    side = """\
        - name: side
          command: [/bin/sh, -c, "echo side; exec sleep 1000"]
"""
    one = lab(write(manifest("multi", ["/bin/sh", "-c", "echo main; exec sleep 1000"], pod=pod, container=side)))
    wait_until(lambda: one.is_ready(1) and len(one.log("multi-0").split()) == 4)
    words = one.log("multi-0").split()
    assert words[:2] == ["first", "second"] and set(words[2:]) == {"main", "side"}


def test_annotation_stands_for_the_image(lab, write, wait_until, tmp_path):
    tool = tmp_path / "tool.sh"
    tool.write_text("#!/bin/sh\necho \"tool $* $EXTRA\"\nexec sleep 1000\n")
    tool.chmod(0o755)
    note = """\
        plimsoll.dev/exec: "EXTRA='a b' ./tool.sh $POD_NAME \\"$POD_IP x\\""
"""
    text = manifest("web", ["/app/in/the/image"], annotations=note)
    one = lab(write(text))
    wait_until(lambda: one.is_ready(1) and one.log("web-0"))
    assert one.log("web-0") == f"tool web-0 {one.pod('web-0')['ip']} x a b\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root changes users")
@pytest.mark.parametrize("note, pod, user", [
    ("", "", "nobody"),
    ("        plimsoll.dev/user: daemon\n", "", "daemon"),
    ("", "      securityContext: {runAsUser: 12345}\n", "12345"),
])
def test_root_drops_its_rights(lab, write, wait_until, note, pod, user):
    show = "id -u; id -g; id -G; touch $PLIMSOLL_POD_DIR/x && echo wrote; grep NoNewPrivs /proc/self/status; exec sleep 1000"
    one = lab(write(manifest("who", ["/bin/sh", "-c", show], pod=pod, annotations=note)))
    wait_until(lambda: one.is_ready(1) and "wrote" in one.log("who-0"))
    try:
        entry = pwd.getpwnam(user)
        uid, gid = str(entry.pw_uid), str(entry.pw_gid)
    except KeyError:
        uid = gid = user
    assert one.log("who-0").split()[:3] == [uid, gid, gid]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_without_root(lab, write, wait_until, binary, plimsoll, tmp_path):
    nobody = pwd.getpwnam("nobody")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    path = write(manifest("web", WEB, container=WEB_PORTS, pod="      securityContext: {runAsUser: 0}\n"))
    command = ["setpriv", "--reuid", str(nobody.pw_uid), "--regid", str(nobody.pw_gid), "--clear-groups",
               "env", f"TMPDIR={home}", binary, "lab"]
    done = subprocess.run([*command, "up", "-d", str(path)], text=True, capture_output=True, timeout=60, check=False)
    if "ermission denied" in done.stderr and not done.stdout:
        pytest.skip("another user cannot reach the program in this place")
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*command, "ps"], text=True, capture_output=True, timeout=60, check=False)
    assert "web-0" in done.stdout and " yes " in done.stdout
    done = subprocess.run([*command, "down"], text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(home.iterdir())


def test_program_in_a_closed_directory(lab, write, wait_until, tmp_path):
    """The user of a pod need not be able to reach the program's directory (a clone in /root)."""
    closed = tmp_path / "closed"
    closed.mkdir()
    tool = closed / "tool.sh"
    tool.write_text("#!/bin/sh\necho started\nexec sleep 1000\n")
    tool.chmod(0o755)
    closed.chmod(0o700)
    one = lab(write(manifest("web", [str(tool)])))
    wait_until(lambda: one.is_ready(1) and one.log("web-0") == "started\n")


def test_detached_and_down(plimsoll, write, wait_until):
    path = write(manifest("web", WEB, container=WEB_PORTS), "shop.yaml")
    done = plimsoll("lab", "up", "-d", path)
    assert done.returncode == 0, done.stderr
    pods = json.loads(plimsoll("lab", "ps", "--format", "json").stdout)
    assert [(pod["lab"], pod["name"], pod["ready"]) for pod in pods] == [("shop", "web-0", True)]
    again = plimsoll("lab", "up", "-d", path)
    assert again.returncode == 2
    assert "a lab 'shop' runs already" in again.stderr
    other = plimsoll("lab", "down", "shp")
    assert other.returncode == 2 and "did you mean 'shop'?" in other.stderr
    assert plimsoll("lab", "down", "shop").returncode == 0
    assert not is_alive(pods[0]["pid"])
    assert plimsoll("lab", "down").returncode == 2


def test_down_from_elsewhere(lab, plimsoll, write, wait_until):
    one = lab(write(manifest("web", ["sleep", "1000"])))
    wait_until(lambda: one.is_ready(1))
    assert plimsoll("lab", "down", one.name).returncode == 0
    _, err = one.process.communicate(timeout=20)
    assert one.process.returncode == 0
    assert "the lab was stopped" in err


# -- nothing is left ----------------------------------------------------------------------------------

# A server with a child, a child in a session of its own, and a daemon that has left altogether.
FAMILY = ["/bin/sh", "-c", "sleep 1001 & setsid sleep 1002 & (setsid sleep 1003 &) ; exec sleep 1004"]


def family(one, wait_until):
    wait_until(lambda: one.is_ready(1))
    wait_until(lambda: len(descendants(one.supervisor())) >= 4, what="the whole family")
    return [one.supervisor(), *descendants(one.supervisor())]


def test_kill_of_ours_leaves_nothing(lab, write, wait_until):
    one = lab(write(manifest("family", FAMILY)))
    pids = family(one, wait_until)
    one.process.kill()
    wait_until(lambda: not any(map(is_alive, pids)), timeout=10, what="the end of all processes")
    wait_until(lambda: not one.dir.exists(), timeout=10)


def test_kill_of_the_supervisor_leaves_nothing(lab, write, wait_until):
    one = lab(write(manifest("family", FAMILY)))
    pids = family(one, wait_until)
    os.kill(one.supervisor(), signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pids)), timeout=10, what="the end of all processes")
    _, err = one.process.communicate(timeout=20)
    assert one.process.returncode == 1
    assert "the supervisor of the lab was killed" in err
    assert not one.dir.exists()


def test_kill_of_both_is_cleaned_by_the_next(lab, plimsoll, write, wait_until):
    one = lab(write(manifest("family", FAMILY)))
    pids = family(one, wait_until)
    stranger = subprocess.Popen(["sleep", "1001"])
    os.kill(one.process.pid, signal.SIGSTOP)  # so that it does not see the other's end
    os.kill(one.supervisor(), signal.SIGKILL)
    one.process.kill()
    assert one.dir.exists()
    done = plimsoll("lab", "down")
    assert done.returncode == 0 and "removed what 1 killed lab left" in done.stderr
    wait_until(lambda: not any(map(is_alive, pids)), timeout=10, what="the end of all processes")
    assert not one.dir.exists()
    assert stranger.poll() is None  # same name, but none of ours
    stranger.kill()
    stranger.wait()


def test_second_interrupt_does_not_wait(lab, write, wait_until):
    slow = ["/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"]
    one = lab(write(manifest("slow", slow).replace("Seconds: 2", "Seconds: 60")))
    wait_until(lambda: "up" in one.log("slow-0"))
    pid = one.pod("slow-0")["pid"]
    one.process.send_signal(signal.SIGINT)
    wait_until(lambda: one.pod("slow-0")["status"] == "Terminating")
    one.process.send_signal(signal.SIGINT)
    one.process.wait(timeout=10)
    wait_until(lambda: not is_alive(pid), timeout=10)
    wait_until(lambda: not one.dir.exists(), timeout=10)


# -- bad input ----------------------------------------------------------------------------------------

GOOD = manifest("web", ["sleep", "1000"], container="""\
          env:
            - name: A
              value: "1"
          ports:
            - containerPort: 8080
""")


@pytest.mark.parametrize("old, new, message", [
    ("replicas: 1", "replcas: 1", r"m.yaml:6:3: spec.replcas: unknown field, did you mean 'replicas'\?"),
    ("replicas: 1", "replicas: one", r"m.yaml:6:13: spec.replicas: expected an integer, found the string 'one'"),
    ('value: "1"', "value: 1", r"m.yaml:\d+:\d+: spec.template.spec.containers\[0\].env\[0\].value: "
     r"expected a string, found the number 1: put it in quotes"),
    ("kind: Deployment", "kind: Deploymnt", r"m.yaml:2:7: kind: unknown kind 'Deploymnt', did you mean 'Deployment'\?"),
    ('"sleep"', '"no-such-program"', r"m.yaml:\d+:\d+: spec.template.spec.containers\[0\]: "
     r"no program 'no-such-program' on this machine; install it, or give its path"),
    ("          command: [\"sleep\", \"1000\"]\n", "", r"m.yaml:\d+:\d+: spec.template.spec.containers\[0\]: "
     r"images are not run here: give the container a command, or the pod template the annotation 'plimsoll.dev/exec'"),
    ("example.com/x: z", "plimsoll.dev/exce: x", r"m.yaml:\d+:9: spec.template.metadata.annotations.plimsoll.dev/exce: "
     r"unknown annotation, did you mean 'plimsoll.dev/exec'\?"),
    ("example.com/x: z", "plimsoll.dev/exec: ~", r"m.yaml:\d+:\d+: .*plimsoll.dev/exec: names no program"),
    ("example.com/x: z", "plimsoll.dev/exec: a | b", r"m.yaml:\d+:\d+: .*'\|' needs a shell"),
    ("spec:\n", "spec: [\n", r"m.yaml:\d+:\d+: is not valid YAML"),
    ("  name: web", "  name: web\n  name: web", r"m.yaml:5:3: the key 'name' is here twice \(first in line 4\)"),
])
def test_bad_manifests(plimsoll, write, old, new, message):
    assert old in GOOD
    path = write(GOOD.replace(old, new, 1))
    done = plimsoll("lab", "up", path)
    assert done.returncode == 2
    assert re.search(message, done.stderr), done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    assert done.stdout == ""
    assert "no lab runs" in plimsoll("lab", "ps").stderr


def test_bad_usage(plimsoll, write, tmp_path):
    (tmp_path / "empty").mkdir()
    for args, message in [
            (["lab"], "needs one of up, ps, logs, down"),
            (["lab", "upp"], "unknown 'upp', did you mean 'up'?"),
            (["lab", "up"], "up needs manifests"),
            (["lab", "up", "none.yaml"], "cannot read 'none.yaml': No such file or directory"),
            (["lab", "up", "empty"], "the directory 'empty' has no *.yaml, *.yml or *.json"),
            (["lab", "up", "--timeout", "5", "x"], "--timeout: expected a duration such as 90s, found '5'"),
            (["lab", "up", "--nmae", "x"], "unknown option '--nmae', did you mean '--name'?"),
            (["lab", "up", "--name", "A b", write(GOOD)], "'A b' is no name of a lab"),
            (["lab", "logs", "web-0"], "no lab runs"),
            (["lab", "down"], "no lab runs"),
            (["labb"], "unknown command 'labb', did you mean 'lab'?")]:
        done = plimsoll(*args)
        assert done.returncode == 2, args
        assert message in done.stderr, done.stderr


def test_no_place_for_the_state(plimsoll, write):
    done = plimsoll("lab", "up", write(GOOD), env={"TMPDIR": "/proc/none"})
    assert done.returncode == 2
    assert "cannot make the directory '/proc/none'" in done.stderr


def test_taken_port(plimsoll, write):
    import socket
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen(1)
        port = other.getsockname()[1]
        done = plimsoll("lab", "up", write(GOOD.replace("containerPort: 8080", f"containerPort: {port}")))
    assert done.returncode == 2
    assert re.search(rf"m.yaml:\d+:\d+: .*ports\[0\]: port {port} of 127\S+ cannot be had", done.stderr)
    assert "another program listens on all addresses" in done.stderr


# -- doctor -------------------------------------------------------------------------------------------

def test_doctor(plimsoll, tmp_path):
    done = plimsoll("doctor", "--format", "json")
    report = json.loads(done.stdout)
    findings = {finding["name"]: finding for finding in report["findings"]}
    assert {"kernel", "cores", "memory", "open files", "local ports", "somaxconn", "cgroup", "user namespaces",
            "sch_netem", "perf_event_paranoid", "postgres", "nats-server", "state directory"} <= set(findings)
    bad = any(finding["verdict"] == "missing" for finding in findings.values())
    assert done.returncode == (1 if bad else 0)
    assert os.uname().release in findings["kernel"]["value"]
    text = plimsoll("doctor")
    assert "local pods (plimsoll lab)" in text.stdout
    for name in findings:
        assert name in text.stdout
    assert plimsoll("doctor", "--format", "xml").returncode == 2
    # Without the programs of the reference system it says so, with the mend.
    bare = plimsoll("doctor", env={"PATH": "/nonexistent"})
    assert re.search(r"wrk +not found\n.*\n +mend: apt-get install wrk", bare.stdout)


def test_doctor_without_a_state_directory(plimsoll):
    done = plimsoll("doctor", env={"TMPDIR": "/proc/none"})
    assert done.returncode == 1
    assert re.search(r"^missing +state directory", done.stdout, re.M)
    assert re.search(r"local pods .* will not work: state directory", done.stdout)
