#!/usr/bin/env python3
"""What ftmpi costs: each benchmark bare and in each mode, alternately, as a table with the marks beside.

    run_cost_benchmarks.py --build DIR [--quick] [--modes M,...] [--only GROUP,...] [--pairs N]
                           [--prepare SIZE] [--json FILE]

Groups: shared, tcp, exchange, wildcard, collectives, applications, off. One pair is a run without the
library and, right after it, one in each mode; a cost is the median over the pairs of what a pair says, so
that a slow phase of the machine touches both sides alike. Marks are for an otherwise idle machine with
two cores for two ranks: on a busy one they are shown, but not judged. The exit code is 0 also where marks are missed: this measures, it does not judge,
unless --strict is given.

A message's log record lies in memory that has to be got from the system once, which can cost more than the message. The
micro-benchmarks are run with that memory made ready in MPI_Init (FT_LOG_PREPARE), as it is when the log's memory
is used again; --prepare default shows them with fresh memory instead. Applications run with default settings.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mpi_jobs  # noqa: E402

# A mark: ("ratio", r) or ("added", nanoseconds).
SHARED = {8: ("added", 60), 1024: ("ratio", 1.5), 8192: ("ratio", 1.15), 65536: ("ratio", 1.10),
          1 << 20: ("ratio", 1.05), 4 << 20: ("ratio", 1.05)}
TCP = {size: ("ratio", 1.10 if size <= 8192 else 1.25) for size in SHARED}
COLLECTIVE = {size: ("ratio", 1.2) for size in (8, 65536, 4 << 20)}

# Up to this share of busy processors the machine counts as idle.
BUSY = 0.10

SHARED_ARGUMENTS = ["--mca", "btl", "self,vader"]
TCP_ARGUMENTS = ["--mca", "btl", "self,tcp"]
PINNED = ["--bind-to", "core"]


class Rows:
    """Times by (name, bytes) and side ('bare' or a mode), one per pair."""

    def __init__(self):
        self.times = {}

    def add(self, key, side, value):
        self.times.setdefault(key, {}).setdefault(side, []).append(value)

    def table(self, modes, marks, judge):
        """Lines for people, records for machines."""
        lines, records = [], []
        for key, sides in self.times.items():
            mark = marks.get(key[1]) if isinstance(marks, dict) else marks
            bare = sides["bare"]
            for mode in modes:
                if mode not in sides:
                    continue
                ratio = statistics.median(b / a for a, b in zip(bare, sides[mode]))
                added = statistics.median(b - a for a, b in zip(bare, sides[mode]))
                reached = None
                if mark and judge:
                    reached = ratio <= mark[1] if mark[0] == "ratio" else added <= mark[1]
                records.append({
                    "name": key[0], "bytes": key[1], "mode": mode, "pairs": len(bare),
                    "bare": statistics.median(bare), "with": statistics.median(sides[mode]),
                    "ratio": ratio, "added": added, "mark": mark, "reached": reached})
                lines.append(
                    f"{key[0]:22}{key[1]:>9} {mode:12}{show(records[-1]['bare']):>12}"
                    f"{show(records[-1]['with']):>12}{ratio:8.3f}{show(added):>12}"
                    f"   {show_mark(mark):>10} {'' if reached is None else 'reached' if reached else 'MISSED'}")
        return lines, records


def show(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if abs(ns) >= size:
            return f"{ns / size:.3f} {unit}"
    return f"{ns:.0f} ns"


def show_mark(mark):
    if not mark:
        return ""
    return f"{mark[1]:.2f}x" if mark[0] == "ratio" else f"+{mark[1]} ns"


class Runner:
    def __init__(self, build, modes, pairs, seconds, prepare):
        self.build, self.modes, self.pairs, self.seconds, self.prepare = build, modes, pairs, seconds, prepare

    def _run(self, mode, np, program, arguments, mpirun_arguments, prepare=None):
        with mpi_jobs.Scratch("cost") as scratch:
            variables = scratch.variables() if mode else {}
            if mode and prepare:
                variables |= {"FT_LOG_MEMORY": "8G", "FT_LOG_PREPARE": prepare}
            command = mpi_jobs.mpirun(
                np, self.build.program(program), arguments, mode, self.build.library,
                variables, mpirun_arguments)
            outcome = mpi_jobs.run(command, scratch.directory, timeout=600)
        if outcome.code != 0:
            raise SystemExit(f"{' '.join(command)}\nended with {outcome.code}\n{outcome.stderr.decode()}")
        return outcome

    def micro(self, label, program, sizes, np, mpirun_arguments):
        """A program that prints '<name> <bytes> <ns>' lines."""
        rows = Rows()
        arguments = [",".join(map(str, sizes)), self.seconds]
        for pair in range(self.pairs):
            for mode in [None, *self.modes]:
                progress(f"{label}: pair {pair + 1} of {self.pairs}, {mode or 'bare'}")
                outcome = self._run(mode, np, program, arguments, mpirun_arguments, self.prepare)
                for line in outcome.stdout.decode().splitlines():
                    name, size, ns = line.split()
                    rows.add((f"{name} {label}", int(size)), mode or "bare", float(ns))
        return rows

    def applications(self, applications, np):
        """Whole runs, from mpirun's start to its end."""
        rows = Rows()
        for name, arguments in applications:
            for pair in range(self.pairs):
                for mode in [None, *self.modes]:
                    progress(f"{name}: pair {pair + 1} of {self.pairs}, {mode or 'bare'}")
                    outcome = self._run(mode, np, name, arguments, PINNED)
                    rows.add((name, np), mode or "bare", outcome.seconds * 1e9)
        return rows


def busy():
    """The share of the machine's processors that others use, looked at for two seconds."""
    def sample():
        fields = list(map(int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
        return sum(fields), fields[3] + fields[4]

    total, idle = sample()
    time.sleep(2)
    total_after, idle_after = sample()
    return 1.0 - (idle_after - idle) / max(1, total_after - total)


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--quick", action="store_true", help="fewer pairs, sizes and seconds")
    parser.add_argument("--modes", default=",".join(mpi_jobs.LOGGING_MODES))
    parser.add_argument("--only", default="shared,tcp,exchange,wildcard,collectives,applications,off")
    parser.add_argument("--pairs", type=int, help="runs of each side (default 7, --quick 3)")
    parser.add_argument("--prepare", default="3G",
                        help="log memory made ready for the micro-benchmarks (default 3G), or 'default'")
    parser.add_argument("--json", type=pathlib.Path, help="write the table there too")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when a mark is missed")
    options = parser.parse_args()
    build = mpi_jobs.Build(options.build.resolve())
    modes = options.modes.split(",")
    pairs = options.pairs or (3 if options.quick else 7)
    prepare = None if options.prepare == "default" else options.prepare
    runner = Runner(build, modes, pairs, 0.15 if options.quick else 0.6, prepare)
    small = list(SHARED)
    both = 2 if (os.cpu_count() or 1) >= 2 else 1
    if both < 2:
        print("only one core: the times say little")
    if options.quick:
        applications = [("nqueens", ["--size", 13]), ("tsp", ["--size", 13]),
                        ("gauss", ["--size", 800]), ("heat2d", ["--size", 400, "--steps", 1500])]
    else:
        applications = [("nqueens", ["--size", 16, "--print-every", 50]), ("tsp", ["--size", 16, "--seed", 1]),
                        ("gauss", ["--size", 2800, "--print-every", 200]),
                        ("heat2d", ["--size", 1000, "--steps", 8000, "--print-every", 500])]
    groups = {
        "shared": lambda: (runner.micro("shared", "bench_pingpong", small, 2, PINNED + SHARED_ARGUMENTS), SHARED),
        "tcp": lambda: (runner.micro("tcp", "bench_pingpong", small, 2, PINNED + TCP_ARGUMENTS), TCP),
        "exchange": lambda: (runner.micro("shared", "bench_exchange", small, 2, PINNED + SHARED_ARGUMENTS), SHARED),
        "wildcard": lambda: (
            runner.micro("shared", "bench_wildcard", [8], 2, PINNED + SHARED_ARGUMENTS), {8: ("added", 200)}),
        "collectives 2": lambda: (
            runner.micro("np 2", "bench_collectives", list(COLLECTIVE), 2, PINNED + SHARED_ARGUMENTS), COLLECTIVE),
        "collectives 4": lambda: (
            runner.micro("np 4", "bench_collectives", list(COLLECTIVE), 4, ["--bind-to", "none"] + SHARED_ARGUMENTS),
            COLLECTIVE),
        "applications": lambda: (runner.applications(applications, 2), ("ratio", 1.01)),
        "off": lambda: (
            Runner(build, ["off"], pairs, runner.seconds, None).micro(
                "off", "bench_pingpong", [8, 65536], 2, PINNED + SHARED_ARGUMENTS),
            {8: ("ratio", 1.02), 65536: ("ratio", 1.02)}),
    }
    head = (f"{'benchmark':22}{'bytes/np':>9} {'mode':12}{'bare':>12}{'with':>12}{'ratio':>8}{'added':>12}"
            f"   {'mark':>10}")
    used = busy()
    idle = used <= BUSY
    if not idle:
        print(f"others use {used:.0%} of the processors: the times say nothing about the marks, which are not judged")
    print(f"log memory: {'made ready, ' + prepare if prepare else 'fresh (default settings)'}")
    print(f"medians of {pairs} pairs; load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n{head}")
    records = []
    for name, measure in groups.items():
        if name.split()[0] not in options.only.split(","):
            continue
        rows, marks = measure()
        progress("")
        lines, more = rows.table(["off"] if name == "off" else modes, marks, idle)
        print("\n".join(lines), flush=True)
        records += more
    used_at_end = busy()
    if idle and used_at_end > BUSY:
        print(f"others used {used_at_end:.0%} of the processors at the end: doubt the times, measure again")
    missed = sum(record["reached"] is False for record in records)
    reached = sum(record["reached"] is True for record in records)
    print(f"{reached} marks reached, {missed} missed; load average {os.getloadavg()[0]:.1f} at the end")
    if options.json:
        options.json.write_text(json.dumps(records, indent=1))
    if options.strict and (not idle or used_at_end > BUSY):
        return 2  # nothing can be said
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
