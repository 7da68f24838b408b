#!/usr/bin/env python3
"""Runs an MPI program bare and protected; kills it at places where a checkpoint has just been taken, recovers it, and
compares: exit code, output and files must be those of the bare run, and the recovery must start from a checkpoint.

run_recovery_test.py --build DIR [--linked] [--places all|middle|N,...] [--np N] PROGRAM [ARGUMENT...]

PROGRAM is made with mpi_main.c: it stops for a while at the call of checkpoint_here() that STOP_AT names.
--linked: PROGRAM is linked with libftmpi, else the library is preloaded.
--refused TEXT: no checkpoint can be taken; the job says TEXT, goes on and ends well.
--smaller BYTES: a rank's checkpoint file must be smaller.
--damage SCRIPT --says TEXT: a shell command between the failure and the recovery, which must then refuse with TEXT.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))
import mpi_jobs  # noqa: E402

TIMEOUT = 60
INTERVAL = 0.1  # seconds between checkpoints


class Failure(Exception):
    pass


def permanent(job):
    """CSNs of permanent checkpoints."""
    return {int(p.parent.name.removeprefix("checkpoint-")) for p in job.glob("checkpoint-*/checkpoint.h5")}


def files(work):
    return {str(p.relative_to(work)): p.read_bytes() for p in sorted(work.rglob("*"))
            if p.is_file() and p.name != "job"}


def by_rank(outputs):
    """{rank: what it has printed}, from mpirun's --tag-output."""
    result = {}
    for line in b"".join(outputs).splitlines(keepends=True):
        found = re.match(rb"\[\d+,(\d+)\]<stdout>:(.*)\Z", line, re.S)
        if found:
            result[int(found[1])] = result.get(int(found[1]), b"") + found[2]
    return result


class Test:
    def __init__(self, options, scratch):
        self.options = options
        self.build = mpi_jobs.Build(options.build.resolve())
        self.scratch = scratch
        self.work = scratch / "work"
        self.job = scratch / "job"
        # In node-local memory, of which nothing must be left.
        self.local = pathlib.Path(tempfile.mkdtemp(prefix="ftmpi-recovery-test-", dir="/dev/shm"))

    def command(self, protected, place):
        variables = {"STOP_AT": place, "STOP_DIRECTORY": self.scratch, "TEST_VARIABLE": "a value"}
        if protected:
            variables |= {"FT_MODE": "causal", "FT_STATE": "image", "FT_CKPT_INTERVAL": INTERVAL,
                          "FT_DIR": self.job, "FT_LOCAL": self.local / "job"}
            if not self.options.linked:
                variables["LD_PRELOAD"] = self.build.library
        # Programs that OpenMP makes threads in need processors: mpirun binds each rank to one.
        return mpi_jobs.mpirun(self.options.np, self.options.command[0], self.options.command[1:],
                               variables=variables, mpirun_arguments=("--tag-output", "--bind-to", "none"))

    def start(self, protected, place):
        for path in (self.work, self.job, self.local / "job"):
            shutil.rmtree(path, ignore_errors=True)
        for mark in self.scratch.glob("stopped-*"):
            mark.unlink()
        self.work.mkdir()
        return self.command(protected, place)

    def run(self, protected, place=0):
        return mpi_jobs.run(self.start(protected, place), self.work, timeout=TIMEOUT)

    def bare(self):
        outcome = self.run(False)
        if outcome.code != 0:
            raise Failure(f"the program itself fails: {outcome.code}\n{outcome.stderr.decode()}")
        self.wanted = (by_rank([outcome.stdout]), files(self.work))
        calls = re.findall(rb"result \d+, (\d+) calls", outcome.stdout)
        redirected = b"".join(self.wanted[1].values())
        calls += re.findall(rb"result \d+, (\d+) calls", redirected)
        if len(calls) != self.options.np or int(calls[0]) == 0:
            raise Failure(f"the program never called checkpoint_here(): {outcome.stdout.decode()}")
        self.calls = int(calls[0])

    def compare(self, what, outputs, errors):
        got = (by_rank(outputs), files(self.work))
        for name, wanted, found in zip(("output", "files"), self.wanted, got):
            if wanted != found:
                raise Failure(f"{what}: {name} differ\n--- wanted\n{show(wanted)}\n--- got\n{show(found)}\n"
                              f"--- messages\n{errors.decode(errors='replace')[-3000:]}")

    def kill_at(self, place):
        """Starts the program, kills a rank at the place after a checkpoint there. Its output and messages."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(self.start(True, place), cwd=self.work, env=mpi_jobs.environment(), stdout=out,
                                       stderr=err, stdin=subprocess.DEVNULL, start_new_session=True)
            try:
                self.wait(process, lambda: len(list(self.scratch.glob("stopped-*"))) == self.options.np, err)
                # One that may have begun before, and one that surely did not.
                enough = max(permanent(self.job), default=0) + 2
                self.wait(process, lambda: max(permanent(self.job), default=0) >= enough, err)
                victim = mpi_jobs.ranks(process.pid).get(place % self.options.np)
                if victim is None:
                    raise Failure("the rank to be killed was not found")
                os.kill(victim, signal.SIGKILL)
                process.wait(TIMEOUT)
            finally:
                if process.poll() is None:
                    for pid in [*mpi_jobs.descendants(process.pid), process.pid]:
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
                    process.wait()
            out.seek(0)
            err.seek(0)
            return out.read(), err.read()

    @staticmethod
    def wait(process, condition, err):
        end = time.monotonic() + TIMEOUT
        while not condition():
            try:
                process.wait(0.005)
            except subprocess.TimeoutExpired:
                if time.monotonic() < end:
                    continue
            err.seek(0)
            raise Failure("no checkpoint was taken where the program stopped\n"
                          + err.read().decode(errors="replace")[-3000:])

    def place(self, place):
        output, errors = self.kill_at(place)
        largest = max(p.stat().st_size for p in self.job.glob("checkpoint-*/rank-*.h5"))
        if self.options.smaller and largest >= self.options.smaller:
            raise Failure(f"a checkpoint has {largest} bytes")
        if self.options.damage:
            subprocess.run(self.options.damage, shell=True, cwd=self.work, check=True)
        outcome = mpi_jobs.run([str(self.build.recover), str(self.job)], self.work, timeout=TIMEOUT)
        if self.options.damage:
            if outcome.code == 0 or self.options.says not in outcome.stderr.decode(errors="replace"):
                raise Failure(f"a recovery after '{self.options.damage}' does not say '{self.options.says}' but ends "
                              f"with {outcome.code}\n{outcome.stderr.decode(errors='replace')[-3000:]}")
            return
        errors += outcome.stderr
        if outcome.code != 0:
            raise Failure(f"place {place}: the recovery ends with {outcome.code}\n{errors.decode(errors='replace')[-3000:]}")
        started = re.findall(rb"^ +\d+ .* checkpoint \d+ ", outcome.stderr, re.M)
        if len(started) != self.options.np:
            raise Failure(f"place {place}: {len(started)} ranks started from a checkpoint\n{errors.decode()[-3000:]}")
        self.compare(f"recovered at place {place}", [output, outcome.stdout], errors)

    def refused(self):
        outcome = self.run(True, 1)
        text = outcome.stderr.decode(errors="replace")
        if outcome.code != 0 or self.options.refused not in text:
            raise Failure(f"ended with {outcome.code}; not said: '{self.options.refused}'\n{text[-3000:]}")
        self.compare("refused", [outcome.stdout], outcome.stderr)

    def all(self):
        self.bare()
        if self.options.refused:
            self.refused()
            return "goes on"
        outcome = self.run(True)
        if outcome.code != 0:
            raise Failure(f"with the library: exit code {outcome.code}\n{outcome.stderr.decode()}")
        self.compare("without a failure", [outcome.stdout], outcome.stderr)
        chosen = self.options.places
        places = (range(1, self.calls + 1) if chosen == "all" else
                  [(self.calls + 1) // 2] if chosen == "middle" else map(int, chosen.split(",")))
        count = 0
        for place in places:
            self.place(place)
            count += 1
        return f"recovered at {count} of {self.calls} places"


def show(value):
    if isinstance(value, dict):
        return "\n".join(f"{k}: {v.decode(errors='replace')[-1500:]}" for k, v in value.items())
    return str(value)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--linked", action="store_true")
    parser.add_argument("--places", default="all")
    parser.add_argument("--np", type=int, default=2)
    parser.add_argument("--refused")
    parser.add_argument("--smaller", type=int)
    parser.add_argument("--damage")
    parser.add_argument("--says")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recovery-test-") as scratch:
        test = Test(options, pathlib.Path(scratch))
        try:
            print(f"{pathlib.Path(options.command[0]).name}: {test.all()}")
        finally:
            shutil.rmtree(test.local, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except (Failure, subprocess.TimeoutExpired, subprocess.CalledProcessError) as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
