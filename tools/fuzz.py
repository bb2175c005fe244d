#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the libFuzzer programs with clang and runs them.

usage: fuzz.py [--seconds S] [--keep] NAME|all

Starts from tests/fuzz/corpus/NAME; what it finds stays in build-fuzz/corpus/NAME, an input that
breaks the program in build-fuzz/crash-NAME-*: add that to the corpus with the repair. With --keep,
inputs that reach new code are added to tests/fuzz/corpus/NAME, merged to a minimum.
"""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
BUILD = os.path.join(ROOT, "build-fuzz")
OPTIONS = {"ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
           "LSAN_OPTIONS": f"suppressions={ROOT}/tools/lsan.supp:print_suppressions=0",
           "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


def build():
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        subprocess.run(["meson", "setup", BUILD, ROOT, "-Dfuzz=true", "-Db_lundef=false",
                        "-Db_sanitize=address,undefined", "-Dtests=disabled"],
                       env={**os.environ, "CC": "clang"}, check=True)
    # Only the fuzzers: what else there is need not compile with clang.
    rules = subprocess.run(["ninja", "-C", BUILD, "-t", "targets", "all"], stdout=subprocess.PIPE, text=True,
                           check=True).stdout
    programs = re.findall(r"^(tests/fuzz/fuzz-\w+): c_LINKER", rules, re.MULTILINE)
    subprocess.run(["ninja", "-C", BUILD, "-j2", *programs], check=True)


def fuzz(path, seconds, keep):
    name = os.path.basename(path)[len("fuzz-"):]
    seeds = os.path.join(ROOT, "tests", "fuzz", "corpus", name)
    grown = os.path.join(BUILD, "corpus", name)
    os.makedirs(grown, exist_ok=True)
    env = {**os.environ, **OPTIONS}
    print(f"== {name}: {seconds} s", flush=True)
    done = subprocess.run([path, f"-max_total_time={seconds}", "-max_len=65536", "-timeout=5",
                           "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=0",
                           f"-artifact_prefix={BUILD}/crash-{name}-", grown, seeds], env=env, check=False)
    if keep:
        subprocess.run([path, "-merge=1", "-max_len=4096", seeds, grown], env=env, check=True)
    print(f"{name}: {'broke' if done.returncode else 'held'}", flush=True)
    return done.returncode == 0


def main(args):
    seconds, keep = "60", False
    while args and args[0].startswith("--"):
        if args[0] == "--seconds":
            seconds = args[1]
            args = args[1:]
        keep = keep or args[0] == "--keep"
        args = args[1:]
    if len(args) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    build()
    wanted = "*" if args[0] == "all" else args[0]
    paths = [path for path in sorted(glob.glob(f"{BUILD}/tests/fuzz/fuzz-{wanted}"))
             if os.path.isfile(path)]
    if not paths:
        print(f"fuzz.py: no target {args[0]}", file=sys.stderr)
        return 2
    held = [fuzz(path, seconds, keep) for path in paths]
    print(f"{sum(held)} passed, {len(held) - sum(held)} failed")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
