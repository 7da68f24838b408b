#!/usr/bin/env python3
"""Whatever asks for a checkpoint: it is taken, a rank is killed behind it, the job is recovered from it.

    checkpoint_triggers.py --build DIR [--only CASE]

Cases: `program` (FT_Checkpoint), `all ranks` (all call it at once: one checkpoint), `messages` (FT_CKPT_EVERY),
`signal` (FT_CKPT_SIGNAL, sent to mpirun), `command` (mpi-ft-checkpoint --wait), `auto` (FT_CKPT_INTERVAL=auto),
and the protocols `ack` and `optimistic vectors`. In each the output must be that of a run without the library, the plan
must start from a checkpoint, and the job must end well.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mpi_jobs  # noqa: E402

NP = 3
LIMIT = 60.0


def await_true(what, condition):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.01)


def checkpoints(job):
    """Numbers of the permanent checkpoints."""
    return sorted(int(path.parent.name.split("-")[1]) for path in job.glob("checkpoint-*/checkpoint.h5"))


class Case:
    def __init__(self, build, name, variables, arguments=(), act=None):
        self.build = build
        self.name = name
        self.variables = variables
        self.arguments = arguments
        self.act = act

    def launcher(self, job):
        return json.loads((job / "job.json").read_text())["job"]["launcher"]["pid"]

    def follow(self, job):
        """While the job runs: asks, waits for the checkpoint, kills a rank."""
        await_true("the job", (job / "job.json").exists)
        if self.act:
            self.act(self, job)
        await_true(f"{self.name}: a checkpoint", lambda: checkpoints(job))
        os.kill(mpi_jobs.ranks(self.launcher(job))[1], signal.SIGKILL)

    def run(self):
        program = self.build.program("asks_checkpoint")
        bare = mpi_jobs.run(mpi_jobs.mpirun(NP, program, self.arguments), "/tmp", timeout=LIMIT)
        with mpi_jobs.Scratch("triggers") as scratch:
            failure = []

            def follow():
                try:
                    self.follow(scratch.job)
                except BaseException as error:  # noqa: BLE001: told by the main thread
                    failure.append(error)

            thread = threading.Thread(target=follow)
            thread.start()
            variables = {**scratch.variables(), "FT_STATE": "image", **self.variables}
            first = mpi_jobs.run(
                mpi_jobs.mpirun(NP, program, self.arguments, "causal", self.build.library, variables),
                scratch.directory, timeout=LIMIT)
            thread.join()
            taken = checkpoints(scratch.job)
            second = mpi_jobs.run([str(self.build.recover), str(scratch.job)], scratch.directory, timeout=LIMIT)
            problems = [str(f) for f in failure]
            if first.code == 0:
                problems.append("nothing was killed")
            if second.code != 0:
                problems.append(f"the recovery ended with {second.code}")
            if not re.search(rb"^ +0 .* checkpoint \d+ ", second.stderr, re.M):
                problems.append("it did not start from a checkpoint")
            if first.stdout + second.stdout != bare.stdout:
                problems.append("the output is another one")
            if self.name in ("program", "all ranks") and taken != [1]:
                problems.append(f"checkpoints {taken} instead of one")
            if problems:
                sys.stderr.write((first.stderr + second.stderr).decode(errors="replace"))
                print(f"FAILED: {self.name}: {'; '.join(problems)}; kept: {scratch.keep()}", flush=True)
                return False
            print(f"{self.name}: recovered from checkpoint {taken}", flush=True)
            return True


def send_signal(case, job):
    os.kill(case.launcher(job), signal.SIGUSR1)


def use_command(case, job):
    done = subprocess.run([str(case.build.directory / "bin" / "mpi-ft-checkpoint"), "--wait", "--json", str(job)],
                          capture_output=True, timeout=LIMIT, check=False)
    if done.returncode != 0 or json.loads(done.stdout)["csn"] not in checkpoints(job):
        raise SystemExit(f"mpi-ft-checkpoint: {done.returncode} {done.stdout} {done.stderr}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--only")
    options = parser.parse_args()
    build = mpi_jobs.Build(options.build.resolve())
    cases = [
        Case(build, "program", {}),
        Case(build, "all ranks", {}, ["all"]),
        Case(build, "messages", {"FT_CKPT_EVERY": "20"}),
        Case(build, "signal", {"FT_CKPT_SIGNAL": "USR1"}, act=send_signal),
        Case(build, "command", {}, act=use_command),
        Case(build, "auto", {"FT_CKPT_INTERVAL": "auto", "FT_MTBF": "2"}),
        Case(build, "ack", {"FT_CKPT_INTERVAL": "0.3", "FT_CKPT_TRANSIT": "ack"}),
        Case(build, "optimistic vectors", {"FT_CKPT_INTERVAL": "0.3", "FT_MTV_STRATEGY": "optimistic"}),
    ]
    good = [case.run() for case in cases if options.only in (None, case.name)]
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
