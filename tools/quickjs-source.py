#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Obtains the pinned sources of QuickJS-ng and writes them, patched, into a folder.

usage: quickjs-source.py FOLDER

The source distribution comes by pip into a cache outside the tree
(${XDG_CACHE_HOME:-~/.cache}/plimsoll); once it is there, no network is needed. Its hash is verified
each time.
"""
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

PACKAGE, VERSION = "quickjs-ng", "0.17.0.2"
FILE = "quickjs_ng-0.17.0.2.tar.gz"
SHA256 = "43d2e48272208721a7aaea8e3f02d4b9318f12ef20cc4f5421b59d9a470706ef"
# What Debian and Ubuntu ship as pip may put itself elsewhere; -m pip finds it.
PIP = [sys.executable, "-m", "pip"]


def fail(message):
    sys.exit("quickjs-source.py: " + message)


def cached():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "plimsoll", FILE)


def digest(path):
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def download(target):
    if subprocess.run(PIP + ["--version"], stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL, check=False).returncode:
        fail("pip is missing, which fetches the sources of QuickJS-ng; "
             "install it with: apt-get install python3-pip")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder:
        command = PIP + ["download", "--quiet", "--disable-pip-version-check", "--no-deps",
                         "--no-binary", ":all:", "--no-build-isolation", "--dest", folder,
                         f"{PACKAGE}=={VERSION}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        path = os.path.join(folder, FILE)
        if done.returncode and "--no-build-isolation" in command:
            command.remove("--no-build-isolation")
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  check=False)
        if done.returncode or not os.path.exists(path):
            fail(f"cannot download {PACKAGE} {VERSION} (put {FILE} into "
                 f"{os.path.dirname(target)} to build without network):\n"
                 + done.stdout.decode(errors="replace").strip())
        if digest(path) != SHA256:
            fail(f"{FILE} has sha256 {digest(path)}, expected {SHA256}")
        os.replace(path, target)


def main(args):
    if len(args) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    archive = cached()
    if not os.path.exists(archive):
        download(archive)
    if digest(archive) != SHA256:
        fail(f"{archive} is damaged: sha256 is {digest(archive)}, expected {SHA256}; remove it")
    os.makedirs(args[0], exist_ok=True)
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            name = re.fullmatch(r"[^/]+/upstream-quickjs/([\w.-]+\.[ch])", member.name)
            if name and member.isfile():
                with tar.extractfile(member) as source, \
                        open(os.path.join(args[0], name[1]), "wb") as target:
                    shutil.copyfileobj(source, target)
    spec = importlib.util.spec_from_file_location(
        "patch", os.path.join(os.path.dirname(os.path.abspath(__file__)), "quickjs-patch.py"))
    patch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(patch)
    path = os.path.join(args[0], "quickjs.c")
    return patch.main([path, path])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
