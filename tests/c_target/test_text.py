"""Pieces of the C text that models seldom need: detours removed, every constant exact, names that collide."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeconv.artifact.c_target.text import array_text, ports_of
from edgeconv.artifact.manifest import TensorInfo
from edgeconv.codegen.c_source import generate_source
from edgeconv.codegen.c_source.tidy import tidied
from edgeconv.integer import POLICIES, prove
from edgeconv.ir import Constant, Program, TensorType, dtype
from edgeconv.ir import operators as ops


def test_a_cell_written_and_read_once_is_a_variable() -> None:
    body = "  int32_t _ptr_1[1];\n  _ptr_1[0] = (a[v_1] + 1);\n  int32_t v_2 = _ptr_1[0];\n  b[0] = v_2;\n"
    assert tidied(body) == "    int32_t v_2 = (a[v_1] + 1);\n    b[0] = v_2;\n"


def test_a_cell_in_a_loop_stays() -> None:
    body = (
        "  int32_t _ptr[1];\n  _ptr[0] = 0;\n  for (int32_t v = 0; v < 3; ++v) {\n    _ptr[0] = (_ptr[0] + v);\n  }\n"
    )
    assert tidied(body).startswith("    int32_t cell;\n    cell = 0;\n")
    assert "        cell = (cell + v);\n" in tidied(body)


def test_a_variable_without_a_reader_goes_and_so_do_those_that_it_read() -> None:
    assert tidied("  int64_t v_1 = a[0];\n  int64_t v_2 = (v_1 + 1);\n  b[0] = 3;\n") == "    b[0] = 3;\n"


@pytest.mark.needs_gcc
@pytest.mark.parametrize("kind", ["int8", "uint16", "int32", "int64"])
def test_constants_come_back_from_the_compiler(kind: str, tmp_path: Path) -> None:
    bounds = np.iinfo(kind)
    array = np.array([bounds.min, bounds.max, 0, 1, *range(40)], kind)
    text = array_text("array", array).replace("static ", "")
    (tmp_path / "a.c").write_text(f"#include <stdint.h>\n{text}")
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]
    subprocess.run(["gcc", *strict, "-shared", "-fPIC", "a.c", "-o", "a.so"], cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "a.so"))
    stored = (getattr(ctypes, f"c_{kind}") * array.size).in_dll(library, "array")
    assert np.array_equal(np.array(stored, kind), array)
    assert all(len(line) <= 120 for line in text.splitlines())


def test_ports_with_one_name_in_c_are_numbered() -> None:
    names = ("a.b", "a/b")
    ports = ports_of(
        [TensorInfo(name, "u8", "uint8", (1, 2)) for name in names], [TensorInfo("y", "u8", "uint8", (1,))]
    )
    assert [port.name for port in ports] == ["input_0", "input_1", "output_y"]
    assert ports[0].declaration() == "const uint8_t *input_0"
    assert ports[2].declaration() == "uint8_t *output_y"


def test_the_plan_and_the_constants_are_those_of_the_program() -> None:
    weights = Constant(dtype("i8"), np.arange(6, dtype=np.int64).reshape(3, 2) - 3)
    product = ops.MatMul(output="y", x="x", w="w", bias=None, dtype=dtype("i32"))
    program = Program({"x": TensorType((1, 3), dtype("u8"))}, ("y",), (product,), {"w": weights})
    source = generate_source(program, prove(program, POLICIES["generic"]).forms)
    stored = next(constant.array for constant in source.constants if "weights" in constant.name)
    # One output's weights are neighbours.
    assert stored.tolist() == [-3, -1, 1, -2, 0, 2]
    assert [step.name for step in source.steps] == ["step_01_load", "step_02_matmul", "step_03_store"]
    assert source.scratch_bytes % 8 == 0
