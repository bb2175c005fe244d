#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The layers of src/ and what each may include; checks every #include against it.

usage: layers.py            check src/, one line per breach; exit 1 if there is any
       layers.py --deps L   the layers that L may use, bottom first (for the build)
       layers.py --order    all layers, bottom first
"""
import os
import re
import sys

# layer: what it may include besides itself and tbl. Bottom first.
LAYERS = {
    "base": "",
    "tbl": "",
    "codec": "base",
    "model": "base",
    "metric": "model codec base",
    "prof": "codec base",
    "rt": "base",
    "net": "rt codec base",
    "serve": "rt codec base",
    "record": "metric codec base",
    "load": "record net rt metric model codec base",
    "kube": "net rt codec model base",
    "lab": "kube net rt codec base",
    "observe": "kube prof net rt metric codec base",
    "chaos": "lab kube net rt codec model base",
    "scale": "lab kube observe serve net rt metric codec model base",
    "plan": "load scale chaos lab observe record prof kube metric model codec net rt base",
    "report": "record prof metric model codec base",
    "js": "load net metric codec rt base",
    "cmd": "*",
}
# Header of a library -> the layers that may see it.
PRIVATE = {
    r"quickjs\.h": {"js"},
    r"openssl/(ssl|x509|err|pem)\w*\.h": {"net", "serve"},
    r"microhttpd\.h": {"serve"},
    r"sys/epoll\.h": {"rt"},
    r"sched\.h": {"rt", "lab", "chaos"},
    r"sys/mount\.h": {"lab", "chaos"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def allowed(layer):
    if LAYERS[layer] == "*":
        return set(LAYERS)
    return set(LAYERS[layer].split()) | {layer, "tbl"}


def check(root):
    breaches = []
    for layer in LAYERS:
        for folder, _, names in os.walk(os.path.join(root, "src", layer)):
            for name in sorted(names):
                if not name.endswith((".c", ".h")):
                    continue
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as stream:
                    for number, line in enumerate(stream, 1):
                        match = INCLUDE.match(line)
                        if match:
                            breaches += breach(layer, path, number, *match.groups())
    return breaches


def breach(layer, path, number, quote, target):
    if path.endswith("src/js/quickjs_ext.c") and target == "quickjs.c":
        return []  # the one file that sees the inside of QuickJS
    if quote == '"':
        other = target.split("/")[0]
        if "/" not in target or other not in LAYERS:
            return [f'{path}:{number}: write "layer/file.h", not "{target}"']
        if other not in allowed(layer):
            return [f"{path}:{number}: {layer} may not include {other} ({target})"]
        return []
    for pattern, owners in PRIVATE.items():
        if re.fullmatch(pattern, target) and layer not in owners:
            return [f"{path}:{number}: only {', '.join(sorted(owners))} may include <{target}>"]
    return []


def main(args):
    if args == ["--order"]:
        print(" ".join(name for name in LAYERS if name != "tbl"))
        return 0
    if len(args) == 2 and args[0] == "--deps":
        order = [name for name in LAYERS if name != "tbl"]
        print(" ".join(n for n in order if n in allowed(args[1]) and n != args[1]))
        return 0
    if args:
        print(__doc__, file=sys.stderr)
        return 2
    breaches = check(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    print("\n".join(breaches) or "layers: ok")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
