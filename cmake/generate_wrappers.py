#!/usr/bin/env python3
"""Generates the MPI_* entry points that are only pass-through and handle translation.

Reads the declarations of the installed mpi.h (through the C preprocessor), the hand-written entry
points in pmpi/*.cc, and the rules in wrapper_rules.py. Every function of mpi.h must be written by
hand or be named by a rule; anything else is an error that names the function.
"""

import argparse
import fnmatch
import pathlib
import re
import subprocess
import sys
from dataclasses import dataclass

import wrapper_rules as rules

# Handles that are objects of ours: no wrapper may hand them to Open MPI untranslated.
OUR_HANDLES = ("MPI_Comm", "MPI_Group", "MPI_Request", "MPI_Message")

# Open MPI's objects that are kept over a restart, as the parameter that takes a new one's handle.
KEPT_HANDLES = ("MPI_Datatype*", "MPI_Info*")


class GenerationError(Exception):
    pass


@dataclass
class Parameter:
    text: str  # as declared
    name: str
    type: str  # with const and [] taken away, one '*' per indirection
    is_output: bool


@dataclass
class Function:
    return_type: str
    name: str
    parameters: list
    variadic: bool

    def declaration(self):
        texts = [p.text for p in self.parameters] + (["..."] if self.variadic else [])
        return f"{self.return_type} {self.name}({', '.join(texts) or 'void'})"

    def of_type(self, type_name):
        return [p for p in self.parameters if p.type.rstrip("*") == type_name]


def strip_attributes(text):
    """Removes __attribute__((...)) with balanced parentheses."""
    out, position = [], 0
    for match in re.finditer(r"__attribute__\s*\(", text):
        if match.start() < position:
            continue
        out.append(text[position : match.start()])
        depth, end = 1, match.end()
        while depth:
            if end >= len(text):
                raise GenerationError("mpi.h: an __attribute__ does not end")
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        position = end
    out.append(text[position:])
    return "".join(out)


def parse_parameter(text, function):
    text = re.sub(r"\s+", " ", text).strip()
    match = re.fullmatch(r"(.*?[\s\*])(\w+)((?:\s*\[\d*\])*)", text)
    if not match:
        raise GenerationError(f"{function}: can't read the parameter '{text}' of its declaration")
    base, name, arrays = match.groups()
    pointers = base.count("*") + arrays.count("[")
    bare = re.sub(r"\bconst\b|\*", "", base).strip()
    text = re.sub(r"\s*\*\s*", "* ", base).replace("* *", "**").rstrip() + " " + name + arrays
    text = text.replace("* ** ", "*** ")
    return Parameter(text, name, bare + "*" * pointers, pointers > 0 and "const" not in base)


def read_declarations(compiler, include_directories):
    command = [compiler, "-E", "-P", "-x", "c", "-DOMPI_SKIP_MPICXX", "-DOMPI_OMIT_MPI1_COMPAT_DECLS=0"]
    command += [f"-I{directory}" for directory in include_directories]
    command += ["-include", "mpi.h", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GenerationError(f"can't preprocess mpi.h: {' '.join(command)}:\n{done.stderr}")
    text = strip_attributes(done.stdout)

    functions = {}
    pattern = re.compile(r"(?:^|(?<=[;{}]))\s*(?:extern\s+)?([A-Za-z_][\w\s\*]*?)\b(MPI_\w+)\s*\(([^;{}]*)\)\s*;")
    for match in pattern.finditer(text):
        if match[1].split()[0] == "typedef":
            continue
        return_type = re.sub(r"\s+", " ", match[1]).strip()
        parameters = [] if match[3].strip() in ("", "void") else match[3].split(",")
        variadic = bool(parameters) and parameters[-1].strip() == "..."
        if variadic:
            parameters.pop()
        functions[match[2]] = Function(
            return_type, match[2], [parse_parameter(p, match[2]) for p in parameters], variadic)

    # What looks like a function but was not read as one would be a gap that nobody sees.
    typedefs = set(re.findall(r"\(\s*\*?\s*(MPI_\w+)\s*\)\s*\(", text))
    for name in sorted(set(re.findall(r"\b(MPI_\w+)\s*\(", text)) - set(functions) - typedefs):
        raise GenerationError(f"mpi.h mentions {name}(...), but no declaration of it was understood")
    if not functions:
        raise GenerationError("mpi.h declares no function: is this the right header?")
    return functions


def library_functions(nm, library):
    """The C functions that the MPI library exports: mixed-case MPI_ names."""
    done = subprocess.run([nm, "-D", "--defined-only", library], capture_output=True, text=True, check=False)
    if done.returncode:
        raise GenerationError(f"can't read the symbols of {library}: {done.stderr}")
    names = set()
    for line in done.stdout.splitlines():
        symbol = line.split()[-1].split("@")[0]
        if re.fullmatch(r"MPI_[A-Z]\w*[a-z]\w*", symbol):
            if not any(fnmatch.fnmatchcase(symbol, p) for p in rules.NOT_FUNCTIONS.split()):
                names.add(symbol)
    return names


def defined_names(text):
    """The MPI functions that a C++ source defines: written out, or by a macro of that source whose
    first parameter completes the name (FTMPI_EXPORT int MPI_##NAME(...))."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S).replace("\\\n", " ")
    macros = {}
    for match in re.finditer(r"^[ \t]*#[ \t]*define[ \t]+(\w+)\(\s*(\w+)[^)\n]*\)(.*)$", text, flags=re.M):
        body = re.search(r"\bFTMPI_EXPORT\b[\w\s\*]*?\b(MPI_\w*)\s*##\s*" + match[2] + r"\b", match[3])
        if body:
            macros[match[1]] = body[1]
    text = re.sub(r"^[ \t]*#.*$", "", text, flags=re.M)
    names = re.findall(r"\bFTMPI_EXPORT\b[\w\s\*]*?\b(MPI_\w+)\s*\(", text)
    for macro, prefix in macros.items():
        names += [prefix + name for name in re.findall(rf"\b{macro}\(\s*(\w+)", text)]
    return names


def hand_written(sources):
    found = {}
    for source in sources:
        for name in defined_names(pathlib.Path(source).read_text()):
            if name in found:
                raise GenerationError(f"{name} is defined in {found[name]} and in {source}")
            found[name] = source
    return found


def classify(name):
    """(kind, part) of the rule that names a function, or None."""
    table = [(kind, kind, names) for kind, names in rules.KINDS.items()]
    table += [("hand", part, names) for part, names in rules.HAND_WRITTEN.items()]
    exact = [(kind, part) for kind, part, names in table if name in names.split()]
    if name in rules.ALIAS:
        exact.append(("alias", "alias"))
    patterns = [(kind, part) for kind, part, names in table
                if any("*" in p and fnmatch.fnmatchcase(name, p) for p in names.split())]
    hits = exact or patterns
    if len(hits) > 1:
        raise GenerationError(f"{name} is named by more than one rule of wrapper_rules.py: {hits}")
    return hits[0] if hits else None


def check_handles(function, allowed):
    for parameter in function.parameters:
        base = parameter.type.rstrip("*")
        if base in OUR_HANDLES and base not in allowed:
            raise GenerationError(
                f"{function.name}: parameter '{parameter.text}' is a handle of ours, which its rule "
                "in wrapper_rules.py does not translate")


def call(function, replaced=None, prefix="P"):
    arguments = [(replaced or {}).get(p.name, p.name) for p in function.parameters]
    return f"{prefix}{function.name}({', '.join(arguments)})"


def object_body(function, kind):
    """Wrappers of functions that act on a window or a file."""
    name = function.name
    check_handles(function, ("MPI_Request", "MPI_Group"))
    is_window = kind.startswith("window")
    holders = [p for p in function.of_type("MPI_Win" if is_window else "MPI_File") if "*" not in p.type]
    if len(holders) != 1:
        raise GenerationError(f"{name}: a rule for a function of one {'window' if is_window else 'file'}, "
                              f"but it has {len(holders)}")
    handle, lines, after, replaced = holders[0].name, [f"passthrough::Enter(\"{name}\");"], [], {}
    if is_window:
        lines.append(f"if ({handle} == MPI_WIN_NULL) return RaiseError(nullptr, MPI_ERR_WIN, \"{name}\");")
    if kind.endswith("_sync"):
        where = "Window" if is_window else "File"
        lines.append(f"const int met = passthrough::Meet{where}({handle});")
        lines.append("if (met != MPI_SUCCESS) return met;")
    for parameter in function.of_type("MPI_Request"):
        if parameter.type != "MPI_Request*":
            raise GenerationError(f"{name}: can't wrap the request '{parameter.text}'")
        lines.append("MPI_Request inner = MPI_REQUEST_NULL;")
        replaced[parameter.name] = "&inner"
        after.append(f"*{parameter.name} = passthrough::WrapLocked(inner);")
    for parameter in function.of_type("MPI_Group"):
        if parameter.type != "MPI_Group*":
            raise GenerationError(f"{name}: can't translate the group '{parameter.text}'")
        lines.append("MPI_Group inner = MPI_GROUP_NULL;")
        replaced[parameter.name] = "&inner"
        after.append(f"*{parameter.name} = passthrough::TakeGroup(&inner);")
    if after:
        lines.append(f"const int error = {call(function, replaced)};")
        lines.append("if (error != MPI_SUCCESS) return error;")
        lines += after + ["return MPI_SUCCESS;"]
    else:
        lines.append(f"return {call(function)};")
    return lines


def body(function, kind):
    name = function.name
    if function.variadic and kind != "hand":
        raise GenerationError(f"{name} takes variable arguments: it must be written by hand")
    if kind == "raw":
        check_handles(function, ())
        return [f"return {call(function)};"]
    if function.return_type != "int" and kind != "hand":
        raise GenerationError(f"{name} returns {function.return_type}, which its rule does not expect")
    enter = f"passthrough::Enter(\"{name}\");"
    if kind == "pass":
        check_handles(function, ())
        return [enter, f"return passthrough::Result({call(function)}, \"{name}\");"]
    if kind == "makes":
        check_handles(function, ())
        made = function.parameters[-1]
        if made.type not in KEPT_HANDLES:
            raise GenerationError(f"{name}: its last parameter, '{made.text}', takes no handle that is kept")
        return [enter, f"return passthrough::Result(objects::Make({made.name}, [&] {{ return {call(function)}; }}), \"{name}\");"]
    if kind == "local_comm":
        check_handles(function, ("MPI_Comm",))
        communicators = function.of_type("MPI_Comm")
        if len(communicators) != 1 or communicators[0].type != "MPI_Comm":
            raise GenerationError(f"{name}: a rule for one communicator that goes in")
        handle = communicators[0].name
        return [
            enter,
            f"Communicator* communicator = FindCommunicator({handle});",
            f"if (communicator == nullptr) return RaiseError(nullptr, MPI_ERR_COMM, \"{name}\");",
            f"const int error = {call(function, {handle: 'passthrough::ForLocalUse(communicator)'})};",
            f"return error == MPI_SUCCESS ? error : RaiseError(communicator, error, \"{name}\");",
        ]
    if kind == "alias":
        return [f"return {rules.ALIAS[name]}({', '.join(p.name for p in function.parameters)});"]
    if kind in ("window", "window_sync", "file", "file_sync"):
        return object_body(function, kind)
    # hand: to be written; until then it says so instead of handing our objects to Open MPI.
    lines = [f"(void){p.name};" for p in function.parameters]
    if function.return_type == "int" and not name.endswith("_c2f"):
        return lines + [f"return RaiseError(nullptr, MPI_ERR_UNSUPPORTED_OPERATION, \"{name}\");"]
    return lines + [f"RaiseError(nullptr, MPI_ERR_UNSUPPORTED_OPERATION, \"{name}\");",
                    f"return {function.return_type}{{}};"]


def wrap_line(text, indent="    "):
    """Breaks a long line at its last comma before column 100."""
    out = []
    while len(text) > 100:
        cut = text.rfind(", ", 0, 100)
        if cut < 0:
            break
        out.append(text[: cut + 1])
        text = indent + text[cut + 2 :]
    return "\n".join(out + [text])


def emit(function, kind):
    alias_note = f"  // The old name of {rules.ALIAS[function.name]}." if kind == "alias" else None
    lines = [wrap_line(f"FTMPI_EXPORT {function.declaration()} {{")]
    if alias_note:
        lines.append(alias_note)
    lines.append(wrap_line(f"  FTMPI_PASS_THROUGH({call(function)});", " " * 8))
    lines += [wrap_line("  " + line, " " * 6) for line in body(function, kind)]
    return "\n".join(lines + ["}", ""])


HEAD = """// Generated by cmake/generate_wrappers.py from mpi.h; rules in cmake/wrapper_rules.py.

#include "pmpi/object_table.h"
#include "pmpi/passthrough.h"

// Old MPI names stay in the interface for the programs that use them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

// NOLINTBEGIN: parameter names are those of mpi.h
using namespace ftmpi;  // NOLINT

"""


def write_if_changed(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", required=True, help="C compiler that preprocesses mpi.h")
    parser.add_argument("--include", action="append", default=[], help="directory of mpi.h")
    parser.add_argument("--library", help="the MPI library, to compare its symbols with mpi.h")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--output", help="directory for the generated sources")
    parser.add_argument("--allow-missing", action="store_true",
                        help="only report functions that are expected in pmpi/ and are not there")
    parser.add_argument("--list", action="store_true", help="print the functions of mpi.h and stop")
    parser.add_argument("--stamp", help="file to touch when done")
    parser.add_argument("sources", nargs="*", help="pmpi/*.cc")
    arguments = parser.parse_args()

    functions = read_declarations(arguments.compiler, arguments.include)
    if arguments.list:
        print("\n".join(sorted(functions)))
        return 0
    if not arguments.output:
        raise GenerationError("--output is missing")
    if arguments.library:
        for name in sorted(library_functions(arguments.nm, arguments.library) - set(functions)):
            raise GenerationError(f"{arguments.library} exports {name}, which mpi.h does not declare: "
                                  "add it to NOT_FUNCTIONS in wrapper_rules.py, or have it declared")
    written = hand_written(arguments.sources)
    for name in sorted(set(written) - set(functions)):
        raise GenerationError(f"{written[name]} defines {name}, which mpi.h does not declare")

    texts = {stem: [] for stem, _, _ in rules.FILES}
    missing = {}
    for name, function in sorted(functions.items()):
        if name in written:
            continue
        rule = classify(name)
        if rule is None:
            raise GenerationError(f"{name} is in mpi.h, but no rule of wrapper_rules.py names it and no "
                                  "source in pmpi/ defines it")
        kind, part = rule
        if kind == "hand":
            missing.setdefault(part, []).append(name)
        for stem, kinds, pattern in rules.FILES:
            if kind in kinds and fnmatch.fnmatchcase(name, pattern):
                texts[stem].append(emit(function, kind))
                break
        else:
            raise GenerationError(f"{name}: no output file takes wrappers of kind {kind}")

    if missing:
        report = "\n".join(f"  {part}: {' '.join(names)}" for part, names in missing.items())
        report = f"{sum(map(len, missing.values()))} MPI functions must be written by hand in pmpi/ and are not there:\n" + report
        if not arguments.allow_missing:
            raise GenerationError(report)
        print(report)
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    for stem, parts in texts.items():
        write_if_changed(output / f"{stem}.cc", HEAD + "\n".join(parts) + "\n// NOLINTEND\n")
    if arguments.stamp:
        pathlib.Path(arguments.stamp).touch()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GenerationError as error:
        print(f"generate_wrappers: {error}", file=sys.stderr)
        sys.exit(1)
