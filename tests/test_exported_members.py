"""The public names: a name that is added or lost here is a change that the changelog must tell."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

import edgeconv
from edgeconv import errors


def test_public_names() -> None:
    assert edgeconv.__all__ == ["EdgeconvError", "__version__", "compile", "load", "quantize", "search", "verify"]
    assert set(edgeconv.__all__) <= set(dir(edgeconv))


def test_unknown_names_are_refused_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'edgeconv' has no attribute 'compil'"):
        _ = edgeconv.compil


def test_lazy_names_resolve_to_what_the_type_checker_is_told() -> None:
    assert edgeconv.__dict__["_LAZY"].keys() | {"EdgeconvError", "__version__"} == set(edgeconv.__all__)


def test_the_version_is_the_same_everywhere() -> None:
    assert edgeconv.__version__ == metadata.version("edgeconv")


def test_error_tree_is_public_and_complete() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert set(errors.__all__) == defined


@pytest.mark.parametrize(
    ("name", "exit_code"),
    [
        ("EdgeconvError", 2),
        ("UsageError", 2),
        ("InputError", 2),
        ("TargetError", 2),
        ("ModelError", 3),
        ("ModelFileError", 3),
        ("UnsupportedModelError", 3),
        ("QuantizationError", 3),
        ("ProgramError", 3),
        ("ArtifactError", 2),
        ("ToolError", 4),
        ("DeviceError", 4),
    ],
)
def test_exit_code_of_each_error(name: str, exit_code: int) -> None:
    assert getattr(errors, name).exit_code == exit_code


def test_an_error_says_problem_expectation_and_advice() -> None:
    error = errors.InputError("input 'x' has shape (3,)", expected="(N, 128)", advice="reshape it")
    assert str(error) == "input 'x' has shape (3,)\n  expected: (N, 128)\n  try: reshape it"
    assert str(errors.InputError("no input")) == "no input"


@pytest.mark.parametrize("name", ["quantize", "search", "verify"])
def test_packages_with_the_name_of_a_function_are_called_whoever_imported_them_first(name: str) -> None:
    code = f"import edgeconv, edgeconv.{name}; edgeconv.{name}(1, 2, 3, 4, 5, 6, 7, 8, nonsense=9)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert f"TypeError: {name}() " in done.stderr


@pytest.mark.parametrize("folder", ["models", "targets", "hw"])
def test_folders_at_the_top_install_below_edgeconv(folder: str) -> None:
    code = f"import edgeconv.{folder}; print(edgeconv.{folder}.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == f"edgeconv.{folder}"
