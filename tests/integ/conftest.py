# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all integration tests, and the check that the suite leaves nothing behind.

Everything that a test starts inherits the variable PLIMSOLL_TEST_RUN and a TMPDIR of the suite's own.
By these the check at the end tells our processes and files from those of other programs.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = (SOURCE / os.environ.get("BUILD", "build")).resolve()
SUITE = "plimsoll-integ-"  # our folder in /tmp; a suite that runs beside us has one too
MARK = f"PLIMSOLL_TEST_RUN={uuid.uuid4().hex}"


# -- fixtures ---------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def source():
    """The source tree."""
    return SOURCE


@pytest.fixture(scope="session")
def build():
    """The build directory."""
    return BUILD


@pytest.fixture(scope="session")
def binary():
    """The path of the program under test."""
    path = BUILD / "plimsoll"
    if not path.exists():
        pytest.fail(f"{path} is not there: make build")
    return str(path)


@pytest.fixture
def tmp_path(tmp_path):
    """pytest's own, but other users may enter it: PostgreSQL refuses to run as root."""
    for path in (tmp_path, tmp_path.parent):
        path.chmod(0o755)
    return tmp_path


@pytest.fixture
def plimsoll(binary, tmp_path):
    """plimsoll(*args, timeout=60, env={}, **more) runs the program in tmp_path to its end.

    Returns a CompletedProcess with text output; asserts nothing about the exit status.
    """
    def run(*args, timeout=60, env=None, **more):
        more.setdefault("cwd", tmp_path)
        more.setdefault("stdin", subprocess.DEVNULL if "input" not in more else None)
        if "input" in more:
            del more["stdin"]
        return subprocess.run([binary, *map(str, args)], timeout=timeout, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, **(env or {})}, check=False, **more)
    return run


@pytest.fixture
def spawn(tmp_path):
    """spawn(command, **more) starts a process that is ended after the test, with SIGTERM, then SIGKILL."""
    started = []

    def start(command, **more):
        more.setdefault("cwd", tmp_path)
        more.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([str(part) for part in command], **more)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
    for process in started:
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


@pytest.fixture
def free_port():
    """free_port(host="127.0.0.1") gives a TCP port that nothing listens on at the moment."""
    def pick(host="127.0.0.1"):
        with socket.socket() as sock:
            sock.bind((host, 0))
            return sock.getsockname()[1]
    return pick


@pytest.fixture
def wait_until():
    """wait_until(condition, timeout=20) polls until condition() is true; fails the test if it never is."""
    def wait(condition, timeout=20, what="the condition"):
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"{what} did not come true within {timeout} s")
            time.sleep(0.02)
    return wait


# -- nothing left behind ------------------------------------------------------------------------------

def read(path):
    try:
        return pathlib.Path(path).read_bytes()
    except OSError:
        return b""


def our_processes():
    """{pid: command} of the live processes that carry our mark or stand in the suite's folder."""
    ours = {}
    folder = os.environ["TMPDIR"]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid() or b"\nState:\tZ" in read(f"/proc/{pid}/status"):
            continue
        command = read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
        try:
            cwd = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            cwd = ""
        if MARK.encode() in read(f"/proc/{pid}/environ") or cwd.startswith(folder) or folder in command:
            ours[int(pid)] = command
    return ours


def traces():
    """What the program could leave in the system besides processes, by name."""
    found = set()
    for line in read("/proc/self/mountinfo").decode(errors="replace").splitlines():
        if "plimsoll" in line:
            found.add("mount " + line.split()[4])
    for folder, _, _ in os.walk("/sys/fs/cgroup"):
        if "plimsoll" in os.path.basename(folder):
            found.add("cgroup " + folder)
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        found.add("netns " + name)
    if shutil.which("tc"):
        shown = subprocess.run(["tc", "qdisc", "show"], stdout=subprocess.PIPE, text=True, check=False)
        found |= {"qdisc " + line for line in shown.stdout.splitlines()}
    for place in ("/dev/shm", "/run"):
        found |= {f"file {place}/{name}" for name in os.listdir(place) if name.startswith("plimsoll")}
    return found


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than some seconds; left out of sanitizer runs")
    if hasattr(config, "workerinput"):
        return
    folder = tempfile.mkdtemp(prefix=SUITE, dir=os.environ.get("TMPDIR", "/tmp"))
    os.chmod(folder, 0o755)
    config.plimsoll_folder = folder
    config.plimsoll_before = traces()
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None
    name, _, value = MARK.partition("=")
    os.environ[name] = value
    if not config.option.basetemp:
        config.option.basetemp = os.path.join(folder, "pytest")


def pytest_sessionfinish(session, exitstatus):
    deadline = time.monotonic() + 5
    while our_processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    left = [f"process {pid}: {command}" for pid, command in our_processes().items()]
    for pid in our_processes():
        os.kill(pid, signal.SIGKILL)
    config = session.config
    own = pathlib.Path(config.plimsoll_folder)
    left += [f"file {path}" for path in own.iterdir()
             if path.name.startswith("plimsoll") and not path.name.startswith(SUITE)]
    # Other programs of this kind may run beside us; on a machine of its own all traces are ours.
    if os.environ.get("CI"):
        left += sorted(traces() - config.plimsoll_before)
    if left:
        session.exitstatus = 1
        print("\nFAILED: the suite left behind:\n  " + "\n  ".join(left))
    if exitstatus == 0 and not left:
        shutil.rmtree(own, ignore_errors=True)
    else:
        print(f"\nfiles of the tests: {own}")
