#!/usr/bin/env python3
"""What can't be captured or restored is said, with the reason.

run_refusals_test.py HOST-LIBRARY REFUSED-PROGRAM FILES-PROGRAM
"""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile

CAPTURE_FAILED = 91
RESTORE_FAILED = 90
NOT_IMAGED = 92

REASONS = {
    "pipe": "is a pipe, which can't be restored",
    "socket": "is a socket, which can't be restored",
    "deleted": "is a file that was deleted",
    "thread": "the program has other threads",
    "unjoined": "ended and were not joined",
    "timer": "timer_create()",
    "shared": "shares memory with others in a file that was deleted",
}


def run(library, command, directory, mode, limit=None, **variables):
    environment = dict(os.environ, LD_PRELOAD=library, IMAGE_TEST=mode)
    environment.update({f"IMAGE_TEST_{name.upper()}": str(value) for name, value in variables.items()})
    def set_limit():
        which, value = limit
        resource.setrlimit(which, (value, resource.getrlimit(which)[1]))

    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, timeout=30,
                          preexec_fn=set_limit if limit else None)
    return done.returncode, done.stderr.decode()


def expect(what, got, status, text):
    if got[0] != status or text not in got[1]:
        sys.exit(f"{what}: wanted status {status} and '{text}', got {got}")
    print(f"{what}: {got[1].strip()}")


def main():
    library, refused, files = sys.argv[1:4]
    with tempfile.TemporaryDirectory(prefix="image-test-") as scratch:
        image = f"{scratch}/image"
        for what, reason in REASONS.items():
            expect(what, run(library, [refused, what], scratch, "record", file=image, at=1), CAPTURE_FAILED, reason)
        expect("ulimit -v", run(library, [refused], scratch, "record", limit=(resource.RLIMIT_AS, 9 << 30), file=image),
               NOT_IMAGED, "ulimit -v unlimited")

        def captured(name):
            directory = pathlib.Path(scratch) / name
            directory.mkdir()
            if run(library, [files], directory, "record", file=image, at=1)[0] != -9:
                sys.exit("the program was not captured")
            return directory

        def restore(directory, **options):
            return run(library, [files], directory, "restore", file=image, **options)

        place = captured("gone")
        (place / "input").unlink()
        expect("deleted file", restore(place), RESTORE_FAILED, "input, which the program had open as descriptor 3")
        place = captured("longer")
        with open(place / "input", "a") as file:
            file.write("more")
        expect("changed file", restore(place), RESTORE_FAILED, "was changed since the checkpoint")
        place = captured("shorter")
        os.truncate(place / "output", 10)
        expect("shortened file", restore(place), RESTORE_FAILED, "has 10 bytes; at the checkpoint it had")
        place = captured("program")
        expect("another program", run(library, [refused], place, "restore", file=image), RESTORE_FAILED,
               "is another build")
        place = captured("stack")
        expect("another ulimit -s", restore(place, limit=(resource.RLIMIT_STACK, 500 << 20)), RESTORE_FAILED, "in the image at")
        place = captured("cut")
        os.truncate(image, os.path.getsize(image) // 2)
        expect("damaged image", restore(place), RESTORE_FAILED, "too short")
    print(f"{len(REASONS) + 7} passed")


if __name__ == "__main__":
    main()
