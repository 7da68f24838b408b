#!/usr/bin/env python3
"""Checks of cmake/generate_wrappers.py on small headers made for them: what it must refuse, and that
it leaves out what is written by hand."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

GENERATOR = pathlib.Path(__file__).resolve().parents[2] / "cmake" / "generate_wrappers.py"
COMPILER = "cc"

TYPES = """
typedef struct c *MPI_Comm; typedef struct d *MPI_Datatype; typedef struct g *MPI_Group;
typedef struct w *MPI_Win; typedef struct r *MPI_Request;
typedef int (MPI_Some_function)(MPI_Comm, int);
#define OMPI_DECLSPEC __attribute__((visibility("default")))
"""
SIZE = "OMPI_DECLSPEC int MPI_Type_size(MPI_Datatype type, int *size);\n"


def generate(header, source="", extra=()):
    """(exit code, messages, all generated text)"""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "mpi.h").write_text(TYPES + header)
        (root / "hand.cc").write_text(source)
        done = subprocess.run(
            [sys.executable, "-B", GENERATOR, "--compiler", COMPILER, "--include", root, "--output",
             root / "out", *extra, root / "hand.cc"], capture_output=True, text=True, check=False)
        text = "".join(path.read_text() for path in sorted((root / "out").glob("*.cc")))
    return done.returncode, done.stdout + done.stderr, text


class Generator(unittest.TestCase):
    def test_wrapper_begins_with_the_pass_through(self):
        code, messages, text = generate(SIZE)
        self.assertEqual(code, 0, messages)
        lines = text[text.index("FTMPI_EXPORT"):].splitlines()
        self.assertEqual(lines[0], "FTMPI_EXPORT int MPI_Type_size(MPI_Datatype type, int* size) {")
        self.assertEqual(lines[1], "  FTMPI_PASS_THROUGH(PMPI_Type_size(type, size));")

    def test_function_without_a_rule_is_refused_by_name(self):
        code, messages, _ = generate(SIZE + "OMPI_DECLSPEC int MPI_Frobnicate(int x);\n")
        self.assertEqual(code, 1)
        self.assertIn("MPI_Frobnicate", messages)

    def test_untranslated_handle_is_refused(self):
        for handle in ("MPI_Comm", "MPI_Group *", "MPI_Request *"):
            code, messages, _ = generate(f"OMPI_DECLSPEC int MPI_Type_new({handle} x);\n")
            self.assertEqual(code, 1, handle)
            self.assertIn("MPI_Type_new", messages)

    def test_what_makes_an_object_is_told_to_keep_it(self):
        code, messages, text = generate(
            "OMPI_DECLSPEC int MPI_Type_dup(MPI_Datatype type, MPI_Datatype *newtype);\n")
        self.assertEqual(code, 0, messages)
        self.assertIn("objects::Make(newtype, [&] { return PMPI_Type_dup(type, newtype); })",
                      " ".join(text.split()))
        code, messages, _ = generate("OMPI_DECLSPEC int MPI_Type_dup(MPI_Datatype *newtype, int x);\n")
        self.assertEqual(code, 1)
        self.assertIn("takes no handle that is kept", messages)

    def test_request_of_a_window_is_wrapped(self):
        code, messages, text = generate(
            "OMPI_DECLSPEC int MPI_Rput(const void *x, MPI_Win win, MPI_Request *request);\n")
        self.assertEqual(code, 0, messages)
        self.assertIn("PMPI_Rput(x, win, &inner)", text)
        self.assertIn("*request = passthrough::WrapLocked(inner);", text)

    def test_declaration_that_is_not_understood_is_refused(self):
        code, messages, _ = generate(SIZE + "OMPI_DECLSPEC int MPI_Info_set(void (*f)(int), int);\n")
        self.assertEqual(code, 1)
        self.assertIn("MPI_Info_set", messages)

    def test_hand_written_is_left_out(self):
        code, messages, text = generate(SIZE, "FTMPI_EXPORT int MPI_Type_size(MPI_Datatype t, int* s) {")
        self.assertEqual(code, 0, messages)
        self.assertNotIn("MPI_Type_size", text)

    def test_hand_written_by_a_macro_is_left_out(self):
        source = ("#define ENTRY(NAME, MODE) \\\n  FTMPI_EXPORT int MPI_##NAME(MPI_Datatype t, int* s) { \\\n"
                  "    return 0; }\nENTRY(Type_size, kMode)\n")
        code, messages, text = generate(SIZE, source)
        self.assertEqual(code, 0, messages)
        self.assertNotIn("MPI_Type_size", text)

    def test_commented_out_is_not_hand_written(self):
        code, messages, text = generate(SIZE, "// FTMPI_EXPORT int MPI_Type_size(MPI_Datatype t, int* s)\n")
        self.assertEqual(code, 0, messages)
        self.assertIn("MPI_Type_size", text)

    def test_hand_written_twice_is_refused(self):
        one = "FTMPI_EXPORT int MPI_Type_size(MPI_Datatype t, int* s) { return 0; }\n"
        code, messages, _ = generate(SIZE, one + one)
        self.assertEqual(code, 1)
        self.assertIn("MPI_Type_size", messages)

    def test_hand_written_that_mpi_does_not_have_is_refused(self):
        code, messages, _ = generate(SIZE, "FTMPI_EXPORT int MPI_Sned(int x) { return 0; }\n")
        self.assertEqual(code, 1)
        self.assertIn("MPI_Sned", messages)

    def test_missing_hand_written_is_an_error_unless_allowed(self):
        header = SIZE + "OMPI_DECLSPEC int MPI_Send(int x, MPI_Comm comm);\n"
        code, messages, _ = generate(header)
        self.assertEqual(code, 1)
        self.assertIn("MPI_Send", messages)
        code, messages, text = generate(header, extra=["--allow-missing"])
        self.assertEqual(code, 0, messages)
        self.assertIn("MPI_Send", messages)
        self.assertIn("MPI_ERR_UNSUPPORTED_OPERATION", text)

    def test_header_without_functions_is_refused(self):
        self.assertEqual(generate("")[0], 1)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        COMPILER = sys.argv.pop(1)
    unittest.main()
