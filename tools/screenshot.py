#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a pseudo-terminal and draws the end of what it shows as an SVG picture.

usage: screenshot.py [--rows N] [--columns N] [--title TEXT] [--from TEXT] OUT.svg COMMAND...

The picture holds the last N rows, or those from the last row that holds the text given by --from. Exits
with the command's status.
"""
import argparse
import fcntl
import os
import pty
import re
import struct
import sys
import termios
import xml.sax.saxutils as sax

COLOURS = ["#3b4252", "#e06c75", "#8fce6a", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d8dee9"]
BRIGHT = ["#6b7489", "#ff7b86", "#a6e87c", "#ffd78a", "#7cc4ff", "#dd94f2", "#6fd3df", "#ffffff"]
INK, PAPER, BAR = "#d8dee9", "#1b1f27", "#272c36"
WIDTH, HEIGHT, MARGIN = 8.43, 18, 16
CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b.")


class Screen:
    """As much of a terminal as progress lines and tables need. Rows scroll without end."""

    def __init__(self, columns):
        self.columns = columns
        self.rows = [[]]
        self.row = self.column = 0
        self.style = (None, False, False)  # colour, bold, dim

    def write(self, text):
        at = 0
        while at < len(text):
            match = CONTROL.match(text, at) if text[at] == "\x1b" else None
            if match:
                if match[2]:
                    self._control(match[2], [int(n or 0) for n in match[1].strip("?").split(";")])
                at = match.end()
                continue
            self._put(text[at])
            at += 1

    def _put(self, char):
        if char == "\n":
            self._down(1)
        elif char == "\r":
            self.column = 0
        elif char == "\b":
            self.column = max(0, self.column - 1)
        elif char == "\t":
            self.column = (self.column // 8 + 1) * 8
        elif char >= " ":
            if self.column >= self.columns:
                self._down(1)
                self.column = 0
            line = self.rows[self.row]
            line.extend([(" ", (None, False, False))] * (self.column + 1 - len(line)))
            line[self.column] = (char, self.style)
            self.column += 1

    def _down(self, count):
        self.row += count
        while len(self.rows) <= self.row:
            self.rows.append([])

    def _control(self, letter, numbers):
        count = max(1, numbers[0])
        if letter == "m":
            self._sgr(numbers)
        elif letter == "A":
            self.row = max(0, self.row - count)
        elif letter == "B":
            self._down(count)
        elif letter == "C":
            self.column += count
        elif letter == "D":
            self.column = max(0, self.column - count)
        elif letter == "G":
            self.column = count - 1
        elif letter == "K":
            line = self.rows[self.row]
            if numbers[0] == 2:
                line.clear()
            elif numbers[0] == 0:
                del line[self.column:]
        elif letter == "J" and numbers[0] == 0:
            del self.rows[self.row][self.column:]
            del self.rows[self.row + 1:]

    def _sgr(self, numbers):
        colour, bold, dim = self.style
        for number in numbers:
            if number == 0:
                colour, bold, dim = None, False, False
            elif number in (1, 22):
                bold, dim = number == 1, dim and number == 1
            elif number == 2:
                dim = True
            elif 30 <= number <= 37:
                colour = COLOURS[number - 30]
            elif 90 <= number <= 97:
                colour = BRIGHT[number - 90]
            elif number == 39:
                colour = None
        self.style = (colour, bold, dim)


def capture(command, columns, rows):
    """(screen, exit status) of the command; its output goes to our own stdout as well."""
    screen = Screen(columns)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ["COLUMNS"] = str(columns)
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    rest = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the last process on it has gone
            break
        if not data:
            break
        os.write(1, data)
        rest += data
        cut = max(rest.rfind(b"\n"), rest.rfind(b"\r")) + 1
        screen.write(rest[:cut].decode("utf-8", "replace"))
        rest = rest[cut:]
    screen.write(rest.decode("utf-8", "replace"))
    return screen, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def spans(line):
    """[(column, text, style)] of equal style"""
    found = []
    for column, (char, style) in enumerate(line):
        if found and found[-1][2] == style:
            found[-1][1].append(char)
        else:
            found.append((column, [char], style))
    return [(column, "".join(chars), style) for column, chars, style in found]


def draw(rows, title):
    columns = max([len(line) for line in rows] + [60])
    width, top = columns * WIDTH + 2 * MARGIN, 34
    height = top + len(rows) * HEIGHT + 2 * MARGIN - 6
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
             f'width="{width:.0f}" height="{height:.0f}" font-family="ui-monospace, SFMono-Regular, Menlo, '
             f'Consolas, \'DejaVu Sans Mono\', \'Liberation Mono\', monospace" font-size="14">',
             f"<title>{sax.escape(title)}</title>",
             f'<rect width="100%" height="100%" rx="9" fill="{PAPER}"/>',
             f'<path d="M0 9a9 9 0 0 1 9-9h{width - 18:.0f}a9 9 0 0 1 9 9v{top - 9}H0z" fill="{BAR}"/>']
    parts += [f'<circle cx="{20 + 18 * n}" cy="17" r="5.5" fill="{colour}"/>'
              for n, colour in enumerate(["#ff5f57", "#febc2e", "#28c840"])]
    parts.append(f'<text x="{width / 2:.0f}" y="22" fill="#9aa3b2" text-anchor="middle">'
                 f"{sax.escape(title)}</text>")
    for number, line in enumerate(rows):
        y = top + MARGIN + 8 + number * HEIGHT
        for column, text, (colour, bold, dim) in spans(line):
            if not text.strip():
                continue
            lead = len(text) - len(text.lstrip(" "))
            shown = text.strip(" ")
            weight = ' font-weight="bold"' if bold else ""
            faint = ' opacity="0.6"' if dim else ""
            parts.append(f'<text x="{MARGIN + (column + lead) * WIDTH:.1f}" y="{y}" '
                         f'fill="{colour or INK}"{weight}{faint} xml:space="preserve" '
                         f'textLength="{len(shown) * WIDTH:.1f}">{sax.escape(shown)}</text>')
    return "\n".join(parts + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--columns", type=int, default=150)
    parser.add_argument("--title", default="plimsoll")
    parser.add_argument("--from", dest="start")
    parser.add_argument("out")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    screen, status = capture(options.command, options.columns, options.rows)
    rows = screen.rows
    while rows and not any(char.strip() for char, _ in rows[-1]):
        rows.pop()
    if options.start:
        starts = [n for n, line in enumerate(rows) if options.start in "".join(char for char, _ in line)]
        rows = rows[starts[-1]:] if starts else rows
    with open(options.out, "w", encoding="utf-8") as stream:
        stream.write(draw(rows[-options.rows:], options.title))
    return status


if __name__ == "__main__":
    sys.exit(main())
