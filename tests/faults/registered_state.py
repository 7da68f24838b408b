#!/usr/bin/env python3
"""Registered state, end to end: examples/rod_registered is killed behind a checkpoint and recovered from it, as often as
--runs says; its output must be that of a bare run. Also: all node-local logs are lost; killed during the recovery;
before the first checkpoint (replay from the beginning); the newest checkpoint is damaged; none is left.

registered_state.py --build DIR [--runs N] [--program PROGRAM]

--program: only kills, of that program.
"""

import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mpi_jobs  # noqa: E402

NP = 3
ARGUMENTS = ["--cells", "40000", "--steps", "6000", "--print-every", "100"]
TIMEOUT = 60


class Failure(Exception):
    pass


def permanent(job):
    return {int(p.parent.name.removeprefix("checkpoint-")) for p in job.glob("checkpoint-*/checkpoint.h5")}


class Test:
    def __init__(self, build, program):
        self.build = mpi_jobs.Build(build.resolve())
        self.program = program or self.build.program("rod_registered")
        self.arguments = [] if program else ARGUMENTS
        with mpi_jobs.Scratch("bare") as scratch:
            bare = mpi_jobs.run(mpi_jobs.mpirun(NP, self.program, self.arguments), scratch.directory, timeout=TIMEOUT)
        if bare.code != 0 or b"result: " not in bare.stdout:
            raise Failure(f"the program itself fails: {bare.stderr.decode()}")
        self.wanted = bare.stdout

    def launch(self, command, scratch, until):
        """Runs it until `until(stdout so far)`, then kills a rank; returns (exit code, stdout, stderr)."""
        out = scratch.directory / "out"
        err = scratch.directory / "err"
        with out.open("wb") as o, err.open("wb") as e:
            process = subprocess.Popen(command, cwd=scratch.directory, env=mpi_jobs.environment(), stdout=o, stderr=e,
                                       stdin=subprocess.DEVNULL, start_new_session=True)
            try:
                end = time.monotonic() + TIMEOUT
                while not until():
                    try:
                        process.wait(0.002)
                    except subprocess.TimeoutExpired:
                        if time.monotonic() < end:
                            continue
                    raise Failure(f"it ended before it could be killed: {err.read_text()[-2000:]}")
                victims = mpi_jobs.ranks(process.pid)
                os.kill(victims[random.randrange(NP)], signal.SIGKILL)
                process.wait(TIMEOUT)
            finally:
                if process.poll() is None:
                    for pid in [*mpi_jobs.descendants(process.pid), process.pid]:
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
                    process.wait()
        return out.read_bytes(), err.read_bytes()

    def start(self, scratch, until):
        variables = {**scratch.variables(), "FT_STATE": "registered", "FT_CKPT_INTERVAL": "0.1"}
        return self.launch(mpi_jobs.mpirun(NP, self.program, self.arguments, mode="causal", library=self.build.library,
                                           variables=variables), scratch, until)

    def recover(self, scratch, until=None):
        command = [str(self.build.recover), str(scratch.job)]
        if until:
            return self.launch(command, scratch, until)
        return mpi_jobs.run(command, scratch.directory, timeout=TIMEOUT)

    def finish(self, what, scratch, output, source="registered state, checkpoint"):
        outcome = self.recover(scratch)
        messages = outcome.stderr.decode(errors="replace")
        if outcome.code != 0:
            raise Failure(f"{what}: the recovery ends with {outcome.code}\n{messages[-3000:]}")
        if len(re.findall(rf"^ +\d+ .* {source}", messages, re.M)) != NP:
            raise Failure(f"{what}: not all ranks start from '{source}'\n{messages}")
        if output + outcome.stdout != self.wanted:
            raise Failure(f"{what}: other output\n--- wanted\n{self.wanted.decode()}\n--- got\n{output.decode()}"
                          f"--- recovered\n{outcome.stdout.decode()}\n{messages[-2000:]}")
        print(f"{what}: recovered")

    def killed(self):
        with mpi_jobs.Scratch("registered") as scratch:
            wanted = random.randrange(1, 6)
            output, _ = self.start(scratch, lambda: max(permanent(scratch.job), default=0) >= wanted)
            self.finish(f"killed behind checkpoint {wanted}", scratch, output)

    def logs_lost(self):
        with mpi_jobs.Scratch("registered") as scratch:
            output, _ = self.start(scratch, lambda: max(permanent(scratch.job), default=0) >= 2)
            shutil.rmtree(scratch.local / "local")
            self.finish("all logs lost", scratch, output)

    def killed_again(self):
        with mpi_jobs.Scratch("registered") as scratch:
            output, _ = self.start(scratch, lambda: max(permanent(scratch.job), default=0) >= 2)
            last = max(permanent(scratch.job))
            more, _ = self.recover(scratch, lambda: max(permanent(scratch.job), default=0) >= last + 2)
            self.finish("killed during the recovery", scratch, output + more)

    def before_the_first(self):
        with mpi_jobs.Scratch("registered") as scratch:
            output, _ = self.start(scratch, lambda: (scratch.job / "job.json").exists()
 and not permanent(scratch.job))
            if permanent(scratch.job):
                return  # it was faster
            self.finish("before the first checkpoint", scratch, output, "initial state")

    def damaged(self):
        with mpi_jobs.Scratch("registered") as scratch:
            output, _ = self.start(scratch, lambda: max(permanent(scratch.job), default=0) >= 2)
            more, _ = self.recover(scratch, lambda: max(permanent(scratch.job), default=0) >= 5)
            del output, more
            for file in scratch.job.glob("checkpoint-*/rank-1.h5"):
                with file.open("r+b") as content:
                    content.seek(3000)
                    content.write(b"damage")
            outcome = self.recover(scratch)
            text = outcome.stderr.decode()
            if outcome.code != 125 or "no checkpoint that is left can be used" not in text or "rank-1.h5" not in text:
                raise Failure(f"damage is not named: {outcome.code}\n{text}")
            print("damaged: refused, and named")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--program", type=pathlib.Path)
    options = parser.parse_args()
    test = Test(options.build, options.program)
    for _ in range(options.runs):
        test.killed()
    if options.program:
        return
    test.logs_lost()
    test.killed_again()
    test.before_the_first()
    test.damaged()


if __name__ == "__main__":
    try:
        main()
    except (Failure, subprocess.TimeoutExpired) as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
