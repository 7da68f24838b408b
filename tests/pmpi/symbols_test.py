#!/usr/bin/env python3
"""Compares what libftmpi.so exports and needs with what it must.

- Every MPI function of the installed mpi.h, and every C function that the MPI library itself exports,
  has an entry point in libftmpi.so.
- It exports nothing else but ftmpi's own C interface (FT_*), the start of MPI in Fortran, and the libc
  functions that process images need.
- It needs the MPI library and libc (with libm and the dynamic loader, parts of glibc) alone.

With --self-test the script checks that it finds each of these faults in small libraries made for it.
mpi.h is read here with other means than the generator's: what that overlooked shows.
"""

import argparse
import re
import subprocess
import sys
import tempfile

FORTRAN = {
    "mpi_init", "mpi_init_", "mpi_init__", "MPI_INIT", "MPI_Init_f", "MPI_Init_f08", "mpi_init_f08_",
    "mpi_init_thread", "mpi_init_thread_", "mpi_init_thread__", "MPI_INIT_THREAD", "MPI_Init_thread_f",
    "MPI_Init_thread_f08", "mpi_init_thread_f08_",
    "ft_protect_", "ft_unprotect_", "ft_restored_", "ft_checkpoint_", "ft_exclude_",
}
# What stands in the place of libc's, for process images (checkpoint/image/IMAGE.md).
IMAGE = {
    "__libc_start_main", "malloc", "calloc", "realloc", "reallocarray", "free", "malloc_usable_size",
    "memalign", "aligned_alloc", "posix_memalign", "valloc", "pvalloc", "mmap", "mmap64", "munmap",
    "mremap", "sbrk", "brk", "dlopen", "dlsym", "dlclose", "__cxa_atexit", "__cxa_finalize",
    "__cxa_thread_atexit_impl", "pthread_create", "pthread_join", "pthread_detach", "pthread_key_create",
    "pthread_key_delete", "strtok", "open", "open64", "openat", "openat64", "creat", "creat64", "socket",
    "accept", "accept4", "pipe", "pipe2", "socketpair", "dup", "dup2", "dup3", "fcntl", "fcntl64", "close",
    "epoll_create", "epoll_create1", "eventfd", "timerfd_create", "signalfd", "inotify_init",
    "inotify_init1", "memfd_create",
}
NEEDED = re.compile(r"libmpi\.so\.\d+|libc\.so\.6|libm\.so\.6|ld-linux[\w-]*\.so\.\d+")
# Symbols of the MPI library that look like C functions of the interface and are constants.
CONSTANTS = re.compile(r"MPI_F_STATUS(ES)?_IGNORE")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def functions_of_header(header):
    """Names in declarations: mpi.h puts a PMPI_ twin beside every function."""
    with open(header, encoding="utf-8") as file:
        text = file.read()
    names = set()
    for declaration in re.findall(r"^OMPI_DECLSPEC\s[^;#(]*\b(P?MPI_\w+)\s*\(", text, flags=re.M):
        names.add(declaration)
    return {name for name in names if name.startswith("MPI_") and f"P{name}" in names}


def exported(nm, library):
    symbols = {}
    for line in run(nm, "-D", "--defined-only", library).splitlines():
        kind, symbol = line.split()[-2:]
        symbols[symbol.split("@")[0]] = kind
    return symbols


def functions_of_library(nm, library):
    return {name for name, kind in exported(nm, library).items()
            if kind in "TW" and re.fullmatch(r"MPI_(T_)?[A-Z]?[a-z]\w*", name)
            and not CONSTANTS.fullmatch(name)}


def needed(readelf, library):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run(readelf, "-d", library))


def faults(wanted, library, tools):
    found = []
    have = set(exported(tools.nm, library))
    for name in sorted(wanted - have):
        found.append(f"{name} has no entry point")
    for name in sorted(have - wanted - FORTRAN - IMAGE):
        if not name.startswith("FT_"):
            found.append(f"{name} is exported, but does not belong to the interface")
    for name in sorted(FORTRAN - have):
        found.append(f"{name} (Fortran) has no entry point")
    for name in needed(tools.readelf, library):
        if not NEEDED.fullmatch(name):
            found.append(f"needs {name}, which would enter the user's process")
    return found


def self_test(tools):
    """A library with known faults must be found faulty, one without must not."""
    wanted = {"MPI_Alpha", "MPI_Beta"}
    good = "".join(f"int {name}(void) {{ return 0; }}\n" for name in sorted(wanted | FORTRAN))

    def check(source, options, expected):
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/library.c"
            with open(path, "w", encoding="utf-8") as file:
                file.write(source)
            run(tools.compiler, "-shared", "-fPIC", "-o", f"{directory}/library.so", path, *options)
            found = faults(wanted, f"{directory}/library.so", tools)
        if found != expected:
            sys.exit(f"self-test: expected {expected}, found {found}")

    check(good, [], [])
    check(good + "int FT_Own(void) { return 0; }\n", [], [])
    check(good.replace("MPI_Beta", "FT_Other"), [], ["MPI_Beta has no entry point"])
    check(good + "int helper(void) { return 0; }\n", [],
          ["helper is exported, but does not belong to the interface"])
    check(good + "int MPI_Gamma(void) { return 0; }\n", [],
          ["MPI_Gamma is exported, but does not belong to the interface"])
    check(good.replace("mpi_init_f08_", "FT_Other"), [], ["mpi_init_f08_ (Fortran) has no entry point"])
    check(good + "extern int system_call; double lgamma(double);\n"
          "double FT_Use(double x) { return x; }\n", ["-Wl,--no-as-needed", "-lgcc_s"],
          ["needs libgcc_s.so.1, which would enter the user's process"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", help="libftmpi.so")
    parser.add_argument("--mpi-header")
    parser.add_argument("--mpi-library")
    parser.add_argument("--compiler", default="cc")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--readelf", default="readelf")
    parser.add_argument("--self-test", action="store_true")
    tools = parser.parse_args()
    if tools.self_test:
        self_test(tools)
        return 0
    wanted = functions_of_header(tools.mpi_header) | functions_of_library(tools.nm, tools.mpi_library)
    if len(wanted) < 300:
        sys.exit(f"only {len(wanted)} MPI functions found in {tools.mpi_header} and {tools.mpi_library}: "
                 "the test does not understand them")
    found = faults(wanted, tools.library, tools)
    for fault in found:
        print(f"{tools.library}: {fault}")
    print(f"{len(wanted)} MPI functions, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
