#!/usr/bin/env python3
"""mpi-ft-check: what it says of programs, and its exit codes.

check_command_test.py MPI-FT-CHECK PLAIN NO-PIE STATIC OWN-MALLOC LINKED-WITH-MPI
"""

import json
import pathlib
import re
import stat
import subprocess
import sys
import tempfile


def expect(condition, *details):
    if not condition:
        print("wrong:", *details, file=sys.stderr)
        sys.exit(1)


def main():
    command, plain, no_pie, static, own_malloc, mpi = sys.argv[1:]

    def check(*arguments):
        done = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def facts(*arguments):
        code, out, err = check("--json", *arguments)
        expect(code in (0, 1), arguments, code, err)
        value = json.loads(out)
        expect(value["images"] == (code == 0), value, code)
        return value

    notes = subprocess.run(["readelf", "-n", plain], capture_output=True, text=True, check=True).stdout
    value = facts(plain, "--an-argument", "-x")
    expect(value["images"] and value["dynamic"] and value["position_independent"], value)
    expect(value["build_id"] == re.search(r"Build ID: ([0-9a-f]+)", notes)[1], value, notes)
    expect("libc.so.6" in value["libraries"] and not value["linked_ftmpi"], value)
    expect(not facts(no_pie)["position_independent"])

    value = facts(static)
    expect(not value["images"] and not value["dynamic"] and "statically" in value["obstacles"][0], value)
    value = facts(own_malloc)
    expect(not value["images"] and "malloc" in value["obstacles"][0], value)
    value = facts(mpi)
    expect(value["linked_mpi"] and value["linked_ftmpi"], value)
    expect(any("MPI_Win_" in remark for remark in facts(mpi.replace("p2p_self", "passthrough_rma"))["remarks"]))

    with tempfile.TemporaryDirectory() as directory:
        script = pathlib.Path(directory) / "script"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
        value = facts(str(script))
        expect(not value["images"] and "script" in value["obstacles"][0], value)
        setuid = pathlib.Path(directory) / "setuid"
        setuid.write_bytes(pathlib.Path(plain).read_bytes())
        setuid.chmod(0o755 | stat.S_ISUID)
        value = facts(str(setuid))
        expect(not value["images"] and "setuid" in value["obstacles"][0], value)
        # Cut anywhere: an answer, never a crash.
        content = pathlib.Path(plain).read_bytes()
        for length in [*range(0, 2000, 37), *range(2000, len(content), 997)]:
            script.write_bytes(content[:length])
            expect(check(str(script))[0] in (0, 1), "cut at", length)
        code, _, err = check(str(pathlib.Path(directory) / "nothing"))
        expect(code == 125 and "nothing" in err, code, err)

    code, out, _ = check(plain)
    expect(code == 0 and "images can be taken" in out and "build id: " in out, out)
    expect(check()[0] == 125)
    expect(check("--no-such-option", plain)[0] == 125)
    expect(check("--help")[0] == 0)


if __name__ == "__main__":
    main()
