"""Starts MPI jobs for the tests and benchmarks: bare, or under ftmpi in one of its modes."""

import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

LOGGING_MODES = ("pessimistic", "optimistic", "causal")


@dataclasses.dataclass
class Build:
    """A build tree and what the tests need of it."""

    directory: pathlib.Path

    @property
    def library(self):
        return self.directory / "lib" / "libftmpi.so"

    @property
    def recover(self):
        return self.directory / "bin" / "mpi-ft-recover"

    def program(self, name):
        for folder in ("examples", "tests/mpi", "tests/benchmarks", "tests"):
            for path in (self.directory / folder / name, self.directory / folder / f"mpi_{name}"):
                if path.is_file() and os.access(path, os.X_OK):
                    return path
        raise SystemExit(f"{self.directory}: no program {name}; build it first")


def environment(extra=None):
    """The environment for mpirun: free of FT_* and of the libraries of an outer run."""
    result = {k: v for k, v in os.environ.items() if not k.startswith("FT_") and k != "LD_PRELOAD"}
    result["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
    result["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    # mpirun looks for its session directory here; a long TMPDIR breaks its sockets.
    result.setdefault("TMPDIR", "/tmp")
    result.update(extra or {})
    return result


def mpirun(np, program, arguments=(), mode=None, library=None, variables=None, mpirun_arguments=()):
    """The command line. mode None: bare, without the library; else FT_MODE, with the library preloaded."""
    command = ["mpirun", "--oversubscribe", *mpirun_arguments, "-np", str(np)]
    exports = dict(variables or {})
    if mode is not None:
        exports["FT_MODE"] = mode
        exports["LD_PRELOAD"] = str(library)
    for name, value in exports.items():
        command += ["-x", f"{name}={value}"]
    return command + [str(program), *map(str, arguments)]


class Scratch:
    """A directory for a job's files, and one in node-local memory, removed at the end unless kept."""

    def __init__(self, name):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"mpi-job-{name}-"))
        self.local = pathlib.Path(tempfile.mkdtemp(prefix=f"mpi-job-{name}-", dir="/dev/shm"))
        self.kept = False

    def variables(self):
        return {"FT_DIR": str(self.directory / "job"), "FT_LOCAL": str(self.local / "local")}

    @property
    def job(self):
        return self.directory / "job"

    def empty(self):
        """Removes what a job has left in its directories."""
        shutil.rmtree(self.job, ignore_errors=True)
        shutil.rmtree(self.local / "local", ignore_errors=True)

    def keep(self):
        self.kept = True
        return f"{self.directory} and {self.local}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.kept:
            shutil.rmtree(self.directory, ignore_errors=True)
            shutil.rmtree(self.local, ignore_errors=True)


def _stat(pid):
    """(parent, state, start time) of a process, or None."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), fields[0], int(fields[19])


def descendants(pid):
    """All living processes below `pid`."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = _stat(int(entry))
            if stat:
                children.setdefault(stat[0], []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def ranks(launcher_pid):
    """{rank: pid} of the ranks that an mpirun at or below `launcher_pid` has started on this machine.

    A rank is a direct child of mpirun; what the rank itself starts is not.
    """
    result = {}
    for pid in [launcher_pid, *descendants(launcher_pid)]:
        stat = _stat(pid)
        if not stat or stat[1] == "Z":
            continue
        try:
            parent_name = pathlib.Path(f"/proc/{stat[0]}/comm").read_text().strip()
            if parent_name not in ("mpirun", "orterun"):
                continue
            variables = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        for variable in variables:
            if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                result[int(variable.split(b"=")[1])] = pid
    return result


@dataclasses.dataclass
class Outcome:
    code: int  # exit code; None: it hung and was killed
    stdout: bytes
    stderr: bytes
    seconds: float
    killed: list  # ranks that were killed
    begun: float  # seconds after which the file `begin` existed; None: it never did


def run(command, cwd, variables=None, stdin=None, timeout=120.0, kills=(), begin=None):
    """Runs a launcher to its end.

    kills: (seconds, ranks) in order of time: those ranks get SIGKILL then, or as soon as they exist; a job
    that has ended by then is left alone. The seconds count from the start, or, where `begin` is given, from
    the moment at which this file exists. A launcher that does not end within `timeout` seconds is killed
    with everything below it.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        process = subprocess.Popen(
            command, cwd=cwd, env=environment(variables), stdout=out, stderr=err,
            stdin=stdin if stdin is not None else subprocess.DEVNULL, start_new_session=True)
        killed = []
        hung = False
        begun = None
        try:
            origin = start
            while begin is not None and begun is None and time.monotonic() < start + timeout:
                if begin.exists():
                    begun = time.monotonic() - start
                    origin = start + begun
                elif _ended(process, 0.002):
                    break
            for delay, victims in kills:
                killed += _kill_ranks(process, origin + delay, victims, start + timeout)
            process.wait(max(0.1, start + timeout - time.monotonic()))
        except subprocess.TimeoutExpired:
            hung = True
        finally:
            if process.poll() is None:
                for pid in [*descendants(process.pid), process.pid]:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                process.wait()
        seconds = time.monotonic() - start
        out.seek(0)
        err.seek(0)
        return Outcome(None if hung else process.returncode, out.read(), err.read(), seconds, killed, begun)


def _ended(process, seconds):
    """Whether the process ends within that time."""
    try:
        process.wait(max(0.0, seconds))
        return True
    except subprocess.TimeoutExpired:
        return False


def _kill_ranks(process, when, victims, deadline):
    """Sends SIGKILL to `victims` at time `when` of the monotonic clock; returns those that were hit."""
    if _ended(process, when - time.monotonic()):
        return []
    # mpirun may not have started them yet.
    while True:
        pids = ranks(process.pid)
        if all(victim in pids for victim in victims):
            break
        if time.monotonic() > deadline or _ended(process, 0.005):
            return []
    hit = []
    for victim in victims:
        try:
            os.kill(pids[victim], signal.SIGKILL)
            hit.append(victim)
        except ProcessLookupError:
            pass
    return hit


def fnv1a(data):
    """The digest that the example and event programs print."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value
