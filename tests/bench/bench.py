#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the program costs, measured beside wrk in one run on this machine.

usage: bench.py [--build DIR] [--pairs N] [--seconds S] [--json FILE] [--page FILE]

nginx on the first core answers 201 with a fixed JSON body; on the last core run, in turns, wrk and
`plimsoll run` with the order script without its sleep, both with the same method, headers and body
length. A ratio is that of the processor time per request of one pair; the median of the pairs is printed.
"""
import argparse
import json
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
ORDER = '{"id":"7d0f4f0e-8a52-4c05-9b5c-1c1d9f3a2b11","amount":4211,"currency":"EUR","status":"authorised"}'
TOKEN = "t" * 150  # as long as a JWT
NGINX = """
daemon off; worker_processes 1; error_log stderr crit; pid %(dir)s/pid;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; default_type application/json;
  client_body_temp_path %(dir)s/body; proxy_temp_path %(dir)s/proxy; fastcgi_temp_path %(dir)s/fastcgi;
  uwsgi_temp_path %(dir)s/uwsgi; scgi_temp_path %(dir)s/scgi;
  server {
    listen 127.0.0.1:%(port)d reuseport;
    location = /auth/token { return 200 '{"access_token":"%(token)s"}'; }
    location / { return 201 '%(order)s'; }
  }
}
"""
WRK = """
wrk.method = "POST"
wrk.body = '{"amount":4211,"currency":"EUR"}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
"""


def run(command, cores, **more):
    """(stdout, CPU seconds, maximal resident KiB, status) of a command pinned to the cores."""
    out = tempfile.TemporaryFile("w+")  # pylint: disable=consider-using-with
    process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                               preexec_fn=lambda: os.sched_setaffinity(0, cores), **more)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    out.seek(0)
    return out.read(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss, process.returncode


EMPTY = "export default function () {}\n"
OPEN = """export const options = {
  scenarios: { open: { executor: 'constant-arrival-rate', rate: 20000, duration: '5s', preAllocatedVUs: 400 } },
  thresholds: { iteration_lag: ['p(99)<1'], dropped_iterations: ['count<1'] },
  summaryTrendStats: ['p(50)', 'p(99)', 'max'],
};
""" + EMPTY
PAGE = """<!-- SPDX-License-Identifier: Apache-2.0 -->
# What the program costs

Written by `make bench`: one run on one machine, plimsoll and wrk in turns, nginx on another core answering
201 with a fixed body. Trust the ratios; the times hold for this machine only ({kernel}, {cpus} CPUs).

| what | measured | budget |
|---|---|---|
{rows}
"""


class Bench:
    """A server, the two clients, and a folder for their files."""

    def __init__(self, options):
        self.options = options
        self.binary = os.path.abspath(os.path.join(options.build, "plimsoll"))
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.client_core = {cores[0]}, {cores[-1]}
        self.dir = tempfile.mkdtemp(prefix="plimsoll-bench-")
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.nginx = None

    def __enter__(self):
        self._write("nginx.conf", NGINX % {"dir": self.dir, "port": self.port, "token": TOKEN, "order": ORDER})
        self._write("order.lua", WRK % TOKEN)
        with open(os.path.join(SOURCE, "examples", "order-creation.js"), encoding="utf-8") as stream:
            script = stream.read()
        quick = re.sub(r"^\s*sleep\(.*\);\n", "", script, flags=re.MULTILINE)
        assert quick != script, "the order script has no sleep to take out"
        self._write("order.js", quick)
        self.nginx = subprocess.Popen(["nginx", "-p", self.dir, "-c", os.path.join(self.dir, "nginx.conf")],
                                      preexec_fn=lambda: os.sched_setaffinity(0, self.server_core))
        for _ in range(200):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        raise SystemExit("bench: nginx did not start")

    def __exit__(self, *_):
        self.nginx.send_signal(signal.SIGTERM)
        self.nginx.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as stream:
            stream.write(text)

    def wrk(self, users):
        out, cpu, _, status = run(["wrk", "-t1", f"-c{users}", f"-d{self.options.seconds}s", "-s",
                                   os.path.join(self.dir, "order.lua"), self.url + "/api/v1/orders"],
                                  self.client_core)
        found = re.search(r"(\d+) requests in", out)
        if status or not found or "Non-2xx" in out:
            raise SystemExit(f"bench: wrk failed:\n{out}")
        return 1e6 * cpu / int(found[1])

    def plimsoll(self, users, seconds):
        """(CPU us per request, maximal resident KiB, requests)"""
        summary = os.path.join(self.dir, "summary.json")
        out, cpu, rss, status = run(
            [self.binary, "run", "-q", "-u", str(users), "-d", f"{seconds}s", "--summary-export", summary,
             "-e", f"BASE_URL={self.url}", "-e", "CLIENT_ID=bench", "-e", "CLIENT_SECRET=bench",
             os.path.join(self.dir, "order.js")], self.client_core, cwd=self.dir)
        if status not in (0, 99):
            raise SystemExit(f"bench: plimsoll run failed with status {status}:\n{out}")
        with open(summary, encoding="utf-8") as stream:
            metrics = json.load(stream)["metrics"]
        requests = metrics["http_reqs"]["count"]
        failed = metrics["http_req_failed"]
        share = failed.get("value", failed.get("rate", 0))
        if share > 0:
            raise SystemExit(f"bench: {100 * share} % of the requests failed")
        return 1e6 * cpu / requests, rss, requests

    def pairs(self, users):
        rows = []
        for _ in range(self.options.pairs):
            wrk = self.wrk(users)
            ours, _, _ = self.plimsoll(users, self.options.seconds)
            rows.append((wrk, ours, self.exchange(users)))
        return {"users": users, "wrk_us": statistics.median(row[0] for row in rows),
                "plimsoll_us": statistics.median(row[1] for row in rows),
                "ratio": statistics.median(row[1] / row[0] for row in rows),
                "ratios": [round(row[1] / row[0], 3) for row in rows],
                "exchange_us": statistics.median(row[2] for row in rows),
                "exchange_ratio": statistics.median(row[2] / row[0] for row in rows)}

    def exchange(self, users):
        """CPU microseconds per request of virtual users in C: net and rt without a script."""
        out, cpu, _, status = run([os.path.join(self.options.build, "tests", "bench", "bench-exchange"), str(self.port),
                                   str(users), "2"], self.client_core)
        if status != 0:
            raise SystemExit(f"bench: bench-exchange failed with status {status}:\n{out}")
        return 1e6 * cpu / int(out.split()[0])

    def script(self, text, *flags):
        """(metrics of --summary-export, CPU seconds) of a script without requests."""
        self._write("own.js", text)
        summary = os.path.join(self.dir, "summary.json")
        out, cpu, _, status = run([self.binary, "run", "-q", "--no-record", "--cpus", "1", "--summary-export", summary, *flags,
                                   os.path.join(self.dir, "own.js")], self.client_core, cwd=self.dir)
        if status not in (0, 99):
            raise SystemExit(f"bench: plimsoll run failed with status {status}:\n{out}")
        with open(summary, encoding="utf-8") as stream:
            return json.load(stream)["metrics"], cpu

    def memory(self, users):
        """KiB per virtual user running the order script: the difference to one user."""
        one = self.plimsoll(1, 3)[1]
        return (self.plimsoll(users, 5)[1] - one) / (users - 1)


def page(result):
    """The Markdown page of a result."""
    hist, starts = result["histogram"], result["starts"]
    rows = [f"| order script, {row['users']} VUs, CPU a request | {row['ratio']:.2f} × wrk's ({row['plimsoll_us']:.1f} µs, wrk"
            f" {row['wrk_us']:.1f} µs) | {'≤ 2.3 ×' if row['users'] == 100 else 'none yet'} |"
            for key, row in result.items() if key.startswith("order_")]
    rows += [f"| memory of a VU that runs it | {result['kib_per_vu']:.0f} KiB | ≤ 100 KiB |",
             f"| an iteration of an empty script | {result['empty_us']:.2f} µs | none |",
             f"| start error at 20,000 arrivals/s | p50 {1000 * starts['p(50)']:.0f} µs, p99 {1000 * starts['p(99)']:.0f} µs,"
             f" {starts['dropped']} dropped | p99 ≤ 1 ms, none dropped |",
             f"| adding a value to a histogram | {hist['add_ns']:.1f} ns | ≤ 20 ns |",
             f"| its worst relative error | {100 * hist['worst_relative_error']:.2f} % | ≤ 1 % |"]
    return PAGE.format(rows="\n".join(rows), kernel="Linux " + os.uname().release.split("-")[0], cpus=os.cpu_count())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--users", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--json")
    parser.add_argument("--page", metavar="FILE", help="write the results as Markdown")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    result = {}
    hist, _, _, _ = run([os.path.join(options.build, "tests", "bench", "bench-hist")], os.sched_getaffinity(0))
    result["histogram"] = json.loads(hist)
    print(f"histogram            {result['histogram']['add_ns']:.1f} ns to add,"
          f" worst relative error {100 * result['histogram']['worst_relative_error']:.2f} %", flush=True)
    with Bench(options) as bench:
        for users in options.users:
            row = bench.pairs(users)
            result[f"order_{users}"] = row
            print(f"order, {users:5d} VUs      plimsoll {row['plimsoll_us']:.1f} us, wrk {row['wrk_us']:.1f} us of CPU a"
                  f" request: ratio {row['ratio']:.2f} ({', '.join(map(str, row['ratios']))})", flush=True)
            print(f"exchange alone       {row['exchange_us']:.1f} us: ratio {row['exchange_ratio']:.2f}", flush=True)
        result["kib_per_vu"] = bench.memory(500)
        print(f"memory               {result['kib_per_vu']:.1f} KiB per VU running the order script", flush=True)
        empty, cpu = bench.script(EMPTY, "-u", "100", "-d", "3s")
        result["empty_us"] = 1e6 * cpu / empty["iterations"]["count"]
        print(f"empty script         {result['empty_us']:.2f} us of CPU an iteration", flush=True)
        starts, _ = bench.script(OPEN)
        result["starts"] = {**starts["iteration_lag"], "dropped": starts["dropped_iterations"]["count"]}
        print(f"20,000 arrivals/s    start error p50 {1000 * starts['iteration_lag']['p(50)']:.0f} us,"
              f" p99 {1000 * starts['iteration_lag']['p(99)']:.0f} us, {result['starts']['dropped']} dropped", flush=True)
    if options.page:
        with open(options.page, "w", encoding="utf-8") as stream:
            stream.write(page(result))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(result, stream, indent=2)


if __name__ == "__main__":
    sys.exit(main())
