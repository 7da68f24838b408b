#!/usr/bin/env python3
"""Runs a program without the image library; with it; captured and run on; and for each of its
checkpoint_here() calls captured, killed and restored in a new process; and in a chain of processes, each restored from the one before. All runs must print the same
and leave the same files.

run_image_test.py [--ranks N] [--chain METHOD] HOST-LIBRARY PROGRAM [ARGUMENT...]

--ranks: by mpirun with N ranks, which are captured and killed together.
--chain: an image at each call, which builds on the one before.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

TIMEOUT = 50
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # of a process; of a job, as mpirun says it


class Failure(Exception):
    pass


def run(ranks, library, command, directory, mode, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("IMAGE_TEST", "LD_PRELOAD"))}
    environment["TEST_VARIABLE"] = "a value"
    ours = {}
    if mode is not None:
        ours.update(LD_PRELOAD=library, IMAGE_TEST=mode)
        ours.update({f"IMAGE_TEST_{name.upper()}": str(value) for name, value in variables.items()})
    if ranks:
        environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        command = (["mpirun", "--oversubscribe", "-np", str(ranks)]
                   + [word for name, value in ours.items() for word in ("-x", f"{name}={value}")] + command)
    else:
        environment.update(ours)
    done = subprocess.run(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=TIMEOUT)
    return done.returncode, done.stdout, done.stderr


def files(directory):
    return {str(p.relative_to(directory)): p.read_bytes()
            for p in sorted(pathlib.Path(directory).rglob("*")) if p.is_file()}


def compare(what, wanted, got):
    for name, left, right in zip(("exit status", "standard output", "files"), wanted, got):
        if left != right:
            raise Failure(f"{what}: {name} differ\n--- wanted\n{show(left)}\n--- got\n{show(right)}")


def show(value):
    if isinstance(value, bytes):
        return value.decode(errors="replace")[-4000:]
    return repr(value)[:4000]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=0)
    parser.add_argument("--chain", choices=("userfault", "hash"))
    parser.add_argument("library")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    ranks, library, command = arguments.ranks, arguments.library, arguments.command
    with tempfile.TemporaryDirectory(prefix="image-test-") as scratch:
        scratch = pathlib.Path(scratch)
        image = scratch / "image"

        def directory(name):
            # The same path for every run, as for a job that goes on: programs may print it.
            place = scratch / "work"
            if place.exists():
                place.rename(scratch / f"old-{name}-{len(list(scratch.iterdir()))}")
            place.mkdir()
            return place

        place = directory("plain")
        status, output, errors = run(ranks, library, command, place, None)
        if status < 0:
            raise Failure(f"the program itself fails: {status} {errors.decode()}")
        wanted = (status, output, files(place))

        place = directory("record")
        status, output, errors = run(ranks, library, command, place, "record")
        compare(f"with the library {errors.decode()}", wanted, (status, output, files(place)))

        place = directory("on")
        status, output, errors = run(ranks, library, command, place, "record", file=image, on=1)
        compare(f"captured and run on {errors.decode()}", wanted, (status, output, files(place)))

        restored = 0
        for call in range(1, 100):
            place = directory(f"at-{call}")
            for old in scratch.glob("image*"):
                old.unlink()
            chain = {"chain": arguments.chain} if arguments.chain else {}
            status, before, errors = run(ranks, library, command, place, "record", file=image, at=call, **chain)
            if status not in KILLED:
                compare(f"call {call} {errors.decode()}", wanted, (status, before, files(place)))
                break
            status, after, errors = run(ranks, library, command, place, "restore", file=image)
            compare(f"restored at call {call} {errors.decode()}", wanted,
                    (status, before + after, files(place)))
            restored += 1
        # A new process from each call to the next one: images of restored processes.
        place = directory("generations")
        for old in scratch.glob("image*"):
            old.unlink()
        status, output, errors = run(ranks, library, command, place, "record", file=image, at=1)
        generations = 0
        while status in KILLED:
            generations += 1
            status, more, errors = run(ranks, library, command, place, "restore", file=image, at=1)
            output += more
        compare(f"{generations} processes one after another {errors.decode()}", wanted,
                (status, output, files(place)))
        if restored == 0:
            raise Failure("the program never called checkpoint_here()")
        print(f"{pathlib.Path(command[0]).name}: restored at {restored} places")


if __name__ == "__main__":
    try:
        main()
    except (Failure, subprocess.TimeoutExpired) as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
