#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the k6 conformance cases against a binary and holds the result against the known failures.

usage: run.py BINARY [--results FILE.json] [--shrink] [compare.py's options]

A case that fails and is not listed in k6-known-failures.txt breaks the run. So does a listed case
that passes: take it out of the list (--shrink does), so that the list only shrinks. Listed is
`CASE  reason`. A case not listed that fails is run once more, alone: some cases measure time.
Ends with `N passed, N failed`, after the number of known failures.
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
COMPARE = os.path.join(HERE, "k6", "compare.py")
KNOWN = os.path.join(HERE, "k6-known-failures.txt")


def read_known():
    known = {}
    with open(KNOWN, encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip() and not line.startswith("#"):
                case, _, reason = line.strip().partition(" ")
                if not reason.strip():
                    sys.exit(f"{KNOWN}:{number}: {case}: give the reason")
                known[case] = reason.strip()
    return known


def run_cases(binary, args):
    """{case: None if it passed, else the differences}"""
    found = {}
    command = [sys.executable, COMPARE, binary, "--verbose", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            match = re.match(r"(FAIL|ok  ) ([^ :]+)(?:: (.*))?$", line.rstrip())
            if match:
                found[match[2]] = None if match[1] == "ok  " else match[3] or "failed"
    if process.returncode not in (0, 1) or not found:
        sys.exit(f"compare.py ended with status {process.returncode}")
    return found


def shrink(passing):
    with open(KNOWN, encoding="utf-8") as stream:
        lines = stream.readlines()
    with open(KNOWN, "w", encoding="utf-8") as stream:
        stream.writelines(line for line in lines if line.split(" ")[0].strip() not in passing)


def main(args):
    if not args or args[0].startswith("-"):
        sys.exit(__doc__)
    binary, args = args[0], args[1:]
    results = None
    if "--results" in args:
        at = args.index("--results")
        results = args[at + 1]
        del args[at:at + 2]
    shrinking = "--shrink" in args
    if shrinking:
        args.remove("--shrink")
    known = read_known()
    found = run_cases(binary, args)
    new = sorted(case for case, why in found.items() if why and case not in known)
    for case in new:
        again = run_cases(binary, ["--jobs", "1", "--only", case])
        if again.get(case, "") is None:
            print(f"note {case}: passed at the second try ({found[case]})")
            found[case] = None
    new = [case for case in new if found[case]]
    mended = sorted(case for case in known if case in found and not found[case])
    skipped = [case for case in known if found.get(case)]
    for case in new:
        print(f"FAIL {case}: {found[case]}")
    if shrinking:
        shrink(set(mended))
        mended = []
    for case in mended:
        print(f"FAIL {case}: passes but is listed as a known failure; run with --shrink")
    unknown = sorted(set(known) - set(found)) if not args else []
    for case in unknown:
        print(f"FAIL {case}: listed as a known failure but there is no such case")
    failed = len(new) + len(mended) + len(unknown)
    passed = sum(1 for why in found.values() if not why) - len(mended)
    if results:
        with open(results, "w", encoding="utf-8") as stream:
            json.dump({"passed": passed, "failed": failed, "skipped": len(skipped)}, stream)
    print(f"k6 conformance: {passed + len(mended)} of {len(found)} cases"
          f" ({100 * (passed + len(mended)) / len(found):.0f} %)")
    print(f"{len(skipped)} known failures")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
