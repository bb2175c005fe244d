#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs make targets one after the other and adds up what they tested.

usage: suite.py [--minutes M] TARGET...

A target's tests are counted from the file it leaves behind (Meson's log, pytest's XML, the
conformance totals); a target that leaves none counts as one test. Ends with the line
`N passed, N failed`, after the number of those skipped; exits 1 when anything failed. What is running when M minutes are
over is ended and failed.
"""
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

BUILD = os.environ.get("BUILD", "build")
TAP_LINE = re.compile(r"^(not ok|ok)\b[^#\n]*(#\s*skip)?", re.IGNORECASE | re.MULTILINE)


def count_meson(path):
    passed = failed = skipped = 0
    with open(path, encoding="utf-8") as stream:
        for test in map(json.loads, stream):
            lines = TAP_LINE.findall(test.get("stdout") or "")
            bad = sum(1 for state, _ in lines if state.lower() == "not ok")
            if test["result"] == "SKIP":
                skipped += 1
                continue
            if test["result"] not in ("OK", "EXPECTEDFAIL"):
                bad = max(bad, 1)
            failed += bad
            skipped += sum(1 for state, skip in lines if skip)
            good = sum(1 for state, skip in lines if state.lower() == "ok" and not skip)
            passed += good or (0 if bad else 1)
    return passed, failed, skipped


def count_junit(path):
    counts = [0, 0, 0]
    for suite in xml.parse(path).getroot().iter("testsuite"):
        failed = int(suite.get("failures")) + int(suite.get("errors"))
        skipped = int(suite.get("skipped"))
        counts[0] += int(suite.get("tests")) - failed - skipped
        counts[1] += failed
        counts[2] += skipped
    return tuple(counts)


def count_conformance(path):
    with open(path, encoding="utf-8") as stream:
        totals = json.load(stream)
    return totals["passed"], totals["failed"], totals["skipped"]


# target: the file that it leaves, and how to count it. "%" is the build directory.
RESULTS = {
    "check": ("%/meson-logs/testlog.json", count_meson),
    "integ": ("%/results/integ.xml", count_junit),
    "priv": ("%/results/priv.xml", count_junit),
    "conformance": ("%/results/conformance.json", count_conformance),
    "asan-check": ("build-asan/meson-logs/testlog.json", count_meson),
    "asan-integ": ("build-asan/results/integ.xml", count_junit),
    "tsan": ("build-tsan/meson-logs/testlog.json", count_meson),
}


def run_target(target, deadline):
    """The exit status of `make TARGET`; its whole process group is ended at the deadline."""
    process = subprocess.Popen(["make", "--no-print-directory", target], stdin=subprocess.DEVNULL,
                               start_new_session=True)
    try:
        return process.wait(timeout=max(1, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as why:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if isinstance(why, KeyboardInterrupt):
            raise
        print(f"make {target}: ended, the time is over", flush=True)
        return 124


def main(args):
    minutes = 30.0
    if args[:1] == ["--minutes"]:
        minutes = float(args[1])
        args = args[2:]
    if not args:
        print(__doc__, file=sys.stderr)
        return 2
    deadline = time.monotonic() + 60 * minutes
    rows = []
    for target in args:
        path, count = RESULTS.get(target, (None, None))
        if path:
            path = path.replace("%", BUILD)
            if os.path.exists(path):
                os.unlink(path)
        print(f"== make {target}", flush=True)
        begin = time.monotonic()
        status = run_target(target, deadline)
        passed, failed, skipped = 0, 0, 0
        if path and os.path.exists(path):
            passed, failed, skipped = count(path)
        elif status == 0:
            passed = 1
        if status != 0 and failed == 0:
            failed = 1
        rows.append((target, passed, failed, skipped, time.monotonic() - begin))
    print(f"\n{'target':16} passed  failed skipped  seconds")
    for target, passed, failed, skipped, seconds in rows:
        print(f"{target:16} {passed:6d}  {failed:6d}  {skipped:6d}  {seconds:7.0f}")
    passed, failed, skipped = (sum(row[n] for row in rows) for n in (1, 2, 3))
    print(f"{skipped} skipped")
    totals = f"{passed} passed, {failed} failed"
    os.makedirs(os.path.join(BUILD, "results"), exist_ok=True)
    with open(os.path.join(BUILD, "results", "totals"), "w", encoding="utf-8") as stream:
        stream.write(totals + "\n")
    print(totals)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
