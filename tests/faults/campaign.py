#!/usr/bin/env python3
"""Kills ranks of running programs, recovers, and checks the output.

    campaign.py --build DIR [--short] [--programs P,...] [--modes M,...] [--kinds K,...] [--runs N] [--seed S]

For each program x mode x kind N cases are run. A case starts the program under mpirun with the library,
sends SIGKILL at a random moment of the run, waits for mpirun's end, runs mpi-ft-recover until the job has
ended with exit code 0, and looks at what all incarnations together have printed:

* a program whose output does not depend on timing must have printed exactly what it prints bare;
* the others must have printed their usual result, and lines that agree with the digest of its own lines
  which the program prints in the end (what was said before the failure stays said), or, where all ranks
  print, every rank its own lines in order.

Kinds: `one` (a random rank), `rank0`, `two` (two ranks at once), `again` (a random rank, and another one
during the recovery), `inject` (the library kills the rank at a random call: FT_INJECT).

The choices of case i of a program, mode and kind depend on the seed and these names only: `--case i` runs
it alone. Moments are fractions of the program's usual running time, so a case is the same up to the
machine's timing.
"""

import argparse
import dataclasses
import difflib
import pathlib
import random
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mpi_jobs  # noqa: E402

DESCRIPTION = "job.json"  # in a job directory, as soon as MPI_Init has finished
FIRST_CHECKPOINT = "checkpoint-1/checkpoint.h5"  # in a job directory, when its first checkpoint is complete
FIRST_OWN_CHECKPOINT = "rank-0/checkpoint-1.h5"  # the same with FT_CKPT=independent, of rank 0
KINDS = ("one", "rank0", "two", "again", "inject")
INJECTED_CALLS = ("MPI_Send", "MPI_Recv", "MPI_Isend", "MPI_Irecv", "MPI_Iprobe", "MPI_Testsome", "MPI_Bcast",
                  "MPI_Waitall", "MPI_Finalize", "MPI_Init")


@dataclasses.dataclass
class Program:
    name: str
    np: int
    arguments: list  # for a run of some seconds
    short: list  # for a run of about one second
    check: str  # "same", "trace" or "per rank"
    stdin_lines: int = 0


PROGRAMS = {p.name: p for p in (
    Program("nqueens", 4, ["--size", 14, "--print-every", 5], ["--size", 12, "--print-every", 2], "same"),
    Program("tsp", 4, ["--size", 16, "--seed", 1], ["--size", 15, "--seed", 1], "trace"),
    Program("gauss", 4, ["--size", 900, "--print-every", 20], ["--size", 400, "--print-every", 20], "same"),
    Program("heat2d", 4, ["--size", 400, "--steps", 3000, "--print-every", 50],
            ["--size", 200, "--steps", 1500, "--print-every", 50], "same"),
    Program("farm", 4, ["--tasks", 400, "--work", 1000000], ["--tasks", 150, "--work", 600000], "trace"),
    Program("in_transit", 3, [], [], "same"),
    Program("event_wildcard", 4, [400, 300000], [200, 100000], "trace"),
    Program("event_waitany", 4, [400, 300000], [200, 100000], "trace"),
    Program("event_iprobe", 4, [600, 300000], [300, 100000], "trace"),
    Program("event_time", 3, [300, 300000], [150, 100000], "trace"),
    Program("event_cancel", 3, [600, 300000], [300, 100000], "trace"),
    Program("event_collectives", 4, [300, 300000], [150, 100000], "trace"),
    Program("event_stdin", 3, [1, 1000000], [1, 300000], "trace", stdin_lines=300),
    Program("event_objects", 3, [200, 3000000], [80, 1000000], "same"),
    Program("event_print", 4, [300, 300000], [100, 100000], "per rank"),
)}
SHORT = (("heat2d", "pessimistic", "one"), ("gauss", "causal", "rank0"), ("nqueens", "optimistic", "one"),
         ("farm", "causal", "one"), ("farm", "pessimistic", "again"), ("farm", "optimistic", "two"),
         ("tsp", "causal", "again"), ("event_wildcard", "optimistic", "rank0"), ("event_time", "causal", "one"),
         ("event_waitany", "pessimistic", "one"), ("event_stdin", "causal", "rank0"),
         ("event_print", "causal", "one"), ("event_collectives", "pessimistic", "inject"))


@dataclasses.dataclass
class Reference:
    """What a run without a failure says, and how long it takes."""

    stdout: bytes
    result: bytes
    seconds: float


class Mismatch(Exception):
    pass


def result_line(stdout):
    found = re.findall(rb"^result: [0-9a-f]{16}$", stdout, re.M)
    if len(found) != 1:
        raise Mismatch(f"{len(found)} result lines instead of one")
    return found[0]


def check(program, reference, stdout, stderr):
    """Raises Mismatch unless the concatenated output is that of a run without a failure."""
    if program.check == "same":
        if stdout != reference.stdout:
            diff = difflib.unified_diff(
                reference.stdout.decode(errors="replace").splitlines(), stdout.decode(errors="replace").splitlines(),
                "without failure", "recovered", lineterm="", n=1)
            raise Mismatch("stdout differs:\n" + "\n".join(list(diff)[:20]))
        return
    if result_line(stdout) != reference.result:
        raise Mismatch(f"{result_line(stdout)} instead of {reference.result}")
    if program.check == "trace":
        at = stdout.find(b"trace: ")
        said = re.match(rb"trace: ([0-9a-f]{16})\nresult: [0-9a-f]{16}\n\Z", stdout[at:]) if at >= 0 else None
        if not said:
            raise Mismatch("the last two lines are not the trace and the result")
        if int(said[1], 16) != mpi_jobs.fnv1a(stdout[:at]):
            raise Mismatch("the lines do not agree with the program's own digest of them")
        return
    # Every rank prints: "rank R line I order O", at its end "rank R trace D"; on stderr every tenth again.
    rounds = max(int(i) for i in re.findall(rb"^rank \d+ line (\d+) order", stdout, re.M)) + 1
    errors = re.findall(rb"^rank (\d+) error line (\d+) order (\d+)$", stderr, re.M)
    for rank in range(program.np):
        lines = re.findall(rb"^(rank %d line (\d+) order (\d+)\n)" % rank, stdout, re.M)
        if [int(i) for _, i, _ in lines] != list(range(rounds)):
            raise Mismatch(f"rank {rank}: lines {[int(i) for _, i, _ in lines]}")
        said = re.findall(rb"^rank %d trace ([0-9a-f]{16})$" % rank, stdout, re.M)
        if [int(d, 16) for d in said] != [mpi_jobs.fnv1a(b"".join(line for line, _, _ in lines))]:
            raise Mismatch(f"rank {rank}: its lines do not agree with its digest of them")
        mine = [(i, order) for r, i, order in errors if int(r) == rank]
        if mine != [(i, order) for _, i, order in lines if int(i) % 10 == 9]:
            raise Mismatch(f"rank {rank}: on stderr {mine}")


class Campaign:
    def __init__(self, options):
        self.options = options
        self.build = mpi_jobs.Build(options.build.resolve())
        self.references = {}
        self.times = {}
        self.rows = {}
        self.failed = 0
        self.passed = 0

    def arguments(self, program):
        return program.short if self.options.short else program.arguments

    def run_program(self, program, mode, scratch, kills=(), variables=None, begin=None):
        exports = {**scratch.variables(), **(variables or {})} if mode else None
        if mode and self.options.failure_unit:
            exports["FT_FAILURE_UNIT"] = self.options.failure_unit
        if mode and self.options.checkpoints:
            exports |= {"FT_STATE": "image", "FT_CKPT_INTERVAL": str(self.options.checkpoints)}
        if mode:
            exports |= dict(setting.split("=", 1) for setting in self.options.set)
        command = mpi_jobs.mpirun(
            program.np, self.build.program(program.name), self.arguments(program), mode, self.build.library, exports)
        stdin = None
        if program.stdin_lines:
            path = scratch.directory / "input.txt"
            path.write_text("".join(f"this is line number {i}\n" for i in range(program.stdin_lines)))
            stdin = path.open("rb")
        try:
            return mpi_jobs.run(command, scratch.directory, stdin=stdin, timeout=self.options.timeout, kills=kills,
                                begin=begin)
        finally:
            if stdin:
                stdin.close()

    def reference(self, program):
        if program.name not in self.references:
            with mpi_jobs.Scratch("reference") as scratch:
                outcome = self.run_program(program, None, scratch)
            if outcome.code != 0:
                raise SystemExit(f"{program.name} alone, without the library: exit code {outcome.code}\n"
                                 f"{outcome.stderr.decode()}")
            self.references[program.name] = Reference(outcome.stdout, result_line(outcome.stdout), outcome.seconds)
            check(program, self.references[program.name], outcome.stdout, outcome.stderr)
        return self.references[program.name]

    def usual_time(self, program, mode, landmark):
        """(seconds until `landmark` exists in the job directory, seconds in all) of a run under the library
        without a failure, whose output is checked too."""
        key = (program.name, mode)
        if (*key, landmark) not in self.times:
            with mpi_jobs.Scratch("unfailed") as scratch:
                outcome = self.run_program(program, mode, scratch, begin=scratch.job / landmark)
                self.report(key + ("none",), 0, scratch, outcome, program, [outcome])
            self.times[(*key, landmark)] = (outcome.begun or 0.0, outcome.seconds)
        return self.times[(*key, landmark)]

    def report(self, key, case, scratch, last, program, outcomes):
        """Checks a finished case and counts it."""
        row = self.rows.setdefault(key, {"runs": 0, "killed": 0, "recoveries": 0, "checkpoints": 0, "failed": 0})
        row["runs"] += 1
        row["killed"] += sum(len(o.killed) for o in outcomes) + (key[2] == "inject" and len(outcomes) > 1)
        row["recoveries"] += len(outcomes) - 1
        row["checkpoints"] += sum(re.search(rb"^ +\d+ .* checkpoint \d+ ", o.stderr, re.M) is not None
                                  for o in outcomes[1:])
        stdout = b"".join(o.stdout for o in outcomes)
        stderr = b"".join(o.stderr for o in outcomes)
        try:
            if last.code != 0:
                raise Mismatch("hung and was ended" if last.code is None else f"exit code {last.code}")
            check(program, self.reference(program), stdout, stderr)
            self.passed += 1
        except Mismatch as mismatch:
            self.failed += 1
            row["failed"] += 1
            (scratch.directory / "stdout").write_bytes(stdout)
            for i, outcome in enumerate(outcomes):
                (scratch.directory / f"stderr.{i}").write_bytes(outcome.stderr)
            print(f"FAILED: {' '.join(map(str, key))} case {case} (--seed {self.options.seed}): {mismatch}\n"
                  f"  last messages: {last.stderr.decode(errors='replace')[-1500:]}\n  kept: {scratch.keep()}",
                  flush=True)

    def case(self, program, mode, kind, number):
        choice = random.Random(f"{self.options.seed}/{program.name}/{mode}/{kind}/{number}")
        # With checkpoints mostly once there is one, now and then before.
        first = FIRST_OWN_CHECKPOINT if "FT_CKPT=independent" in self.options.set else FIRST_CHECKPOINT
        landmark = first if self.options.checkpoints and choice.random() < 0.8 else DESCRIPTION
        begun, usual = self.usual_time(program, mode, landmark)
        victims = {"rank0": [0], "two": choice.sample(range(program.np), 2)}.get(
            kind, [choice.randrange(program.np)])
        # Mostly once the job has begun, now and then before.
        early = choice.random() < 0.1
        span = begun if early else max(0.05, usual - begun)
        kills = [(choice.uniform(0.0, 1.0) * span, victims)]
        variables = None
        if kind == "inject":
            kills = []
            count = int(2 ** choice.uniform(0, 10))
            variables = {"FT_INJECT": f"rank={victims[0]},call={choice.choice(INJECTED_CALLS)},count={count},signal=KILL"}
        with mpi_jobs.Scratch("campaign") as scratch:
            outcomes = [self.run_program(program, mode, scratch, kills, variables,
                                         None if early else scratch.job / landmark)]
            again = 2 if kind == "again" else 0
            while len(outcomes) < 6:
                # A process that is killed inside MPI_Init can make Open MPI's launcher hang, with the library and
                # without: the user ends it.
                early = not (scratch.job / DESCRIPTION).exists() and b"lost before MPI_Init" in outcomes[-1].stderr
                if outcomes[-1].code == 0 or (outcomes[-1].code is None and not early):
                    break
                if not (scratch.job / DESCRIPTION).exists():
                    # Lost before MPI_Init had finished: nothing was done, the user starts it again, in new
                    # directories (or as here in emptied ones).
                    scratch.empty()
                    outcomes.append(self.run_program(program, mode, scratch))
                    continue
                kills = []
                if again > 0:
                    kills = [(choice.uniform(0.0, 1.0) * usual, [choice.randrange(program.np)])]
                    again -= 1
                outcomes.append(mpi_jobs.run(
                    [str(self.build.recover), str(scratch.job)], scratch.directory, timeout=self.options.timeout,
                    kills=kills))
                if outcomes[-1].code == 125:
                    break  # mpi-ft-recover refuses
            self.report((program.name, mode, kind), number, scratch, outcomes[-1], program, outcomes)

    def run(self):
        options = self.options
        start = time.monotonic()
        print(f"seed {options.seed}", flush=True)
        if options.short and not (options.programs or options.modes or options.kinds):
            combinations = SHORT
        else:
            combinations = [(p, m, k) for p in (options.programs or ",".join(PROGRAMS)).split(",")
                            for m in (options.modes or ",".join(mpi_jobs.LOGGING_MODES)).split(",")
                            for k in (options.kinds or ",".join(KINDS)).split(",")]
        for name, mode, kind in combinations:
            cases = range(options.runs) if options.case is None else [options.case]
            for number in cases:
                self.case(PROGRAMS[name], mode, kind, number)
                if sys.stderr.isatty():
                    print(f"\r\033[K{name} {mode} {kind} {number + 1}/{options.runs}", end="", file=sys.stderr,
                          flush=True)
        print(f"\n{'program':18}{'mode':13}{'kind':8}{'runs':>6}{'killed':>8}{'recoveries':>12}{'of a ckpt':>11}{'failed':>8}")
        for key, row in self.rows.items():
            print(f"{key[0]:18}{key[1]:13}{key[2]:8}{row['runs']:6}{row['killed']:8}{row['recoveries']:12}"
                  f"{row['checkpoints']:11}{row['failed']:8}")
        killed = sum(row["killed"] for row in self.rows.values())
        print(f"{killed} ranks killed in {time.monotonic() - start:.0f} s\n{self.passed} passed, {self.failed} failed")
        if killed == 0:
            print("nothing was killed: this says nothing")
        if options.checkpoints and not any(row["checkpoints"] for row in self.rows.values()):
            print("no recovery started from a checkpoint: this says nothing of them")
            return 1
        return 1 if self.failed or not killed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--short", action="store_true", help="small sizes, and a choice of combinations")
    parser.add_argument("--programs", help=",".join(PROGRAMS))
    parser.add_argument("--modes", help=",".join(mpi_jobs.LOGGING_MODES))
    parser.add_argument("--kinds", help=",".join(KINDS))
    parser.add_argument("--runs", type=int, default=1, help="cases of each combination")
    parser.add_argument("--case", type=int, help="only this one")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--failure-unit", choices=("node", "rank"))
    parser.add_argument("--checkpoints", type=float, metavar="SECONDS",
                        help="process images, a checkpoint every so many seconds")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a further variable for the protected runs, such as FT_CKPT_TRANSIT=ack")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for one incarnation")
    return Campaign(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
