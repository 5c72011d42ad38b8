"""The text of a model's C sources: header, functions, constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.artifact.manifest import TensorInfo
from edgeconv.artifact.sources import C_TYPES, identifier, tensor_comment
from edgeconv.codegen.c_source import MEMBERS, GeneratedSource, SourceStep

__all__ = ["CModel", "Port", "array_text", "constants_text", "header_text", "ports_of", "source_text"]

_WIDTH = 120
_NO_TRIGRAPHS = str.maketrans({"?": "_", "*": "_", "/": "|", "\\": "_"})


@dataclass(frozen=True)
class Port:
    """An input or output as a parameter of the C function."""

    kind: str
    tensor: TensorInfo
    name: str

    @property
    def type(self) -> str:
        """C type of an element."""
        return C_TYPES[self.tensor.dtype]

    @property
    def elements(self) -> int:
        """Elements of one sample."""
        return prod(self.tensor.shape)

    def declaration(self) -> str:
        """The parameter's declaration."""
        return f"{'const ' if self.kind == 'input' else ''}{self.type} *{self.name}"


@dataclass(frozen=True)
class CModel:
    """What all sources of a model share.

    Attributes:
        name: prefix of every name that the linker sees.
        version: of edgeconv; `arithmetic`: of docs/arithmetic.md.
    """

    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    macs: int
    version: str
    arithmetic: int
    source: GeneratedSource

    @property
    def ports(self) -> tuple[Port, ...]:
        """Inputs, then outputs."""
        return ports_of(self.inputs, self.outputs)

    def of_kind(self, kind: str) -> tuple[Port, ...]:
        """The inputs, or the outputs."""
        return tuple(port for port in self.ports if port.kind == kind)

    @property
    def prototype(self) -> str:
        """The model's one function, without what ends it."""
        parameters = [*(port.declaration() for port in self.ports), f"{self.name}_scratch *scratch"]
        return f"void {self.name}_run({', '.join(parameters)})"


def ports_of(inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]) -> tuple[Port, ...]:
    """Inputs, then outputs, named as in the graph, or by number where two would have the same name in C."""
    ports: list[Port] = []
    for kind, tensors in (("input", inputs), ("output", outputs)):
        names = [f"{kind}_{identifier(tensor.name)}" for tensor in tensors]
        numbered = len(set(names)) < len(names)
        ports += [Port(kind, t, f"{kind}_{i}" if numbered else names[i]) for i, t in enumerate(tensors)]
    return tuple(ports)


def header_text(model: CModel) -> str:
    """The text of include/<model>.h."""
    upper, source = model.name.upper(), model.source
    made = f"made by edgeconv {model.version}, arithmetic version {model.arithmetic}"
    memory = f"{source.constant_bytes} bytes of constants (flash), {source.scratch_bytes} bytes of scratch (RAM)"
    lines = [
        f"/* The model '{model.name}' as portable C99, {made}.",
        " *",
        f" * {model.macs} multiply-accumulates a sample; {memory}.",
        " * No allocation, no global state, no library; integers only, floats are copied and never computed with. */",
        f"#ifndef {upper}_H",
        f"#define {upper}_H",
        "",
        "#include <stdint.h>",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
    ]
    for port in model.ports:
        lines += tensor_comment(port.kind.upper(), model.of_kind(port.kind).index(port), port.tensor)
        lines += [f"#define {upper}_{port.name.upper()}_ELEMENTS {port.elements}"]
    lines += ["", "/* Working memory of one call; what it holds before and after means nothing. */"]
    lines += [f"typedef union {model.name}_scratch {{"]
    for element in source.members:
        count = source.scratch_bytes // np.dtype(element).itemsize
        lines += [f"    {C_TYPES[element]} {MEMBERS[element]}[{count}];"]
    lines += [
        f"}} {model.name}_scratch;",
        "",
        "/* Runs the model on one sample. Arrays are row-major; outputs overlap neither inputs nor scratch. Calls with",
        " * scratch memories of their own may run at the same time. */",
        f"{model.prototype};",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def source_text(model: CModel) -> str:
    """The text of src/<model>.c."""
    steps = model.source.steps
    lines = [
        f"/* The model '{model.name}': one function per step of the integer program, in execution order.",
        " *",
        " * Nothing depends on the byte order: an element is read in the type in which it was written. */",
        f'#include "{model.name}.h"',
        "",
        f'#include "{model.name}_constants.h"',
        "",
        "#if (-1 >> 1) != -1",
        '#error "right shifts of negative numbers must keep the sign, as all known compilers have it"',
        "#endif",
    ]
    for helper in model.source.helpers:
        lines += ["", helper]
    for step in steps:
        lines += ["", f"/* {step.comment.translate(_NO_TRIGRAPHS)} */"]
        lines += [f"static void {step.name}({', '.join(_parameters(model, step))}) {{"]
        lines += [_with_names(model, step.body).rstrip("\n"), "}"]
    lines += ["", f"{model.prototype} {{"]
    lines += [f"    {step.name}({', '.join(_arguments(model, step))});" for step in steps]
    if not any(step.uses_scratch for step in steps):
        lines += ["    (void)scratch;"]
    used = {(kind, index) for step in steps for kind in ("input", "output") for index in getattr(step, f"{kind}s")}
    for kind in ("input", "output"):
        lines += [f"    (void){p.name};" for i, p in enumerate(model.of_kind(kind)) if (kind, i) not in used]
    return "\n".join([*lines, "}"]) + "\n"


def _ports(model: CModel, step: SourceStep) -> list[Port]:
    inputs, outputs = model.of_kind("input"), model.of_kind("output")
    return [*(inputs[index] for index in step.inputs), *(outputs[index] for index in step.outputs)]


def _parameters(model: CModel, step: SourceStep) -> list[str]:
    scratch = [f"{model.name}_scratch *scratch"] if step.uses_scratch else []
    return [*(port.declaration() for port in _ports(model, step)), *scratch]


def _arguments(model: CModel, step: SourceStep) -> list[str]:
    return [*(port.name for port in _ports(model, step)), *(["scratch"] if step.uses_scratch else [])]


def _with_names(model: CModel, body: str) -> str:
    for kind in ("input", "output"):
        for index, port in reversed(list(enumerate(model.of_kind(kind)))):
            body = body.replace(f"edge_{kind}_{index}[", f"{port.name}[")
    return body


def constants_text(model: CModel) -> str:
    """The text of src/<model>_constants.h."""
    arrays = [array_text(constant.name, constant.array) for constant in model.source.constants]
    return f"/* Constants of the model '{model.name}', {model.source.constant_bytes} bytes. */\n" + "\n".join(arrays)


def array_text(name: str, array: NDArray[np.generic]) -> str:
    """A constant array of integers, its lines as long as lines are."""
    lines, line = [f"static const {C_TYPES[str(array.dtype)]} {name}[{array.size}] = {{"], "   "
    for value in array.reshape(-1).tolist():
        item = f" {_literal(value)},"
        if len(line) + len(item) > _WIDTH:
            lines.append(line)
            line = "   "
        line += item
    return "\n".join([*lines, line, "};"]) + "\n"


def _literal(value: int) -> str:
    if value == -(1 << 63):
        return "(-9223372036854775807 - 1)"
    return f"{value}u" if value >= 1 << 63 else str(value)
