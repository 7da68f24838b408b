#!/usr/bin/env python3
"""Loses a whole node of a running job, recovers the job, and compares the output with a run without a failure.

    node_loss.py --build DIR [CASE...]      (default: all cases; --list names them)

The nodes are simulated on this machine (simulated_nodes.py): processes and node-local memory of the lost one are
really gone, and the others are not told. One rank, or two, run on each of four nodes; the node is lost once a second
checkpoint is permanent. Ends with 77, and says why, where nodes can't be made.
"""

import argparse
import dataclasses
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import campaign  # noqa: E402
import mpi_jobs  # noqa: E402
import simulated_nodes  # noqa: E402

NODES = 4
SKIPPED = 77
GAUSS = campaign.Program("gauss", NODES, ["--size", 2000, "--print-every", 100], [], "same")
HEAT = campaign.Program("heat2d", NODES, ["--size", 400, "--steps", 3000, "--print-every", 50], [], "same")
HEAT8 = campaign.Program("heat2d", 2 * NODES, ["--size", 400, "--steps", 2000, "--print-every", 50], [], "same")
TSP = campaign.Program("tsp", NODES, ["--size", 16, "--seed", 1], [], "trace")
FARM = campaign.Program("farm", NODES, ["--tasks", 400, "--work", 2000000], [], "trace")


@dataclasses.dataclass
class Case:
    program: campaign.Program
    mode: str
    lost: list  # numbers of the nodes that are lost together
    replaced: bool = False  # they come back, empty; else the others take their ranks
    again: bool = False  # another node is lost during the recovery, after its first new checkpoint
    checkpoints: bool = True
    refused: str = ""  # what mpi-ft-recover refuses it with, unless --force is given
    after: int = 2  # the nodes are lost when this checkpoint is permanent
    process: bool = False  # only the processes of the program are lost there, not the nodes
    start: str = r"checkpoint \d+"  # from where all ranks start, and what else is said
    says: str = ""
    none_shared: bool = False  # no image is in the job directory before the recovery
    variables: dict = dataclasses.field(default_factory=dict)


CASES = {
    "causal": Case(GAUSS, "causal", [2]),
    "causal_events": Case(TSP, "causal", [2]),
    "causal_replaced": Case(FARM, "causal", [1], replaced=True),
    "causal_rank0": Case(TSP, "causal", [0], replaced=True),
    "causal_again": Case(GAUSS, "causal", [3], again=True),
    "causal_from_the_beginning": Case(TSP, "causal", [2], checkpoints=False),
    "causal_two": Case(TSP, "causal", [1, 2], replaced=True, refused="2 failure units were lost together"),
    "causal_f2": Case(FARM, "causal", [1, 2], variables={"FT_CAUSAL_F": "2"}),
    "pessimistic": Case(TSP, "pessimistic", [2]),
    "pessimistic_replaced": Case(HEAT, "pessimistic", [3], replaced=True),
    "optimistic": Case(FARM, "optimistic", [2]),
    "optimistic_two": Case(HEAT, "optimistic", [0, 3], replaced=True),
    "levels_local": Case(GAUSS, "causal", [2], process=True, after=3, start="checkpoint (3|5|7|9)",
                         says=r"gathering checkpoint \d+ \(level local\)", none_shared=True,
                         variables={"FT_CKPT_LEVELS": "local,partner:2,shared:1000"}),
    # The newest three or more are on the lost node alone.
    "levels_partner": Case(HEAT, "causal", [2], after=8, start="checkpoint (5|10)",
                           says=r"gathering checkpoint \d+ \(level partner\)", none_shared=True,
                           variables={"FT_CKPT_LEVELS": "local,partner:5,shared:1000", "FT_CKPT_INTERVAL": "0.2"}),
    "levels_partner_events": Case(TSP, "causal", [2], start="checkpoint [1-9][0-9]*", none_shared=True,
                                  says=r"gathering checkpoint \d+ \(level partner\)",
                                  variables={"FT_CKPT_LEVELS": "partner,shared:1000"}),
    "levels_partner_replaced": Case(HEAT, "pessimistic", [0], replaced=True, again=True,
                                    start="checkpoint [1-9][0-9]*", none_shared=True,
                                    variables={"FT_CKPT_LEVELS": "partner,shared:1000"}),
    "levels_two_ranks_each": Case(HEAT8, "causal", [3], after=3, start="checkpoint [1-9][0-9]*",
                                  says=r"gathering checkpoint \d+ \(level partner\)", none_shared=True,
                                  variables={"FT_CKPT_LEVELS": "partner,shared:1000"}),
    "levels_two": Case(HEAT, "optimistic", [1, 2], after=6, start="checkpoint (5|10)",
                       says=r"checkpoint \d+ is not used: rank 1's file was on node n1, its copy on node n2",
                       variables={"FT_CKPT_LEVELS": "partner,shared:5"}),
    "coordinated": Case(HEAT, "coordinated", [1]),
    "coordinated_two": Case(FARM, "coordinated", [1, 3], replaced=True),
}


class Failed(Exception):
    pass


class Trial:
    def __init__(self, build, nodes, directory, case, references):
        self.build = build
        self.nodes = nodes
        self.directory = directory
        self.case = case
        self.references = references
        self.job = directory / "job"
        self.stdout = b""

    def bare(self):
        """Output without the library, on this machine."""
        program = self.case.program
        key = (program.name, program.np)
        if key not in self.references:
            outcome = mpi_jobs.run(
                mpi_jobs.mpirun(program.np, self.build.program(program.name), program.arguments), self.directory)
            if outcome.code != 0:
                raise SystemExit(f"{program.name} alone: exit code {outcome.code}\n{outcome.stderr.decode()}")
            self.references[key] = campaign.Reference(
                outcome.stdout, campaign.result_line(outcome.stdout), outcome.seconds)
        return self.references[key]

    def interval(self):
        """Seconds between checkpoints, so that those that are waited for come in the first half of the program's time on
        this machine."""
        wanted = self.case.after + (2 if self.case.again else 0)
        return min(float(self.case.variables.get("FT_CKPT_INTERVAL", 0.4)),
                   max(0.05, self.bare().seconds / (2 * (wanted + 1))))

    def command(self):
        program = self.case.program
        exports = {"FT_DIR": self.job, "FT_LOCAL": "/dev/shm/local"}
        exports |= self.case.variables
        if self.case.checkpoints:
            exports["FT_CKPT_INTERVAL"] = str(self.interval())
        places = ",".join(f"n{number}:{program.np // NODES}" for number in range(NODES))
        return mpi_jobs.mpirun(program.np, self.build.program(program.name), program.arguments, self.case.mode,
                               self.build.library, exports, ["--host", places])

    def checkpoint(self):
        """The newest permanent checkpoint, 0: none."""
        found = [int(path.parent.name.split("-")[1]) for name in ("checkpoint.h5", "level")
                 for path in self.job.glob(f"checkpoint-*/{name}")]
        return max(found, default=0)

    def run(self, command, name, lost, ready):
        """Runs a launcher on the head; loses nodes as soon as ready(). (exit code, stderr)"""
        out, err = self.directory / f"{name}.out", self.directory / f"{name}.err"
        with out.open("wb") as output, err.open("wb") as errors:
            process = subprocess.Popen(
                self.nodes.command("head", *command), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=output,
                stderr=errors, start_new_session=True, env=mpi_jobs.environment(self.nodes.variables()))
            try:
                deadline = time.monotonic() + 120
                while lost and process.poll() is None and not ready():
                    if time.monotonic() > deadline:
                        raise Failed(f"{name}: what was waited for did not come")
                    time.sleep(0.01)
                if lost and process.poll() is not None:
                    raise Failed(f"{name}: ended (exit code {process.poll()}) before a node could be lost\n"
                                 + err.read_text(errors="replace")[-1500:])
                for number in lost:
                    if self.case.process:
                        self.nodes.on(f"n{number}", "sh", "-c", f"kill -KILL $(pidof {self.case.program.name})")
                    else:
                        self.nodes.lose(number)
                self.wait_for_end(process, bool(lost), deadline)
            except subprocess.TimeoutExpired:
                raise Failed(f"{name}: hung\n" + err.read_text(errors="replace")[-1500:]) from None
            finally:
                for pid in [*mpi_jobs.descendants(process.pid), process.pid] if process.poll() is None else []:
                    subprocess.run(["kill", "-KILL", str(pid)], check=False)
                process.wait()
        self.stdout += out.read_bytes()
        return process.returncode, err.read_text(errors="replace")

    @staticmethod
    def wait_for_end(process, lost, deadline):
        try:
            process.wait(timeout=30 if lost else max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            if not lost:
                raise
            # Open MPI's launcher often hangs when nodes are lost: its user ends it.
            process.terminate()
            process.wait(timeout=30)

    def recover(self, name, options, lost=(), ready=lambda: True):
        return self.run([self.build.recover, *options, self.job], name, lost, ready)

    def expect_plan(self, text, lost, replaced):
        """The plan names what was lost and, with checkpoints, starts every rank from one and the same."""
        starts = set(re.findall(r"^ +\d+  n\d+ .* (checkpoint \d+|initial state) ", text, re.M))
        expected = self.case.start if self.case.checkpoints else "initial state"
        if len(starts) != 1 or not re.fullmatch(expected, starts.pop()) or not re.search(self.case.says, text):
            raise Failed("the plan does not say what is expected:\n" + text)
        if self.case.process:
            return
        words = "has lost its logs" if replaced else "was lost"
        for number in lost:
            if f"node n{number} {words}" not in text:
                raise Failed(f"the plan does not name node n{number}:\n" + text)

    def expect_nothing_left(self, nodes):
        """A job that has ended well has taken its files away, from the nodes too."""
        deadline = time.monotonic() + 20
        while True:
            rest = [f"{node}: {entry}" for node in nodes
                    for entry in self.nodes.on(node, "ls", "/dev/shm").split() if entry == "local"]
            rest += [str(path) for path in [self.job] if path.exists()]
            if not rest:
                return
            if time.monotonic() > deadline:
                raise Failed(f"left over: {rest}")
            time.sleep(0.1)

    def go(self):
        case = self.case
        reference = self.bare()
        begun = None

        def ready():
            nonlocal begun
            if case.checkpoints:
                return self.checkpoint() >= case.after
            if begun is None and (self.job / "job.json").exists():
                begun = time.monotonic()
            return begun is not None and time.monotonic() - begun > reference.seconds / 2

        code, text = self.run(self.command(), "job", case.lost, ready)
        if code == 0:
            raise Failed("mpirun reports success although a node was lost")
        left = [f"n{number}" for number in range(NODES) if number not in case.lost]
        if case.process:
            left = [f"n{number}" for number in range(NODES)]
        if case.none_shared and list(self.job.glob("checkpoint-*/*.h5")):
            raise Failed("there are images in the job directory")
        if case.replaced:
            for number in case.lost:
                self.nodes.start(number)
            left = [f"n{number}" for number in range(NODES)]
        options = ["--hosts", ",".join(left)]
        if case.refused:
            code, text = self.recover("refused", options)
            if code != 125 or case.refused not in text:
                raise Failed(f"not refused with '{case.refused}' but: {code} {text}")
            if not self.job.joinpath("job.json").exists():
                raise Failed("the job is gone after a refusal")
            return
        lost_again, newest = [], self.checkpoint()
        if case.again:
            lost_again = [int(left[-1][1:])]
        code, text = self.recover("recovery", options, lost_again, lambda: self.checkpoint() > newest + 1)
        self.expect_plan(text, case.lost, case.replaced)
        if lost_again:
            left = [node for node in left if node != f"n{lost_again[0]}"]
            code, text = self.recover("recovery2", ["--hosts", ",".join(left)])
            self.expect_plan(text, lost_again, False)
        if code != 0:
            raise Failed(f"mpi-ft-recover: exit code {code}\n{text}")
        try:
            campaign.check(case.program, reference, self.stdout, b"")
        except campaign.Mismatch as mismatch:
            raise Failed(str(mismatch)) from None
        self.expect_nothing_left(left)
        print("  " + "\n  ".join(text.strip().splitlines()[:6]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CASES))
        return 0
    reason = simulated_nodes.why_not()
    if reason:
        print(f"skipped: {reason}")
        return SKIPPED
    failed = 0
    references = {}
    for name in options.cases or CASES:
        directory = pathlib.Path(tempfile.mkdtemp(prefix=f"mpi-job-{name}-"))
        start = time.monotonic()
        try:
            with simulated_nodes.Nodes(directory, NODES) as nodes:
                Trial(mpi_jobs.Build(options.build.resolve()), nodes, directory, CASES[name], references).go()
        except Failed as failure:
            failed += 1
            print(f"FAILED: {name}: {failure}\n  kept: {directory}", flush=True)
            continue
        subprocess.run(["rm", "-rf", str(directory)], check=True)
        print(f"{name}: passed ({time.monotonic() - start:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
