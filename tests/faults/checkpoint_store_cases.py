#!/usr/bin/env python3
"""What recovery does with a job's checkpoints and trimmed logs: real jobs, killed, damaged, recovered.

    checkpoint_store_cases.py --build DIR [CASE...]

Each job is killed once it has taken some checkpoints. What it left is put aside, and put back for each case.
"""

import argparse
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mpi_jobs  # noqa: E402
from campaign import PROGRAMS, Mismatch, Reference, check, result_line  # noqa: E402

TIMEOUT = 120.0
# Long enough for some checkpoints, on a fast machine too.
LONGER = {"gauss": ["--size", 1500, "--print-every", 20]}


class Failed(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Failed(text)


class KilledJob:
    """A job that was killed in front of checkpoint `checkpoints` + 1, and can be recovered again and again."""

    def __init__(self, build, name, mode="causal", checkpoints=4, variables=None, interval=0.25,
                 preload=()):
        self.build = build
        self.program = dataclasses.replace(PROGRAMS[name], arguments=LONGER.get(name, PROGRAMS[name].arguments))
        self.scratch = mpi_jobs.Scratch("store")
        self.reference = self.bare()
        # So short that the program does not end before, however fast the machine is.
        interval = min(interval, self.reference.seconds / (4 * (checkpoints + 1)))
        exports = {**self.scratch.variables(), "FT_STATE": "image", "FT_CKPT_INTERVAL": f"{interval:.3f}",
                   **(variables or {})}
        self.exports = exports
        libraries = ":".join(map(str, [build.library, *preload]))
        command = mpi_jobs.mpirun(self.program.np, build.program(name), self.program.arguments, mode, libraries, exports)
        index = self.scratch.job / f"checkpoint-{checkpoints}" / "checkpoint.h5"
        self.first = mpi_jobs.run(command, self.scratch.directory, timeout=TIMEOUT, kills=[(0.05, [1])], begin=index)
        expect(self.first.killed == [1], f"{name} was not killed behind checkpoint {checkpoints}: exit code "
               f"{self.first.code}\n{self.first.stderr.decode(errors='replace')[-2000:]}")
        self.aside = self.scratch.directory / "aside"
        shutil.copytree(self.scratch.job, self.aside / "job", symlinks=True)
        shutil.copytree(self.local, self.aside / "local", symlinks=True)

    @property
    def local(self):
        return self.scratch.local / "local"

    def bare(self):
        outcome = mpi_jobs.run(mpi_jobs.mpirun(self.program.np, self.build.program(self.program.name),
                                               self.program.arguments), self.scratch.directory, timeout=TIMEOUT)
        expect(outcome.code == 0, f"{self.program.name} alone: exit code {outcome.code}")
        return Reference(outcome.stdout, result_line(outcome.stdout), outcome.seconds)

    def put_back(self):
        self.scratch.empty()
        shutil.copytree(self.aside / "job", self.scratch.job, symlinks=True)
        shutil.copytree(self.aside / "local", self.local, symlinks=True)

    def checkpoints(self):
        """CSNs of the permanent ones, ascending."""
        return sorted(int(path.parent.name.split("-")[1]) for path in self.scratch.job.glob("checkpoint-*/checkpoint.h5"))

    def rank_file(self, csn, rank):
        return self.scratch.job / f"checkpoint-{csn}" / f"rank-{rank}.h5"

    def recover(self, *options):
        return mpi_jobs.run([str(self.build.recover), *options, str(self.scratch.job)], self.scratch.directory,
                            timeout=TIMEOUT)

    def expect_recovered(self, outcome, start):
        said = outcome.stderr.decode(errors="replace")
        expect(outcome.code == 0, f"recovery ends with {outcome.code}:\n{said[-3000:]}")
        expect(re.search(rf"^ +0 .* {start} ", said, re.M), f"not from {start}:\n{said[-3000:]}")
        check(self.program, self.reference, self.first.stdout + outcome.stdout, self.first.stderr + outcome.stderr)

    def expect_refused(self, outcome, *texts):
        said = outcome.stderr.decode(errors="replace")
        expect(outcome.code == 125, f"not refused, exit code {outcome.code}:\n{said[-3000:]}")
        for text in texts:
            expect(re.search(text, said), f"the message does not say '{text}':\n{said[-3000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.scratch.__exit__()


def flip(path, at):
    """One bit of a byte; `at` is a fraction of the file."""
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 4
    path.write_bytes(content)


def logged_bytes(local):
    return sum(path.stat().st_blocks * 512 for path in local.glob("rank-*.payload-*"))


def trimming(build):
    """Logs of a long job are trimmed; it is recovered from the newest checkpoint, from the one before when that is
    damaged, and refused with the reason when all are."""
    with KilledJob(build, "farm", checkpoints=5) as job:
        kept = job.checkpoints()
        expect(len(kept) == 2, f"permanent checkpoints that are left: {kept}")
        expect(list(job.local.glob("rank-0.events-0.base")), "rank 0's event log was not trimmed")
        job.expect_recovered(job.recover(), f"checkpoint {kept[-1]}")

        job.put_back()
        flip(job.rank_file(kept[-1], 2), 0.5)
        outcome = job.recover()
        job.expect_recovered(outcome, f"checkpoint {kept[0]}")
        expect(re.search(rb"checkpoint %d is not used: .*rank-2.h5: " % kept[-1], outcome.stderr),
               "it is not said why the newest one is not used")

        job.put_back()
        for csn in kept:
            job.rank_file(csn, 1).unlink()
        job.expect_refused(job.recover(), f"checkpoint {kept[-1]} is not used", f"checkpoint {kept[0]} is not used",
                           "the initial state is not used: rank [0-9]+ was in state interval 0 then, and its event 1 is not known",
                           "trimmed by checkpoints")
        # Nothing was changed by that.
        job.put_back()
        job.expect_recovered(job.recover(), f"checkpoint {kept[-1]}")


def trimming_without_events(build):
    """A program without events can be run again from its beginning, even with trimmed logs."""
    # So little fits a segment that segments are dropped in the time that a test has.
    with KilledJob(build, "gauss", checkpoints=5, variables={"FT_LOG_MEMORY": "4M"}) as job:
        trimmed = list(job.local.glob("rank-*.payload-base"))
        expect(trimmed, "no payload log was trimmed")
        expect(logged_bytes(job.local) <= job.program.np * (4 << 20) + len(trimmed) * 4096, "the payload logs are larger than their limit")
        kept = job.checkpoints()
        job.expect_recovered(job.recover(), f"checkpoint {kept[-1]}")
        job.put_back()
        for csn in kept:
            flip(job.rank_file(csn, 0), 0.7)
        job.expect_recovered(job.recover(), "initial state")


def chosen(build):
    """mpi-ft-recover --to."""
    with KilledJob(build, "farm", mode="pessimistic", checkpoints=4) as job:
        older, newest = job.checkpoints()
        job.expect_recovered(job.recover("--to", str(older)), f"checkpoint {older}")
        job.put_back()
        job.expect_recovered(job.recover("--to", str(newest)), f"checkpoint {newest}")
        job.put_back()
        job.expect_refused(job.recover("--to", "1"), "there is no permanent checkpoint 1", "mpi-ft-ls")
        flip(job.rank_file(older, 3), 0.3)
        job.expect_refused(job.recover("--to", str(older)), f"checkpoint {older} is not used: .*rank-3.h5")
        expect(job.checkpoints() == [older, newest], "a refusal has removed checkpoints")


def compressed(build):
    """FT_COMPRESS."""
    with KilledJob(build, "gauss", checkpoints=2) as plain, \
            KilledJob(build, "gauss", checkpoints=2, variables={"FT_COMPRESS": "zstd:1"}) as job:
        newest = job.checkpoints()[-1]
        sizes = [j.rank_file(j.checkpoints()[-1], 0).stat().st_size for j in (plain, job)]
        expect(sizes[1] < 0.95 * sizes[0], f"{sizes[1]} bytes compressed, {sizes[0]} without")
        job.expect_recovered(job.recover(), f"checkpoint {newest}")


def incremental(build):
    """FT_INCREMENTAL, FT_FULL_EVERY: restart from a chain, and with a damaged file in its middle."""
    for method in ("uffd", "hash"):
        with KilledJob(build, "farm", checkpoints=6, interval=0.4,
                       variables={"FT_INCREMENTAL": method, "FT_FULL_EVERY": "4"}) as job:
            csns = job.checkpoints()
            sizes = {csn: job.rank_file(csn, 0).stat().st_size for csn in csns}
            # 1 is complete, 2 to 4 build on it, 5 is complete, 6 builds on it; what the last two need is kept.
            expect(csns[-2:] == [5, 6] and 4 not in csns, f"{method}: checkpoints {csns}")
            expect(sizes[6] < 0.75 * sizes[5], f"{method}: sizes {sizes}")
            job.expect_recovered(job.recover(), "checkpoint 6")
        with KilledJob(build, "farm", checkpoints=4, interval=0.4,
                       variables={"FT_INCREMENTAL": method, "FT_FULL_EVERY": "4", "FT_CKPT_KEEP": "3"}) as job:
            expect(job.checkpoints() == [1, 2, 3, 4], f"{method}: checkpoints {job.checkpoints()}")
            flip(job.rank_file(3, 1), 0.4)
            outcome = job.recover()
            job.expect_recovered(outcome, "checkpoint 2")
            expect(b"checkpoint 4 is not used: " in outcome.stderr and b"checkpoint-3/rank-1.h5" in outcome.stderr,
                   "the damaged file is not named")


def other_files(build):
    """Another library, files of two checkpoints mixed, truncated: refused or passed over, with the reason."""
    with tempfile.TemporaryDirectory(prefix="mpi-job-extra-") as extra:
        library = pathlib.Path(extra) / "libextra.so"

        def compile_library(value):
            subprocess.run(["cc", "-shared", "-fPIC", "-Wl,--build-id", "-x", "c", "-o", str(library), "-"], check=True,
                           input=f"int ftmpi_test_extra(void) {{ return {value}; }}".encode())

        compile_library(1)
        with KilledJob(build, "farm", checkpoints=4, preload=[library]) as job:
            older, newest = job.checkpoints()
            compile_library(2)
            job.expect_refused(job.recover(), f"checkpoint {newest} can't be used: {library} is another build")
            library.unlink()
            job.expect_refused(job.recover(), f"checkpoint {newest} can't be used: {library} can't be read")
            compile_library(1)
            shutil.copy(job.rank_file(older, 1), job.rank_file(newest, 1))
            outcome = job.recover()
            job.expect_recovered(outcome, f"checkpoint {older}")
            expect(b"files of two checkpoints or jobs were mixed" in outcome.stderr, "mixed files are not named")
            job.put_back()
            with job.rank_file(newest, 0).open("r+b") as file:
                file.truncate(job.rank_file(newest, 0).stat().st_size - 1)
            outcome = job.recover()
            job.expect_recovered(outcome, f"checkpoint {older}")
            expect(f"checkpoint {newest} is not used: ".encode() in outcome.stderr, "the truncated file is not named")


def lost_log(build):
    """A rank is lost with all that its node kept of it: everyone goes back to the checkpoint, whoever it was."""
    for name in ("gauss", "farm"):
        with KilledJob(build, name, checkpoints=3, variables={"FT_FAILURE_UNIT": "rank"}) as job:
            newest = job.checkpoints()[-1]
            for victim in range(job.program.np):
                job.put_back()
                for path in job.local.glob(f"rank-{victim}.*"):
                    path.unlink()
                outcome = job.recover()
                job.expect_recovered(outcome, f"checkpoint {newest}")


CASES = {f.__name__: f for f in (trimming, trimming_without_events, chosen, compressed, incremental, other_files, lost_log)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    options = parser.parse_args()
    build = mpi_jobs.Build(options.build.resolve())
    failed = 0
    for name in options.cases or CASES:
        try:
            CASES[name](build)
            print(f"{name}: passed", flush=True)
        except (Failed, Mismatch) as failure:
            failed += 1
            print(f"{name}: FAILED: {failure}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
