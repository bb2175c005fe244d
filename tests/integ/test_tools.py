# SPDX-License-Identifier: Apache-2.0
"""The project's own tools: bootstrap, the totals, the rules of the tree."""
import importlib.util
import json
import os
import subprocess

import pytest


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem.replace("-", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fake_dpkg(tmp_path):
    """fake_dpkg(packages) gives an environment in which dpkg-query knows exactly these."""
    def make(packages):
        tool = tmp_path / "bin" / "dpkg-query"
        tool.parent.mkdir(exist_ok=True)
        lines = "".join(f"installed {name}\\n" for name in packages)
        tool.write_text(f"#!/bin/sh\nprintf '{lines}'\n")
        tool.chmod(0o755)
        return {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}"}
    return make


def packages(source, classes):
    rows = [line.split() for line in (source / "tools/packages.txt").read_text().splitlines()]
    return [row[1] for row in rows if row and row[0] in classes]


def bootstrap(source, env, *args):
    return subprocess.run([source / "tools/bootstrap", "--check", *args], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


def test_bootstrap_is_silent_when_nothing_is_missing(source, fake_dpkg):
    done = bootstrap(source, fake_dpkg(packages(source, ["build"])), "build")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_bootstrap_names_what_is_missing_and_one_command(source, fake_dpkg):
    there = [name for name in packages(source, ["build", "demo"]) if name != "nats-server"]
    done = bootstrap(source, fake_dpkg(there), "demo")
    assert done.returncode == 2
    assert "missing: nats-server" in done.stderr
    assert done.stderr.count("tools/bootstrap demo") == 1
    assert bootstrap(source, fake_dpkg(there), "build").returncode == 0


def test_bootstrap_refuses_an_unknown_class(source):
    assert bootstrap(source, os.environ, "everything").returncode == 2


def test_totals_count_subtests_crashes_and_skips(source, tmp_path):
    suite = load(source / "tools/suite.py")
    rows = [{"result": "OK", "stdout": "1..2\nok 1 - a\nok 2 - b # skip no cgroup\n"},
            {"result": "FAIL", "stdout": "not ok 1 - a\nok 2 - b\n"},
            {"result": "FAIL", "stdout": "ok 1 - a\n"},  # passed, then crashed
            {"result": "SKIP", "stdout": ""},
            {"result": "OK", "stdout": "no TAP"}]
    log = tmp_path / "testlog.json"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert suite.count_meson(log) == (4, 2, 2)


@pytest.mark.parametrize("name, text, breach", [
    ("src/base/x.c", "int f(void)\n{\n    return atoi(s);\n}\n", "atoi() is banned"),
    ("src/base/x.c", "int f(void)\n{\n" + "    g();\n" * 81 + "}\n", "function of 81 lines"),
    ("src/net/x.c", "void f(void)\n{\n    fprintf(stderr, s);\n}\n", "only log.c"),
    ("src/base/x.h", "int f(void);\n", "#pragma once is missing"),
])
def test_rules_of_the_tree_catch(source, name, text, breach):
    rules = load(source / "tools/check-source.py")
    found = list(rules.check_code(name, text, rules.banned_table()))
    assert len(found) == 1 and breach in found[0]


def test_rules_of_the_tree_let_comments_and_members_pass(source):
    rules = load(source / "tools/check-source.py")
    text = "// atoi(x)\nint f(void)\n{\n    return p->time(q) + g(\"rand(1)\");\n}\n"
    assert not list(rules.check_code("src/base/x.c", text, rules.banned_table()))


def test_the_suite_fails_when_a_test_leaves_a_process(source, tmp_path):
    folder = tmp_path / "a" / "b" / "suite"
    folder.mkdir(parents=True)
    (folder / "conftest.py").write_bytes((source / "tests/integ/conftest.py").read_bytes())
    (folder / "test_leak.py").write_text(
        "import subprocess\n"
        "def test_leak():\n"
        "    subprocess.Popen(['sleep', '300'], start_new_session=True, cwd='/')\n")
    done = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", folder],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert "1 passed" in done.stdout
    assert "the suite left behind:\n  process" in done.stdout and "sleep 300" in done.stdout
    assert done.returncode == 1


def test_the_picture_shows_what_the_terminal_shows_at_the_end(source, tmp_path):
    out = tmp_path / "out.svg"
    shown = r"10 %\r\033[Kdone & dusted\n\033[1;32mTABLE\033[0m\nrow\n\033[Aroe\n"
    done = subprocess.run([source / "tools/screenshot.py", "--from", "TABLE", out, "printf", shown.replace("%", "%%")],
                          stdout=subprocess.DEVNULL, check=False)
    text = out.read_text()
    assert done.returncode == 0
    assert 'font-weight="bold"' in text and ">TABLE<" in text and ">roe<" in text
    assert "10 %" not in text and "dusted" not in text
