"""A machine with a GPU, as far as the clients of its driver see: `libcuda.so.1` whose kernels run on this CPU.

The kernels are an artifact's own source, as it was printed for nvcc, compiled as C: what TVM printed is tried with it.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from edgeconv.codegen.cuda import FIRST_KERNEL

__all__ = ["build_driver", "kernels_as_c"]

_FOLDER = Path(__file__).parent
_DECLARATION = re.compile(r'^extern "C" __global__ void __launch_bounds__\(\d+\) (\w+)\(([^)]*)\);$', re.MULTILINE)


def kernels_as_c(source: str) -> str:
    """CUDA source as C: without its prelude, with a table of its kernels."""
    entries, callers = [], []
    for symbol, parameters in _DECLARATION.findall(source):
        types = [parameter.rsplit(" ", 1)[0].strip() for parameter in parameters.split(",")]
        arguments = ", ".join(f"*({type_} *)p[{index}]" for index, type_ in enumerate(types))
        callers.append(f"static void call_{symbol}(void **p) {{ {symbol}({arguments}); }}")
        entries.append(f'    {{"{symbol}", call_{symbol}, {len(types)}}},')
    kernels = source[source.index(FIRST_KERNEL) :].replace('extern "C" ', "")
    return "\n".join(
        [
            '#include "device.h"',
            kernels,
            *callers,
            "const edge_kernel_entry edge_kernels[] = {",
            *entries,
            "};",
            f"const int edge_kernel_count = {len(entries)};",
            "",
        ]
    )


def build_driver(source: str, folder: Path) -> Path:
    """Build `libcuda.so.1` of a machine that knows the kernels of `source`; put `folder` on LD_LIBRARY_PATH."""
    (folder / "kernels.c").write_text(kernels_as_c(source), encoding="utf-8")
    command = ["gcc", "-std=gnu11", "-O1", "-fPIC", "-shared", "-w", "-fno-strict-aliasing", "-ffp-contract=off"]
    sources = ["kernels.c", str(_FOLDER / "device.c"), str(_FOLDER / "driver.c")]
    library = folder / "libcuda.so.1"
    command += [f"-I{_FOLDER}", *sources, "-o", library.name, "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    return library
