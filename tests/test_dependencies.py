"""Folders depend on one another in one direction only, as docs/development.md draws it.

Every import counts, those inside functions and below TYPE_CHECKING too: what a module names, it depends on.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]

# What each part may import. `cpu_features` and `targets` describe machines and stand beside `ir` at the bottom;
# `hw.relax` is a compiler of its own, which nothing else imports.
BASE = {"errors", "_version", "_package_call", "cache"}
MACHINE = {"cpu_features", "targets"}
LOWERING = {"ir", "importer", "integer", "reference", "codegen", "hw"}
RUNNING = {"artifact", "runtime"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "cache": set(),
    "_version": set(),
    "_package_call": set(),
    "cpu_features": set(),
    "targets": BASE | {"cpu_features"},
    "ir": {"errors"},
    "importer": BASE | {"ir"},
    "integer": BASE | {"ir", "importer"},
    "reference": BASE | {"ir"},
    "codegen": BASE | MACHINE | {"ir"},
    "hw": BASE | MACHINE | {"ir"},
    "hw.relax": BASE | MACHINE | LOWERING,
    "artifact": BASE | MACHINE | LOWERING,
    "runtime": BASE | MACHINE | (LOWERING - {"codegen"}) | {"artifact"},
    "verify": BASE | MACHINE | LOWERING | RUNNING,
    "bench": BASE | MACHINE | LOWERING | RUNNING | {"verify"},
    "tune": BASE | MACHINE | LOWERING | RUNNING,
    "deploy": BASE | RUNNING,
    "quantize": BASE | MACHINE | LOWERING | RUNNING | {"verify"},
    "search": BASE | MACHINE | LOWERING | RUNNING | {"verify", "bench", "deploy", "quantize", "api"},
    "report": BASE | MACHINE | LOWERING | RUNNING | {"verify", "quantize"},
    "doctor": BASE | MACHINE,
    "api": BASE | MACHINE | LOWERING | RUNNING | {"verify", "quantize", "report", "bench", "tune"},
    "demo": BASE | RUNNING | {"verify", "bench", "quantize", "api"},
    "public": BASE | {"api", "search"},
    "models": BASE | {"quantize", "search", "public"},
    "cli": BASE
    | MACHINE
    | LOWERING
    | RUNNING
    | {"verify", "bench", "deploy", "quantize", "search", "report", "doctor", "api", "demo"},
    "__main__": {"cli"},
}
# Heavy packages -> the only parts that may load them. Verification uses torch only where a user brings a torch model.
ONLY_IN = {
    "tvm": {"codegen", "hw.relax"},
    "tvm_ffi": {"codegen", "hw.relax"},
    "torch": {"quantize", "search", "models", "verify"},
    "brevitas": {"quantize", "search", "models"},
    "onnxruntime": {"verify", "bench", "quantize", "models"},
    "click": {"cli"},
    "rich": {"cli"},
}
# Module -> distribution, where the names differ.
DISTRIBUTION_OF = {
    "PIL": "pillow",
    "ai_edge_litert": "ai-edge-litert",
    "onnx_ir": "onnx-ir",
    "skfem": "scikit-fem",
    "sklearn": "scikit-learn",
    "tvm": "apache-tvm",
    "tvm_ffi": "apache-tvm-ffi",
}


def python_files() -> Iterator[tuple[str, Path]]:
    """Module names as they are imported, with their files."""
    for folder, package in (
        ("edgeconv", "edgeconv"),
        ("models", "edgeconv.models"),
        ("targets", "edgeconv.targets"),
        ("hw", "edgeconv.hw"),
    ):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), path


def part_of(module: str) -> str:
    """The part of the project that a module of edgeconv belongs to."""
    if module.startswith("edgeconv.runtime.cpu_features"):
        return "cpu_features"
    if module.startswith("edgeconv.hw.relax"):
        return "hw.relax"
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "public"


def imported_modules(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """Line and name of everything a file imports; `from package import name` gives package.name for submodules."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield node.lineno, inner if inner in MODULES else base


MODULES = dict(python_files())


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    path, part = MODULES[module], part_of(module)
    assert part in ALLOWED, f"{path.relative_to(ROOT)}: give the new part '{part}' its row in {Path(__file__).name}"
    wrong = []
    for line, imported in imported_modules(path, module):
        root = imported.split(".")[0]
        if root == "edgeconv":
            other = part_of(imported)
            if other != part and other not in ALLOWED[part]:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {part} must not import {imported}")
        elif root in ONLY_IN and part not in ONLY_IN[root]:
            wrong.append(f"{path.relative_to(ROOT)}:{line}: only {sorted(ONLY_IN[root])} may import {root}")
    assert not wrong, "\n".join(wrong)


def declared_distributions() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    return {canonicalize_name(Requirement(line).name) for line in lines}


@pytest.mark.parametrize("module", MODULES)
def test_every_package_that_is_imported_is_a_declared_dependency(module: str) -> None:
    roots = {name.split(".")[0] for _, name in imported_modules(MODULES[module], module)}
    outside = roots - sys.stdlib_module_names - {"edgeconv"}
    undeclared = {root for root in outside if DISTRIBUTION_OF.get(root, root) not in declared_distributions()}
    assert not undeclared, f"declare in pyproject.toml what {MODULES[module].relative_to(ROOT)} imports: {undeclared}"


def test_the_rows_allow_no_cycle() -> None:
    done: set[str] = set()
    while len(done) < len(ALLOWED):
        ready = {part for part, below in ALLOWED.items() if part not in done and below <= done}
        assert ready, f"these import one another: {sorted(set(ALLOWED) - done)}"
        done |= ready


def test_importing_edgeconv_loads_nothing_heavy() -> None:
    heavy = "numpy onnx onnxruntime tvm tvm_ffi torch brevitas mpmath click rich"
    code = f"import sys, edgeconv; print(*(m for m in '{heavy}'.split() if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
