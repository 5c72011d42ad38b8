"""An artifact run where there is nothing but Python and numpy: no compiler, no TVM, no edgeconv.

    python -m scripts.gpu.bare ARTIFACT

A Python of its own sees numpy and a copy of the artifact alone. It runs the artifact's self-test, which compares with
the reference's bytes, and takes the time of a call with one sample.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np

_CALL = """
import importlib.util, statistics, time
import edge_runtime, numpy as np
for name in ("tvm", "edgeconv", "torch", "onnx"):
    assert importlib.util.find_spec(name) is None, name
model = edge_runtime.Model()
print(f"{model.isa}: {model.self_test()} samples, every byte as the reference")
x, times = np.zeros(model.inputs[0]["shape"], model.inputs[0]["dtype"]), []
for call in range(220):
    start = time.perf_counter()
    model(x)
    times.append(time.perf_counter() - start)
print(f"{statistics.median(times[20:]) * 1e6:.1f} µs a call through edge_runtime.py, copies included")
"""


def run_bare(artifact: Path) -> str:
    """What a Python with numpy alone prints about an artifact.

    Raises:
        RuntimeError: it failed; with what it printed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "python", symlinks=True, with_pip=False)
        packages = next((folder / "python" / "lib").glob("python*/site-packages"))
        for source in Path(np.__file__).parents[1].glob("numpy*"):
            (packages / source.name).symlink_to(source)
        shutil.copytree(artifact, folder / "model.edge")
        # The current folder, where edge_runtime.py lies, comes first; -s leaves out the user's own packages.
        command = [str(folder / "python" / "bin" / "python"), "-s", "-c", _CALL]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        where = folder / "model.edge"
        done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifact", type=Path)
    print(run_bare(parser.parse_args().artifact), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
