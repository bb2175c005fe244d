#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Applies our edits to the unmodified quickjs.c of the pinned version.

usage: quickjs-patch.py SOURCE TARGET

Each place must be found exactly once, else nothing is written and the place is named.

The realm of a function is the context of its caller, so that contexts of one runtime can share
bytecode. The rule that makes this right: every entry from C is given the virtual user's context, and
no native function keeps a context.
"""
import sys

# name of the place, text, what replaces it
EDITS = [
    ("js_call_c_function: realm of a C function",
     "    ctx = p->u.cfunc.realm; /* change the current realm */\n",
     ""),
    ("JS_CallInternal: realm of a resumed generator",
     "            ctx = b->realm;\n            var_refs = p->u.func.var_refs;\n",
     "            ctx = caller_ctx;\n            var_refs = p->u.func.var_refs;\n"),
    ("JS_CallInternal: realm of a called function",
     "    ctx = b->realm; /* set the current realm */\n",
     "    ctx = caller_ctx;\n"),
]


def main(args):
    if len(args) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with open(args[0], encoding="utf-8") as stream:
        text = stream.read()
    wrong = [f"quickjs-patch.py: {name}: found {text.count(old)} times in {args[0]}, expected once"
             for name, old, _ in EDITS if text.count(old) != 1]
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    for _, old, new in EDITS:
        text = text.replace(old, new)
    with open(args[1], "w", encoding="utf-8") as stream:
        stream.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
