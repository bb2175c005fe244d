#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/reference/NAME.md of each table src/tbl/NAME.h, and docs/man/plimsoll.1.scd from
plimsoll.1.scd.in, where a line `; TABLE` (a comment of scdoc) stands for the rows of that table.

usage: gen-docs.py           write them
       gen-docs.py --check   say what is wrong with the tables or out of date; exit 1 if anything is

A table begins with a comment that says what its rows are: `... ROW(id, name, ..., help). More.`
The names of the columns come from there.
"""
import os
import re
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
TABLES = os.path.join(ROOT, "src", "tbl")
PAGES = os.path.join(ROOT, "docs", "reference")
SPDX = "<!-- SPDX-License-Identifier: Apache-2.0 -->\n"


class Table:
    """One X-macro table: self.title, self.about, self.parts = [(macro, columns, rows)]."""

    def __init__(self, path):
        self.path = os.path.relpath(path, ROOT)
        self.name = os.path.basename(path)[:-2]
        self.faults = []
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        comment = " ".join(re.findall(r"^//\s?(.*)$", text[:self._first_row(text)], re.MULTILINE)[:30])
        comment = re.sub(r"SPDX-\S+ \S+|clang-format off", "", comment).strip()
        self.about = comment
        self.parts = []
        for macro, columns in re.findall(r"\b([A-Z][A-Z0-9_]+)\(([a-z_, ]+)\)", comment):
            names = [column.strip() for column in columns.split(",")]
            rows = list(self._rows(text, macro, len(names)))
            if rows:
                self.parts.append((macro, names, rows))
        if not self.parts:
            self.faults.append(f"{self.path}:1: say in a comment what a row is: ROW(id, name, ..., help)")
        for macro, names, rows in self.parts:
            self._check_unique(macro, names, rows)

    @staticmethod
    def _first_row(text):
        match = re.search(r"^[A-Z][A-Z0-9_]+\(", text, re.MULTILINE)
        return match.start() if match else len(text)

    def _rows(self, text, macro, width):
        for match in re.finditer(r"^%s\(" % macro, text, re.MULTILINE):
            fields = split_arguments(text, match.end())
            if len(fields) != width:
                line = text.count("\n", 0, match.start()) + 1
                self.faults.append(f"{self.path}:{line}: {macro} has {len(fields)} fields, not {width}")
                continue
            yield fields

    def _check_unique(self, macro, names, rows):
        for key in ("id",):
            if key in names and "parent" not in names and "group" not in names:
                seen = set()
                for row in rows:
                    value = row[names.index(key)]
                    if value in seen:
                        self.faults.append(f"{self.path}: {macro}: {key} {value} twice")
                    seen.add(value)

    def page(self):
        title = self.name.replace("_", " ").capitalize()
        lines = [SPDX + f"<!-- Made from {self.path} by tools/gen-docs.py. -->", f"# {title}", ""]
        for _, names, rows in self.parts:
            shown = [n for n, name in enumerate(names)
                     if name not in ("id", "fn", "handler", "function", "offset", "member", "field")] \
                or list(range(len(names)))
            lines.append("| " + " | ".join(names[n].replace("_", " ") for n in shown) + " |")
            lines.append("|" + " --- |" * len(shown))
            lines += ["| " + " | ".join(cell(row[n]) for n in shown) + " |" for row in rows]
            lines.append("")
        return "\n".join(lines)


def split_arguments(text, start):
    """The arguments of the macro call whose parenthesis was opened before `start`."""
    fields, field, depth, at = [], "", 1, start
    while at < len(text):
        string = re.compile(r'"(?:\\.|[^"\\])*"').match(text, at)
        if string:
            field += string[0]
            at = string.end()
            continue
        char = text[at]
        depth += (char in "({[") - (char in ")}]")
        if depth == 0:
            break
        if char == "," and depth == 1:
            fields.append(field.strip())
            field = ""
        else:
            field += char
        at += 1
    return fields + [field.strip()]


def cell(field):
    strings = re.findall(r'"((?:\\.|[^"\\])*)"', field)
    if strings:
        text = "".join(strings).replace('\\"', '"').replace("\\n", " ").replace("\\\\", "\\")
    else:
        text = "" if field in ("NULL", "NONE", "0") else field.strip("'").lower()
    return text.replace("|", "\\|") or " "


def man_text(text):
    """Text with what scdoc would take for markup escaped."""
    return re.sub(r"([_*\\<#\[\]])", r"\\\1", text)


def man_rows(table):
    """The rows of a table as paragraphs of the manual page: what to type, then what it means."""
    for _, names, rows in table.parts:
        for row in rows:
            value = {name: cell(field).strip() for name, field in zip(names, row)}
            if "flag" in names:
                if not value["flag"] and not value["env"]:
                    continue
                letter = f"*-{value['letter']}*, " if value["letter"] else ""
                arg = f" _{man_text(value['arg'])}_" if value["arg"] else ""
                head = f"{letter}*--{value['flag']}*{arg}" if value["flag"] else ""
                env = f"*{man_text(value['env'])}*" if value["env"] else ""
                yield ", ".join(filter(None, [head, env])), value["help"]
            elif "arguments" in names:
                yield f"*plimsoll {value['name']}* {man_text(value['arguments'])}", value["summary"]
            else:
                key = "value" if "value" in names else "name"
                yield f"*{man_text(row[names.index(key)].strip(chr(34)))}*", value[names[-1]]


def man_page(tables):
    """docs/man/plimsoll.1.scd, or None where there is no template."""
    template = os.path.join(ROOT, "docs", "man", "plimsoll.1.scd.in")
    if not os.path.exists(template):
        return None
    lines = []
    with open(template, encoding="utf-8") as stream:
        for line in stream.read().splitlines():
            name = line[2:] if line.startswith("; ") else ""
            if name in tables:
                for head, text in man_rows(tables[name]):
                    lines += [head, "\t" + man_text(text), ""]
                lines.pop()
            elif not line.startswith("; "):
                lines.append(line)
    return template[:-3], "\n".join(lines).strip("\n") + "\n"


def products():
    """([path, content], faults)"""
    pages, faults, tables = [], [], {}
    for name in sorted(os.listdir(TABLES)):
        if name.endswith(".h"):
            table = Table(os.path.join(TABLES, name))
            faults += table.faults
            tables[table.name] = table
            if table.parts:
                pages.append((os.path.join(PAGES, table.name + ".md"), table.page()))
    index = [SPDX + "# Reference", "", "Made from the tables in `src/tbl` by `make docs`.", ""]
    index += [f"- [{os.path.basename(path)[:-3].replace('_', ' ')}]({os.path.basename(path)})"
              for path, _ in pages]
    made = {os.path.basename(path) for path, _ in pages} | {"README.md"}
    others = sorted(name for name in os.listdir(PAGES) if name.endswith(".md") and name not in made)
    index += ["", "Measured or written:", ""] if others else []
    index += [f"- [{name[:-3].replace('-', ' ')}]({name})" for name in others]
    pages.append((os.path.join(PAGES, "README.md"), "\n".join(index) + "\n"))
    page = man_page(tables)
    if page:
        pages.append(page)
    return pages, faults


def main(args):
    if args not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    pages, faults = products()
    if args:
        for path, content in pages:
            if not os.path.exists(path) or open(path, encoding="utf-8").read() != content:
                faults.append(f"{os.path.relpath(path, ROOT)}: out of date: make docs")
    else:
        os.makedirs(PAGES, exist_ok=True)
        for path, content in pages:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(content)
    print("\n".join(faults) or f"tables: ok ({len(pages)} pages)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
