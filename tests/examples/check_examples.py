#!/usr/bin/env python3
"""Checks the examples' results against computations of their own here, for several numbers of ranks.

    check_examples.py --build DIR [--mode MODE] [--np 1,2,3,4,8]

Without --mode the programs run bare. Python's floats are IEEE doubles and the operations are done in
the order in which the programs' descriptions say, so results are compared to the last bit.
"""

import argparse
import itertools
import math
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mpi_jobs  # noqa: E402

MASK = (1 << 64) - 1


class Random:
    """splitmix64."""

    def __init__(self, seed):
        self.state = seed & MASK

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, bound):
        return self.next() % bound

    def real(self):
        return (self.next() >> 11) * 2.0**-52 - 1.0


def digest(data):
    return f"{mpi_jobs.fnv1a(data):016x}"


def nqueens(size):
    known = {4: 2, 5: 10, 6: 4, 7: 40, 8: 92, 9: 352, 10: 724, 11: 2680, 12: 14200}  # OEIS A000170
    return digest(struct.pack("<Q", known[size])), [f"solutions: {known[size]}"]


def gauss(size, seed):
    def row(i):
        random = Random(seed * 0x9E3779B97F4A7C15 + i)
        return [random.real() for _ in range(size + 1)]

    rows = [row(i) for i in range(size)]
    order = []
    for k in range(size):
        pivot = max((i for i in range(size) if i not in order), key=lambda i: (abs(rows[i][k]), -i))
        order.append(pivot)
        for i in range(size):
            if i in order:
                continue
            factor = rows[i][k] / rows[pivot][k]
            rows[i][k] = 0.0
            for j in range(k + 1, size + 1):
                rows[i][j] -= factor * rows[pivot][j]
    x = [0.0] * size
    for k in range(size - 1, -1, -1):
        total = rows[order[k]][size]
        for j in range(k + 1, size):
            total -= rows[order[k]][j] * x[j]
        x[k] = total / rows[order[k]][k]
    # It must solve the system, whatever the bits.
    for i in range(size):
        original = row(i)
        residual = math.fsum([*(a * b for a, b in zip(original, x)), -original[size]])
        assert abs(residual) < 1e-9, (i, residual)
    return digest(struct.pack(f"<{size}d", *x)), []


def heat2d(size, steps, seed):
    random = Random(seed)
    now = [[0.0] * (size + 2) for _ in range(size + 2)]
    for _ in range(16):
        row, column = random.below(size), random.below(size)
        now[row + 1][column + 1] = 1000.0 * (1.0 + random.real())
    for _ in range(steps):
        new = [line[:] for line in now]
        for i in range(1, size + 1):
            for j in range(1, size + 1):
                flow = (now[i - 1][j] + now[i + 1][j]) + (now[i][j - 1] + now[i][j + 1]) - 4.0 * now[i][j]
                new[i][j] = now[i][j] + 0.2 * flow
        now = new
    cells = [now[i][j] for i in range(1, size + 1) for j in range(1, size + 1)]
    return digest(struct.pack(f"<{size * size}d", *cells)), []


def tsp(size, seed):
    random = Random(seed)
    places = [(random.real(), random.real()) for _ in range(size)]

    def distance(a, b):
        dx, dy = places[a][0] - places[b][0], places[a][1] - places[b][1]
        return math.floor(10000 * math.sqrt(dx * dx + dy * dy) + 0.5)

    best = min(
        (sum(distance(a, b) for a, b in zip(tour, tour[1:] + tour[:1])), tour)
        for tour in ((0, *rest) for rest in itertools.permutations(range(1, size))))
    data = struct.pack("<q32i", best[0], *best[1], *([0] * (32 - size)))
    return digest(data), [f"shortest: {best[0]}", "tour: " + " ".join(map(str, best[1]))]


def farm(tasks, work, seed):
    total = 0
    for task in range(tasks):
        random = Random(seed ^ ((task * 0xD1342543DE82EF95) & MASK))
        loops = (random.below(4) + 1) * work // 8
        value = 0
        for _ in range(8 * loops):
            value = ((value ^ random.next()) * 0x100000001B3) & MASK
        total = (total + value) & MASK
    return digest(struct.pack("<Q", total)), []


CASES = [
    ("nqueens", ["--size", 8], nqueens(8)),
    ("nqueens", ["--size", 11], nqueens(11)),
    ("gauss", ["--size", 50, "--seed", 3], gauss(50, 3)),
    ("gauss", ["--size", 7], gauss(7, 1)),
    ("heat2d", ["--size", 20, "--steps", 40, "--seed", 5], heat2d(20, 40, 5)),
    ("heat2d", ["--size", 37, "--steps", 11], heat2d(37, 11, 1)),
    ("tsp", ["--size", 8, "--seed", 2], tsp(8, 2)),
    ("tsp", ["--size", 9, "--seed", 1], tsp(9, 1)),
    ("farm", ["--tasks", 30, "--work", 100], farm(30, 100, 1)),
    ("farm", ["--tasks", 0], farm(0, 0, 1)),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--mode", choices=("off", *mpi_jobs.LOGGING_MODES))
    parser.add_argument("--np", default="1,2,3,4,8")
    options = parser.parse_args()
    build = mpi_jobs.Build(options.build.resolve())
    failed = 0
    runs = 0
    for name, arguments, (result, lines) in CASES:
        for np in map(int, options.np.split(",")):
            with mpi_jobs.Scratch("examples") as scratch:
                command = mpi_jobs.mpirun(
                    np, build.program(name), arguments, options.mode, build.library,
                    scratch.variables() if options.mode else None)
                outcome = mpi_jobs.run(command, scratch.directory)
                printed = outcome.stdout.decode().splitlines()
                wrong = []
                if outcome.code != 0:
                    wrong.append(f"exit code {outcome.code}")
                if printed[-1:] != [f"result: {result}"]:
                    wrong.append(f"last line {printed[-1:]} instead of result: {result}")
                wrong += [f"no line '{line}'" for line in lines if line not in printed]
                traces = [i for i, line in enumerate(printed) if line.startswith("trace: ")]
                if name in ("tsp", "farm"):
                    at = outcome.stdout.find(b"trace: ")
                    if len(traces) != 1 or printed[traces[0]] != f"trace: {digest(outcome.stdout[:at])}":
                        wrong.append("the trace does not go with the lines")
                runs += 1
                if wrong:
                    failed += 1
                    print(f"FAILED: {' '.join(command)}\n  {'; '.join(wrong)}\n{outcome.stderr.decode()}")
    print(f"{runs - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
