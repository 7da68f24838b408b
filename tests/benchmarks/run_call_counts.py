#!/usr/bin/env python3
"""Counts allocations and system calls per message on the fast path, in each mode.

    run_call_counts.py --build DIR [--modes M,...] [--bytes 8,1024,...]

A ping-pong is run twice with different numbers of messages; the difference of the counts is what the
messages cost. Allowed is what bare Open MPI needs, plus one call per 1000 messages for noise. Calls that
depend on time, not on messages (sched_yield, sleeps, the poll of Open MPI's event loop), are left out.

Calls by which the payload log gets memory depend on the bytes logged, not on the number of messages; they
are counted by themselves ("log growth"): at most two for each 64 KiB of records.
"""

import argparse
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mpi_jobs  # noqa: E402

FEW, MANY = 10_000, 60_000
TIME_DRIVEN = "sched_yield,poll,ppoll,epoll_wait,epoll_pwait,select,pselect6,nanosleep,clock_nanosleep"
GROWTH = ("fallocate", "madvise", "ftruncate", "mmap", "munmap", "mremap")
ALLOWED = 0.001  # per message
GROWTH_STEP = 64 * 1024  # bytes of log
RECORD = 128  # at most that much is stored beside a message's payload


def run(build, mode, preload, variables, prefix, bytes_, iterations, scratch):
    variables = dict(variables)
    libraries = [str(build.library)] if mode else []
    libraries += preload
    if libraries:
        variables["LD_PRELOAD"] = ":".join(libraries)
    if mode:
        variables |= {"FT_MODE": mode, **scratch.variables()}
    command = ["mpirun", "--oversubscribe", "-np", "2"]
    for name, value in variables.items():
        command += ["-x", f"{name}={value}"]
    command += [*prefix, str(build.program("bench_pingpong")), str(bytes_), str(iterations), "x"]
    outcome = mpi_jobs.run(command, scratch.directory, timeout=300)
    if outcome.code != 0:
        raise SystemExit(f"{' '.join(command)}\nended with {outcome.code}\n{outcome.stderr.decode()}")


def allocations(build, mode, bytes_, iterations):
    with mpi_jobs.Scratch("calls") as scratch:
        run(build, mode, [str(build.directory / "tests/benchmarks/libcall_counter.so")],
            {"CALL_COUNTER_FILE": scratch.directory / "count",
             "CALL_COUNTER_PROGRAM": build.program("bench_pingpong")}, [], bytes_, iterations, scratch)
        return max(int((scratch.directory / f"count.{rank}").read_text()) for rank in (0, 1))


def system_calls(build, mode, bytes_, iterations, growth=False):
    with mpi_jobs.Scratch("calls") as scratch:
        # -ff -o would need one file per process; without -f strace follows only the rank's main thread.
        script = scratch.directory / "traced"
        script.write_text(
            "#!/bin/sh\n"
            f"exec strace -qq -c -U calls,name -e 'trace=!{TIME_DRIVEN}' "
            f"-o {scratch.directory}/strace.$OMPI_COMM_WORLD_RANK \"$@\"\n")
        script.chmod(0o755)
        run(build, mode, [], {}, [str(script)], bytes_, iterations, scratch)
        return max(_sum(scratch.directory / f"strace.{rank}", growth) for rank in (0, 1))


def log_growth(build, mode, bytes_, iterations):
    return system_calls(build, mode, bytes_, iterations, growth=True)


def _sum(path, growth):
    """Calls in strace's summary: those that make memory ready, or all others."""
    counts = {}
    for line in path.read_text().splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0].isdigit():
            counts[fields[1]] = int(fields[0])
    if not counts.pop("total", 0):
        raise SystemExit(f"{path}: no total in strace's summary")
    return sum(n for name, n in counts.items() if (name in GROWTH) == growth)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--modes", default=",".join(mpi_jobs.LOGGING_MODES))
    parser.add_argument("--bytes", default="8,1024")
    options = parser.parse_args()
    build = mpi_jobs.Build(options.build.resolve())
    counters = {"allocations": allocations}
    if shutil.which("strace"):
        counters |= {"system calls": system_calls, "log growth": log_growth}
    else:
        print("system calls are not counted: strace is not installed")
    messages = 2 * (MANY - FEW)  # each iteration is a message there and one back
    failed = 0
    print(f"{'':14}{'bytes':>8}  {'mode':12}{'calls per message':>18}{'allowed':>10}")
    for name, count in counters.items():
        for bytes_ in map(int, options.bytes.split(",")):
            bare = None
            for mode in [None, *options.modes.split(",")]:
                per_message = (count(build, mode, bytes_, MANY) - count(build, mode, bytes_, FEW)) / messages
                if mode is None:
                    bare = max(per_message, 0.0)
                allowed = bare + ALLOWED
                if name == "log growth":
                    # A rank sends, and logs, every other message.
                    allowed += (bytes_ + RECORD) / GROWTH_STEP
                bad = mode is not None and per_message > allowed
                failed += bad
                print(f"{name:14}{bytes_:8}  {mode or 'bare':12}{per_message:18.5f}{allowed:10.5f}"
                      f"{'  FAILED' if bad else ''}")
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
