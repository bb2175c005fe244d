#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of the tree that no compiler checks; one line per breach, exit 1 if there is any.

usage: check-source.py

Licence headers, banned functions (tools/banned.h), size of files and functions,
#pragma once, words that must not appear, and that each path named in the documents exists.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
CODE = (".c", ".h")
LICENSED = (".c", ".h", ".py", ".sh", ".js", ".ts", "meson.build", "Makefile", ".yaml", ".yml")
# Recorded cases, generated pages and the licence text itself.
UNTOUCHED = ("tests/conformance/k6/", "tests/fuzz/corpus/", "docs/reference/", "LICENSE")
MAX_FILE, MAX_FUNCTION = 1200, 80
HOSTS = ("deb.debian" + ".org", "pypi" + ".org", "files.pythonhosted" + ".org",
         "registry.npmjs" + ".org", "crates" + ".io")
FORBIDDEN = [(re.compile(r"\b(TODO|FIXME|XXX)\b"), "finish it or drop it"),
             (re.compile(r"(^|[\s\"'(=:])/(work|home/\w|root/(?!plimsoll))"), "a path of one machine"),
             (re.compile("|".join(map(re.escape, HOSTS))), "a registry host")]


def tracked():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return [name for name in names.stdout.decode().split("\0")
            if name and not name.startswith(UNTOUCHED) and os.path.isfile(os.path.join(ROOT, name))
            and not os.path.islink(os.path.join(ROOT, name))]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as stream:
        return stream.read()


def without_comments(text):
    """The same lines with comments, strings and characters blanked."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return pattern.sub(lambda m: '""' if m[0][0] == '"' else re.sub(r"[^\n]", " ", m[0]), text)


def banned_table():
    rows = re.findall(r'^BANNED\((\w+), "([^"]*)", "([^"]*)"\)', read("tools/banned.h"), re.MULTILINE)
    return [(re.compile(r"(?<![\w.>])%s\s*\(" % name), name, use, allowed.split())
            for name, use, allowed in rows]


def check_banned(name, lines, banned):
    for pattern, function, use, allowed in banned:
        if any(name.startswith(place) for place in allowed):
            continue
        for number, line in enumerate(lines, 1):
            if function in line and pattern.search(line):
                yield f"{name}:{number}: {function}() is banned: use {use}"
    if name.startswith("src/") and name not in ("src/base/log.c", "src/base/mem.c") and not name.startswith("src/cmd/"):
        for number, line in enumerate(lines, 1):
            if re.search(r"\b(fprintf|fputs|vfprintf)\s*\((.*,)?\s*stderr\b", line):
                yield f"{name}:{number}: only log.c and cmd write to stderr"


def check_functions(name, lines):
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            if number - start - 1 > MAX_FUNCTION:
                yield f"{name}:{start}: function of {number - start - 1} lines, at most {MAX_FUNCTION}"
            start = None


def check_code(name, text, banned):
    lines = without_comments(text).splitlines()
    if name.startswith("src/"):
        yield from check_banned(name, lines, banned)
    yield from check_functions(name, lines)
    if len(lines) > MAX_FILE:
        yield f"{name}: {len(lines)} lines, at most {MAX_FILE}"
    table = "clang-format off" in text
    if name.endswith(".h") and not table and "#pragma once" not in text:
        yield f"{name}: #pragma once is missing"


def check_words(name, text):
    if name == "tools/check-source.py":
        return
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, why in FORBIDDEN:
            found = pattern.search(line)
            if found:
                yield f"{name}:{number}: '{found[0].strip()}': {why}"


def check_document(name, text):
    """Each `path/like/this` in backquotes and each relative link exists."""
    folders = {path.split("/")[0] for path in tracked() if "/" in path}
    for number, line in enumerate(text.splitlines(), 1):
        links = [(target, os.path.dirname(name)) for target in re.findall(r"\]\(([^)#]+)[^)]*\)", line)
                 if "://" not in target]
        paths = [(path, "") for path in re.findall(r"`([\w.-]+/[\w./*{},-]*)`", line)
                 if path.split("/")[0] in folders]
        for path, base in links + paths:
            for each in expand(path):
                if not exists(os.path.join(ROOT, base, each)):
                    yield f"{name}:{number}: {each} does not exist"


def expand(path):
    """src/a.{c,h} to src/a.c and src/a.h"""
    match = re.match(r"(.*)\{([^}]*)\}(.*)", path)
    if not match:
        return [path]
    return [match[1] + part + match[3] for part in match[2].split(",")]


def exists(path):
    if "*" not in path:
        return os.path.exists(path)
    folder, name = os.path.split(path)
    pattern = re.compile(re.escape(name).replace(r"\*", ".*"))
    return os.path.isdir(folder) and any(pattern.fullmatch(entry) for entry in os.listdir(folder))


def check_licence(name, text):
    if name.endswith(LICENSED) or text.startswith("#!"):
        if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(text.splitlines()[:3]):
            yield f"{name}:1: SPDX-License-Identifier: Apache-2.0 is missing"


def main(args):
    if args:
        print(__doc__, file=sys.stderr)
        return 2
    banned = banned_table()
    breaches = []
    names = tracked()
    for name in names:
        text = read(name)
        if "\0" in text:
            continue
        breaches += check_licence(name, text)
        breaches += check_words(name, text)
        if name.endswith(CODE):
            breaches += check_code(name, text, banned)
        if name.endswith(".md"):
            breaches += check_document(name, text)
    print("\n".join(breaches) or f"source: ok ({len(names)} files)")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
