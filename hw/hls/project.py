"""The files of a high-level-synthesis project: sources, test bench, build files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.hw.ends import split_ends
from edgeconv.hw.hls.build import build_pipeline
from edgeconv.hw.hls.pipeline import Pipeline, Stage, Stream
from edgeconv.hw.hls.text import array
from edgeconv.ir import Program
from edgeconv.ir.forms import ProvedForms

__all__ = ["LIBRARY", "SHIM", "Port", "Project", "make_project"]

_FOLDER = Path(__file__).parent
LIBRARY, SHIM = _FOLDER / "library", _FOLDER / "shim"


@dataclass(frozen=True)
class Port:
    """A stream between the core and the outside.

    Attributes:
        tensor: of the core program.
        name: of the argument in C++.
        stream: element type and order of arrival.
    """

    tensor: str
    name: str
    stream: Stream

    def arrange(self, samples: NDArray[np.generic]) -> NDArray[np.int64]:
        """(n, *shape) as it arrives: int64, shape (n, words·lanes)."""
        flat = samples.reshape(len(samples), -1).astype(np.int64)
        return np.ascontiguousarray(flat[:, self.stream.order.index.reshape(-1)])

    def restore(
        self, arrived: NDArray[np.int64], shape: tuple[int, ...], dtype: np.dtype[np.generic]
    ) -> NDArray[np.generic]:
        """The inverse of `arrange`."""
        flat = np.empty_like(arrived)
        flat[:, self.stream.order.index.reshape(-1)] = arrived
        return flat.reshape(len(arrived), *shape).astype(dtype)


@dataclass(frozen=True)
class Project:
    """A core program in C++.

    Attributes:
        name: of the top function; an identifier.
        core: integers in, integers out.
        pipeline: its stages.
        inputs, outputs: its ports.
        part, clock_mhz: what it is to be synthesized for.
    """

    name: str
    core: Program
    pipeline: Pipeline
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    part: str
    clock_mhz: float

    @property
    def interval(self) -> int:
        """Cycles from one sample to the next, where every loop starts one iteration a cycle."""
        return max(stage.cycles for stage in self.pipeline.stages)

    @property
    def multipliers(self) -> int:
        """Multipliers of all stages, roundings aside."""
        return sum(stage.multipliers for stage in self.pipeline.stages)

    def files(self) -> dict[str, str]:
        """All files that follow from the program, by path."""
        name = self.name
        return {
            f"src/{name}.h": self._header(),
            f"src/{name}.cpp": self._source(),
            f"test/{name}_batch.cpp": self._batch(),
            f"test/{name}_test.cpp": self._test(),
            "Makefile": _MAKEFILE.replace("NAME", name),
            "vitis.tcl": _TCL.replace("NAME", name)
            .replace("PART", self.part)
            .replace("PERIOD", f"{1000 / self.clock_mhz:.3f}"),
            **{f"library/{path.name}": path.read_text(encoding="utf-8") for path in sorted(LIBRARY.glob("*.h"))},
            **{f"shim/{path.name}": path.read_text(encoding="utf-8") for path in sorted(SHIM.glob("*.h"))},
        }

    def golden(self, inputs: Mapping[str, NDArray[np.generic]], outputs: Mapping[str, NDArray[np.generic]]) -> str:
        """The text of test/golden.h.

        Args:
            inputs, outputs: of the core, (n, *shape) by name.
        """
        samples = len(next(iter(inputs.values())))
        lines = [f"// Samples of '{self.name}' and what the reference makes of them, in order of arrival."]
        lines += [f"enum {{ GOLDEN_SAMPLES = {samples} }};", "#include <ap_int.h>", ""]
        for port, arrays in [(p, inputs) for p in self.inputs] + [(p, outputs) for p in self.outputs]:
            elements = port.arrange(arrays[port.tensor]).reshape(-1)
            lines += [array(f"golden_{port.name}", elements, kind=port.stream.element), ""]
        return "\n".join(lines)

    def _arguments(self) -> str:
        ports = [*self.inputs, *self.outputs]
        return ",\n    ".join(f"hls::stream<{port.stream.word} >& {port.name}" for port in ports)

    def _header(self) -> str:
        guard = f"{self.name.upper()}_H"
        notes = []
        for kind, ports in (("in", self.inputs), ("out", self.outputs)):
            for port in ports:
                type_, order = self.core.types[port.tensor], port.stream.order
                notes.append(
                    f"// {port.name} ({kind}): {type_}, {order.words} words of {order.lanes} elements a sample"
                    f"{_order_note(type_.shape, order.lanes)}"
                )
        return "\n".join(
            [
                f"// The network '{self.name}' as a pipeline of stages: one call takes one sample.",
                *notes,
                f"#ifndef {guard}",
                f"#define {guard}",
                "",
                '#include "edge_word.h"',
                "",
                f"void {self.name}(\n    {self._arguments()});",
                "",
                "#endif",
                "",
            ]
        )

    def _source(self) -> str:
        headers = [f'#include "{path.name}"' for path in sorted(LIBRARY.glob("*.h"))]
        definitions = [text for stage in self.pipeline.stages for text in (_title(stage), *stage.definitions)]
        ports = {port.stream.name for port in (*self.inputs, *self.outputs)}
        renamed = {port.stream.name: port.name for port in (*self.inputs, *self.outputs)}
        streams, body = [], []
        for stream in self.pipeline.streams:
            if stream.name not in ports:
                streams.append(f'    hls::stream<{stream.word} > {stream.name}("{stream.name}");')
                depth = self._depth(stream)
                if depth > 2:
                    streams.append(f"#pragma HLS STREAM variable = {stream.name} depth = {depth}")
        for stage in self.pipeline.stages:
            body.append(f"    {_rename(stage.call, renamed)};")
        interfaces = [f"#pragma HLS INTERFACE axis port = {port.name}" for port in (*self.inputs, *self.outputs)]
        return "\n".join(
            [
                f"// The network '{self.name}'; see {self.name}.h.",
                f'#include "{self.name}.h"',
                "",
                *headers,
                "",
                "namespace {",
                "",
                *definitions,
                "",
                "}  // namespace",
                "",
                f"void {self.name}(\n    {self._arguments()}) {{",
                *interfaces,
                "#pragma HLS INTERFACE ap_ctrl_none port = return",
                "#pragma HLS DATAFLOW",
                *streams,
                *body,
                "}",
                "",
            ]
        )

    def _depth(self, stream: Stream) -> int:
        """A branch beside slower stages holds a whole sample, so that no branch can wait for another for ever."""
        copied = any(
            stage.operator == "copy" and f"{stream.name}," in f"{stage.call[:-1]},".split("(", 1)[1].split(", ", 1)[1]
            for stage in self.pipeline.stages
        )
        return stream.order.words if copied else 2

    def _batch(self) -> str:
        return _BATCH.replace("NAME", self.name).replace("BODY", self._loop("in[{}]", "out[{}]"))

    def _loop(self, source: str, sink: str) -> str:
        """Lines that push a sample, call the top function, and pop what it gives."""
        lines = []
        for port in (*self.inputs, *self.outputs):
            lines.append(f"        hls::stream<{port.stream.word} > {port.name};")
        for number, port in enumerate(self.inputs):
            words, lanes = port.stream.order.words, port.stream.order.lanes
            place = f"(sample * {words} + i) * {lanes} + j"
            lines += [
                f"        for (int i = 0; i < {words}; ++i) {{",
                f"            {port.stream.word} word;",
                f"            for (int j = 0; j < {lanes}; ++j) word.lane[j] = {source.format(number)}[{place}];",
                f"            {port.name}.write(word);",
                "        }",
            ]
        lines.append(f"        {self.name}({', '.join(port.name for port in (*self.inputs, *self.outputs))});")
        for number, port in enumerate(self.outputs):
            words, lanes = port.stream.order.words, port.stream.order.lanes
            place = f"(sample * {words} + i) * {lanes} + j"
            lines += [
                f"        for (int i = 0; i < {words}; ++i) {{",
                f"            const {port.stream.word} word = {port.name}.read();",
                f"            for (int j = 0; j < {lanes}; ++j) {_put(sink.format(number), place)}",
                "        }",
            ]
        return "\n".join(lines)

    def _test(self) -> str:
        body = self._loop("GOLDEN_IN{}", "GOLDEN_OUT{}")
        for number, port in enumerate(self.inputs):
            body = body.replace(f"GOLDEN_IN{number}[", f"golden_{port.name}[")
        for number, port in enumerate(self.outputs):
            body = body.replace(f"GOLDEN_OUT{number}[", f"golden_{port.name}[")
        body = body.replace("COMPARE(", "different += (")
        return _TEST.replace("NAME", self.name).replace("BODY", body)


def _put(sink: str, place: str) -> str:
    if sink.startswith("GOLDEN"):
        return f"COMPARE(word.lane[j] != {sink}[{place}]);"
    return f"{sink}[{place}] = word.lane[j];"


def make_project(
    name: str,
    program: Program,
    forms: Mapping[str, ProvedForms],
    ranges: Mapping[str, tuple[int, int]],
    *,
    part: str,
    clock_mhz: float,
    multipliers: int,
) -> Project:
    """Make a project of a program; its float ends stay with the host.

    Args:
        name: an identifier.
        forms: proved forms of integers, by output tensor.
        ranges: reachable [lo, hi] of every integer tensor.
        multipliers: how many may stand side by side.

    Raises:
        UnsupportedModelError: an operator has no stage.
    """
    core = split_ends(program).core
    pipeline, inputs, outputs = build_pipeline(core, forms, ranges, multipliers)
    return Project(
        name,
        core,
        pipeline,
        tuple(Port(tensor, f"in{k}", s) for k, (tensor, s) in enumerate(zip(core.inputs, inputs, strict=True))),
        tuple(Port(tensor, f"out{k}", s) for k, (tensor, s) in enumerate(zip(core.outputs, outputs, strict=True))),
        part,
        clock_mhz,
    )


def _title(stage: Stage) -> str:
    return f"\n// {stage.name}: {', '.join(f'%{name}' for name in stage.outputs)}"


def _rename(call: str, names: Mapping[str, str]) -> str:
    function, _, arguments = call.rpartition("(")
    renamed = ", ".join(names.get(argument, argument) for argument in arguments.rstrip(")").split(", "))
    return f"{function}({renamed})"


def _order_note(shape: tuple[int, ...], lanes: int) -> str:
    if len(shape) in (3, 4) and shape[0] == 1 and lanes == shape[1]:
        return ", position by position, a word holds the channels of one"
    return ", row-major"


_BATCH = """// Many samples in one call, for the simulation from Python.
#include "NAME.h"

extern "C" void edge_hls_run(const long long* const* in, long long* const* out, long long samples) {
    for (long long sample = 0; sample < samples; ++sample) {
BODY
    }
}
"""

_TEST = """// Runs 'NAME' on its golden samples and compares every element with the reference.
#include <cstdio>

#include "NAME.h"

#include "golden.h"

int main() {
    int different = 0;
    for (int sample = 0; sample < GOLDEN_SAMPLES; ++sample) {
BODY
    }
    std::printf("self-test: %d samples, %d elements differ\\n", int(GOLDEN_SAMPLES), different);
    return different != 0;
}
"""

_MAKEFILE = """# make self-test    C simulation with this machine's compiler; shim/ stands in for the vendor's headers
CXXFLAGS ?= -O2
STRICT := -std=c++14 -Wall -Wextra -Wno-unknown-pragmas -Ishim -Ilibrary -Isrc

self-test: NAME_test
	./NAME_test

NAME_test: src/NAME.cpp test/NAME_test.cpp
	$(CXX) $(STRICT) $(CXXFLAGS) $^ -o $@

clean:
	rm -f NAME_test
.PHONY: self-test clean
"""

_TCL = """# vitis_hls -f vitis.tcl: C simulation, synthesis, co-simulation and an IP core of 'NAME'.
# No vendor tool was run when this file was made: it follows the vendor's documentation.
open_project -reset NAME_project
set_top NAME
add_files src/NAME.cpp -cflags "-std=c++14 -Ilibrary -Isrc"
add_files -tb test/NAME_test.cpp -cflags "-std=c++14 -Ilibrary -Isrc -Itest"
open_solution -reset solution -flow_target vivado
set_part {PART}
create_clock -period PERIOD
csim_design
csynth_design
cosim_design
export_design -format ip_catalog
exit
"""
