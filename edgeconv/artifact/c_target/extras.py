"""What lies beside a model's C sources: an example, the self-test with its golden data, a Makefile."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.artifact.c_target.text import CModel, Port, array_text

__all__ = ["adapter_text", "example_text", "golden_text", "makefile_text", "self_test_text"]

_GOLDEN_BYTES = 64 << 10
"""Golden data that are compiled into the self-test, where one sample takes no more: devices are small."""


def golden_text(
    model: CModel, inputs: Mapping[str, NDArray[np.generic]], outputs: Mapping[str, NDArray[np.generic]]
) -> str:
    """The text of test/golden.h: samples and what the reference makes of them, floats as the integers of their bits."""
    arrays = {port: (inputs if port.kind == "input" else outputs)[port.tensor.name] for port in model.ports}
    total = max(len(array) for array in arrays.values())
    size = sum(array.nbytes for array in arrays.values()) // total
    samples = max(1, min(total, _GOLDEN_BYTES // max(1, size)))
    lines = [f"/* Samples of the model '{model.name}' and what the reference makes of them. */"]
    lines += [f"#define GOLDEN_SAMPLES {samples}", ""]
    for port, array in arrays.items():
        some = np.ascontiguousarray(array[:samples])
        bits = some.view(np.uint32) if some.dtype == np.float32 else some
        lines.append(array_text(f"golden_{port.name}", bits.reshape(-1)))
    return "\n".join(lines)


def self_test_text(model: CModel) -> str:
    """The text of test/self_test.c."""
    buffers = [f"static {port.type} {port.name}[{port.elements}];" for port in model.ports]
    load = [
        f"        memcpy({p.name}, golden_{p.name} + sample * {p.elements}, sizeof {p.name});"
        for p in model.of_kind("input")
    ]
    compare = [
        f"        different += memcmp({p.name}, golden_{p.name} + sample * {p.elements}, sizeof {p.name}) != 0;"
        for p in model.of_kind("output")
    ]
    arguments = ", ".join([*(port.name for port in model.ports), "&scratch"])
    return "\n".join(
        [
            f"/* Runs the model '{model.name}' on its golden samples and compares every bit with the reference. */",
            "#include <stdio.h>",
            "#include <string.h>",
            "",
            f'#include "{model.name}.h"',
            "",
            '#include "golden.h"',
            "",
            "#ifndef BEFORE_RUN /* a board may count time around each call */",
            "#define BEFORE_RUN() (void)0",
            "#define AFTER_RUN() (void)0",
            "#endif",
            "",
            *buffers,
            f"static {model.name}_scratch scratch;",
            "",
            "int main(void) {",
            "    int sample, different = 0;",
            "    for (sample = 0; sample < GOLDEN_SAMPLES; sample++) {",
            *load,
            "        BEFORE_RUN();",
            f"        {model.name}_run({arguments});",
            "        AFTER_RUN();",
            *compare,
            "    }",
            '    printf("self-test: %d samples, %d outputs differ\\n", GOLDEN_SAMPLES, different);',
            "    return different != 0;",
            "}",
            "",
        ]
    )


def example_text(model: CModel) -> str:
    """The text of example/main.c: one call on a sample of zeros."""
    buffers = [f"static {port.type} {port.name}[{port.elements}];" for port in model.ports]
    arguments = ", ".join([*(port.name for port in model.ports), "&scratch"])
    first = model.of_kind("output")[0]
    return f"""/* How to call the model '{model.name}'. */
#include <stdio.h>

#include "{model.name}.h"

{chr(10).join(buffers)}
static {model.name}_scratch scratch;

int main(void) {{
    int i;
    {model.name}_run({arguments});
    printf("first output:");
    for (i = 0; i < {min(first.elements, 8)}; i++) printf(" %.9g", (double){first.name}[i]);
    printf("\\n");
    return 0;
}}
"""


def makefile_text(model: CModel) -> str:
    """The text of Makefile."""
    name = model.name
    return f"""# make self-test                                         on this machine
# make lib{name}.a CC=arm-none-eabi-gcc AR=arm-none-eabi-ar CFLAGS="-mcpu=cortex-m55 -O2"
CFLAGS ?= -O2
STRICT := -std=c99 -Wall -Wextra -Wconversion -pedantic -Iinclude

lib{name}.a: {name}.o
	$(AR) rcs $@ $^

{name}.o: src/{name}.c src/{name}_constants.h include/{name}.h
	$(CC) $(STRICT) $(CFLAGS) -c $< -o $@

self-test: test/self_test.c test/golden.h {name}.o
	$(CC) $(STRICT) $(CFLAGS) $< {name}.o -o run-self-test && ./run-self-test

example: example/main.c {name}.o
	$(CC) $(STRICT) $(CFLAGS) $< {name}.o -o run-example && ./run-example

clean:
	rm -f {name}.o lib{name}.a run-self-test run-example

.PHONY: self-test example clean
"""


def adapter_text(model_name: str, ports: tuple[Port, ...], symbol: str) -> str:
    """C text of a function with the signature of generated machine code, around the model's own function."""
    calls = []
    counts = {"input": 0, "output": 0}
    for port in ports:
        array = "in" if port.kind == "input" else "out"
        qualifier = "const " if port.kind == "input" else ""
        index = counts[port.kind]
        counts[port.kind] += 1
        calls.append(f"({qualifier}{port.type} *){array}[{index}] + sample * {prod(port.tensor.shape)}")
    arguments = ", ".join([*calls, f"({model_name}_scratch *)(void *)scratch"])
    return f"""#include "{model_name}.h"

void {symbol}(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch, int64_t n);

void {symbol}(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch, int64_t n) {{
    int64_t sample;
    (void)weights;
    (void)in;
    for (sample = 0; sample < n; sample++) {model_name}_run({arguments});
}}
"""
