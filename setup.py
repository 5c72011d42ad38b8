"""Package list of edgeconv: `models/`, `targets/` and `hw/` stand at the top and install below `edgeconv`.

Everything else about the project is in pyproject.toml, which cannot express "find the packages of three folders
under other names".
"""

from __future__ import annotations

from setuptools import find_packages, setup

MAPPED_FOLDERS = ("models", "targets", "hw")
# Files beside the modules that are read at run time, in folders of their own or not.
DATA_FILES = [
    "py.typed",
    *(
        f"**/*.{suffix}"
        for suffix in ("toml", "onnx", "c", "cpp", "h", "cuh", "sv", "v", "smt2", "vlt", "S", "ld", "lpf", "tcl")
    ),
]


def installed_packages() -> list[str]:
    """All packages under the names they are imported by."""
    packages = find_packages(include=["edgeconv", "edgeconv.*"])
    for folder in MAPPED_FOLDERS:
        packages.append(f"edgeconv.{folder}")
        packages += [f"edgeconv.{folder}.{name}" for name in find_packages(folder)]
    return packages


setup(
    packages=installed_packages(),
    package_dir={"edgeconv": "edgeconv", **{f"edgeconv.{folder}": folder for folder in MAPPED_FOLDERS}},
    package_data={"": DATA_FILES},
)
