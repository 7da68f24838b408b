"""Nodes on one Linux machine that can be lost: each with processes, network, memory file system and name of its own.

A node is a set of namespaces. Its first process is the node: SIGKILL of it ends all others in it, whatever they
are called, and what is in its /dev/shm (FT_LOCAL, session directories) is gone. All other directories are common
to all nodes, as shared storage is. mpirun runs on the *head*, which has a network and a name of its own, and
reaches the nodes by a small program that plays ssh.

Needs root, and a kernel that lets it make namespaces, a bridge and veth devices: why_not() tells.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

NETWORK = "10.87.0"
TOOLS = ("unshare", "nsenter", "ip", "mount", "mpirun")
# The first process of a node: the parent of its orphans, which it never has to wait for.
INIT = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print('ready', flush=True)\nwhile True: signal.pause()"
AGENT = """#!/bin/sh
# As ssh: AGENT [options] HOST COMMAND...
while case "$1" in -*) true ;; *) false ;; esac; do shift; done
host=$1; shift
read -r pid < "{state}/$host" 2>/dev/null && [ -d "/proc/$pid" ] || {{
  echo "connect to host $host: No route to host" >&2; exit 255; }}
exec nsenter -t "$pid" -m -u -i -n -p -- env -i HOME="$HOME" USER=root SHELL=/bin/sh PATH="$PATH" \\
  LD_LIBRARY_PATH="$LD_LIBRARY_PATH" TMPDIR=/dev/shm sh -c "cd /; $*"
"""


def _run(*command):
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, command))}: exit code {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def why_not():
    """Why nodes can't be made here; empty: they can."""
    if os.geteuid() != 0:
        return "only root can make nodes"
    for tool in TOOLS:
        if not shutil.which(tool):
            return f"the program {tool} is missing"
    try:
        _run("unshare", "-m", "-u", "-i", "-n", "-p", "-f", "--", "sh", "-c",
             "mount -t tmpfs none /dev/shm && ip link add name br0 type bridge && ip link add name veth0 type veth peer name veth1")
    except OSError as error:
        return f"the kernel does not let us make nodes: {error}"
    return ""


class Nodes:
    """A head and nodes n0, n1, ...; `state` is an existing directory for files of its own.

    with Nodes(directory, 4) as nodes: ...
    """

    def __init__(self, state, count):
        self.state = pathlib.Path(state)
        self.processes = {}  # name -> (Popen of unshare, pid of the first process)
        self.agent = self.state / "agent"
        self.agent.write_text(AGENT.format(state=self.state))
        self.agent.chmod(0o755)
        hosts = [f"127.0.0.1 localhost\n{NETWORK}.254 head\n"] + [f"{NETWORK}.{10 + i} n{i}\n" for i in range(count)]
        (self.state / "hosts").write_text("".join(hosts))
        try:
            self._start("head", "")
            self.on("head", "ip", "link", "add", "name", "br0", "type", "bridge")
            self.on("head", "ip", "addr", "add", f"{NETWORK}.254/24", "dev", "br0")
            self.on("head", "ip", "link", "set", "br0", "up")
            for number in range(count):
                self.start(number)
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        # The nodes first; what runs on the head is no child of the head's first process.
        for name in sorted(self.processes, key=lambda each: each == "head"):
            self._end(name)

    def _start(self, name, private):
        # Process ids of the head are the machine's, so that the agent can enter the nodes.
        flags = ["-m", "-u", "-n"] + (["-i", "-p", "-f"] if private else [])
        setup = f"mount --bind {self.state / 'hosts'} /etc/hosts && hostname {name} && ip link set lo up && {private}"
        process = subprocess.Popen(
            ["unshare", *flags, "--", "sh", "-ec", f'{setup} exec "$@"', "sh", sys.executable, "-c", INIT],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.processes[name] = (process, process.pid)
        if process.stdout.readline() != "ready\n":
            raise OSError(f"node {name} did not start: {process.communicate(timeout=10)[1]}")
        if private:
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            self.processes[name] = (process, int(children[0]))
        (self.state / name).write_text(f"{self.processes[name][1]}\n")

    def start(self, number):
        """A new node, or an empty one in place of a lost one."""
        name = f"n{number}"
        self._start(name, "mount -t tmpfs -o mode=1777 none /dev/shm && mount -t proc none /proc &&")
        self.on("head", "ip", "link", "add", "name", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns",
                self.processes[name][1])
        self.on("head", "ip", "link", "set", f"v{name}", "master", "br0", "up")
        self.on(name, "ip", "addr", "add", f"{NETWORK}.{10 + number}/24", "dev", "eth0")
        self.on(name, "ip", "link", "set", "eth0", "up")

    def lose(self, number):
        """As by a power cut: the network goes first, so nobody is told; then all processes and memory."""
        name = f"n{number}"
        self.on("head", "ip", "link", "set", f"v{name}", "down")
        self._end(name)

    def _end(self, name):
        process, first = self.processes.pop(name)
        (self.state / name).unlink(missing_ok=True)
        try:
            os.kill(first, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            process.wait(timeout=30)
        finally:
            process.stdout.close()
            process.stderr.close()
        if name != "head" and "head" in self.processes:
            deadline = time.monotonic() + 30
            # The device goes with the node's network, which the kernel takes apart in its own time.
            while f"v{name}" in self.on("head", "ls", "/proc/sys/net/ipv4/conf").split():
                subprocess.run(self.command("head", "ip", "link", "del", f"v{name}"), check=False,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if time.monotonic() > deadline:
                    raise OSError(f"the network device of {name} does not go")

    def command(self, name, *command):
        """The command line that runs `command` on a node, or on the head."""
        namespaces = ["-m", "-u", "-n"] + ([] if name == "head" else ["-i", "-p"])
        return ["nsenter", "-t", str(self.processes[name][1]), *namespaces, "--wd=" + os.getcwd(), "--",
                *map(str, command)]

    def on(self, name, *command):
        return _run(*self.command(name, *command))

    def variables(self):
        """Environment of an mpirun on the head."""
        settings = {
            "plm": "rsh", "plm_rsh_agent": self.agent, "plm_rsh_no_tree_spawn": 1, "pml": "ob1",
            "btl": "self,vader,tcp", "btl_tcp_if_include": f"{NETWORK}.0/24", "oob_tcp_if_include": f"{NETWORK}.0/24",
            "hwloc_base_binding_policy": "none", "rmaps_base_oversubscribe": 1, "mpi_yield_when_idle": 1,
            # A node that is lost silently is noticed within seconds.
            "oob_tcp_keepalive_time": 1, "oob_tcp_keepalive_intvl": 1, "oob_tcp_keepalive_probes": 2}
        return {f"OMPI_MCA_{name}": str(value) for name, value in settings.items()}
