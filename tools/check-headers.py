#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles each header of src/ alone: a header includes what it needs. After a build, which obtains
quickjs.h.

usage: check-headers.py [CC]
"""
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
LIBRARIES = ["openssl", "jansson", "libfyaml", "libcares", "libpq", "libmicrohttpd", "check"]


def library_flags():
    out = subprocess.run(["pkg-config", "--cflags", *LIBRARIES], stdout=subprocess.PIPE, text=True,
                         check=True)
    return out.stdout.split()


def headers():
    for top in ("src", "services", "sdk", "tests/unit"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                path = os.path.join(folder, name)
                if name.endswith(".h") and "/src/tbl/" not in path:
                    yield path


def main(args):
    cc = args[0] if args else "cc"
    quickjs = os.path.join(ROOT, os.environ.get("BUILD", "build"), "subprojects", "quickjs")
    flags = ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror",
             f"-I{ROOT}/src", f"-I{ROOT}/services", f"-I{ROOT}/services/common", f"-I{ROOT}/sdk",
             f"-I{ROOT}/tests/unit", "-isystem", quickjs, *library_flags()]

    def compile_alone(path):
        done = subprocess.run([cc, *flags, "-fsyntax-only", "-include", path, "-x", "c", "/dev/null"],
                              stderr=subprocess.PIPE, text=True, check=False)
        return done.stderr if done.returncode else ""

    with ThreadPoolExecutor(max_workers=2) as pool:
        found = [text for text in pool.map(compile_alone, headers()) if text]
    print("\n".join(found) or "headers: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
