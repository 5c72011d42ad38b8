"""The one file that runs an artifact from Python on a device: with numpy alone, and the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeconv import reference
from tests.artifact.double import built, copied, copy_program, golden, quantize_program

pytestmark = pytest.mark.needs_gcc

X = golden(quantize_program())["x"]
Y = reference.run(quantize_program(), {"x": X})["y"]


def python(tmp_path: Path, script: str, artifact: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script with a Python that has its standard library, numpy and the artifact's file."""
    site = tmp_path / "site"
    if not site.exists():
        site.mkdir()
        for folder in (Path(np.__file__).parent, Path(np.__file__).parents[1] / "numpy.libs"):
            if folder.exists():
                (site / folder.name).symlink_to(folder)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{site}:{artifact}"}
    command = [sys.executable, "-S", "-c", script, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)


_ALONE = """
import importlib.util, sys
assert not [name for name in ("edgeconv", "onnx", "tvm", "click") if importlib.util.find_spec(name)]
import numpy as np
from edge_runtime import Model
x = np.load(sys.argv[1])
whole = np.load(sys.argv[2])
for model in (Model(), Model(threads=3), Model(isa="generic")):
    inputs = x[0], x, x.reshape(6, 1, 8), x[:0], np.asfortranarray(x), {"x": x}
    expected = whole[0], whole, whole, x[:0], whole, whole
    found = [model(each) for each in inputs]
    same = all(a.tobytes() == b.tobytes() for a, b in zip(found, expected))
    print(model.isa, model.self_test(), [y.shape for y in found], same)
"""


def test_with_numpy_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    done = python(tmp_path, _ALONE, built(), tmp_path / "x.npy", tmp_path / "y.npy")
    assert done.returncode == 0, done.stderr
    shapes = "[(1, 1, 8), (6, 1, 1, 8), (6, 1, 8), (0, 1, 1, 8), (6, 1, 1, 8), (6, 1, 1, 8)]"
    assert done.stdout.splitlines() == [f"{isa} 6 {shapes} True" for isa in ("avx2", "avx2", "generic")]


_SEVERAL = """
import numpy as np, sys
from edge_runtime import Model
arrays = dict(np.load(sys.argv[1]))
found = Model()(arrays)
print(sorted(found), found["wide"].tobytes() == arrays["adc"].tobytes())
"""


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", **golden(copy_program()))  # type: ignore[arg-type]
    done = python(tmp_path, _SEVERAL, built("copy"), tmp_path / "in.npz")
    assert done.stdout == "['thin', 'wide'] True\n", done.stderr


_ERRORS = """
import numpy as np
from edge_runtime import EdgeError, Model
model = Model()
x = np.zeros((1, 1, 8), np.float32)
for call in (
    lambda: model(x.astype(np.float64)), lambda: model([1.0]), lambda: model(x[..., :7]), lambda: model({"z": x}),
    lambda: model(x + np.nan), lambda: Model(isa="neon"), lambda: Model(threads=0), lambda: Model("nowhere"),
):
    try:
        call()
    except EdgeError as error:
        print(error)
assert model(x + np.nan, allow_nan=True).tobytes() == x.tobytes()
"""


def test_errors_say_what_was_expected(tmp_path: Path) -> None:
    lines = python(tmp_path, _ERRORS, built()).stdout.splitlines()
    assert lines[:7] == [
        "input 'x' is float64: expected a numpy array of float32",
        "input 'x' is list: expected a numpy array of float32",
        "input 'x' has shape (1, 1, 7): expected (1, 1, 8), or an axis of n in front",
        "inputs named z: expected x",
        "a float input holds NaN",
        "the artifact does not carry 'neon', but generic, avx2",
        "0 threads: 1 to 64 can be",
    ]
    assert lines[7].startswith("nowhere is no artifact of edgeconv:")
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("abi", 99, "has version 99 of the C interface, this file is for 2"),
        ("triple", "aarch64-linux-gnu", "is for aarch64, and this is x86_64"),
        ("library", "lib/none.so", "lib/none.so cannot be loaded"),
    ],
)
def test_artifacts_that_do_not_fit(tmp_path: Path, field: str, value: object, problem: str) -> None:
    artifact = copied(tmp_path)
    values = json.loads((artifact / "manifest.json").read_text())
    (artifact / "manifest.json").write_text(json.dumps(values | {field: value}))
    done = python(tmp_path, "import edge_runtime; edge_runtime.Model()", artifact)
    assert problem in done.stderr.splitlines()[-1]


def test_it_runs_the_self_test_by_itself(tmp_path: Path) -> None:
    artifact = copied(tmp_path)
    script = artifact / "edge_runtime.py"
    run = [sys.executable, script]
    assert (
        subprocess.run(run, capture_output=True, text=True).stdout == "avx2: 6 samples, every byte as the reference\n"
    )
    y = Y.copy()
    y[0, 0, 0, 0] += 0.5
    np.save(artifact / "golden" / "output-0.npy", y)
    done = subprocess.run(run, capture_output=True, text=True)
    assert "output 'y' differs from the reference with avx2" in done.stderr
    assert done.returncode != 0
