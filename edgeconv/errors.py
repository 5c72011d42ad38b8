"""Every error that edgeconv raises on purpose, as one tree.

    EdgeconvError                 exit code 2
    ├── UsageError                2  an option, file name or array does not fit what was asked for
    │   ├── InputError            2  the data handed to a runner: names, shapes, dtypes, NaN
    │   └── TargetError           2  an unknown or malformed target file
    ├── ModelError                3  the model cannot become an integer program
    │   ├── ModelFileError        3  missing, truncated, or not ONNX
    │   ├── UnsupportedModelError 3  operators, opsets or dynamic shapes outside what is supported
    │   ├── QuantizationError     3  quantizers that are missing, malformed or contradict each other
    │   └── ProgramError          3  an integer program that breaks a shape, type or range rule
    ├── ArtifactError             2  a folder that is not an artifact, or one that was altered
    │   └── DeviceCodeError       2  a GPU's driver refuses the artifact's code as damaged
    ├── DivergedError             2  the loss of a training is not finite
    ├── ToolError                 4  a compiler, simulator or package that is needed and missing
    └── DeviceError               4  this machine, board or GPU cannot run the artifact
        ├── NoDriverError         4  there is no CUDA driver
        ├── NoDeviceError         4  the driver sees no GPU, or none of that number
        ├── OldDeviceError        4  the artifact has no code for a GPU of this kind
        ├── OldDriverError        4  the driver is older than the compiler that made the code
        └── DeviceMemoryError     4  not enough memory on the GPU

Verification differences are a result, not an error: `edgeconv verify` returns exit code 1.
"""

from __future__ import annotations

__all__ = [
    "ArtifactError",
    "DeviceCodeError",
    "DeviceError",
    "DeviceMemoryError",
    "DivergedError",
    "EdgeconvError",
    "InputError",
    "ModelError",
    "ModelFileError",
    "NoDeviceError",
    "NoDriverError",
    "OldDeviceError",
    "OldDriverError",
    "ProgramError",
    "QuantizationError",
    "TargetError",
    "ToolError",
    "UnsupportedModelError",
    "UsageError",
]


class EdgeconvError(Exception):
    """Base of all deliberate errors.

    Args:
        problem: what was found, naming the node, field or file.
        expected: what would have been right, or None.
        advice: what the user can do next, or None.
    """

    exit_code = 2

    def __init__(self, problem: str, *, expected: str | None = None, advice: str | None = None) -> None:
        self.problem, self.expected, self.advice = problem, expected, advice
        lines = [problem]
        if expected:
            lines.append(f"  expected: {expected}")
        if advice:
            lines.append(f"  try: {advice}")
        super().__init__("\n".join(lines))


class UsageError(EdgeconvError):
    """An option, file name or array that does not fit what was asked for."""


class InputError(UsageError):
    """Data handed to a runner with the wrong name, shape, dtype or values."""


class TargetError(UsageError):
    """An unknown or malformed target description."""


class ModelError(EdgeconvError):
    """A model that cannot become an integer program."""

    exit_code = 3


class ModelFileError(ModelError):
    """A model file that is missing, truncated, or not ONNX."""


class UnsupportedModelError(ModelError):
    """Operators, opsets or dynamic shapes outside what is supported."""


class QuantizationError(ModelError):
    """Quantizers that are missing, malformed, or contradict each other."""


class ProgramError(ModelError):
    """An integer program that breaks a shape, type or range rule."""


class ArtifactError(EdgeconvError):
    """A folder that is not an artifact, or one that was altered."""


class DeviceCodeError(ArtifactError):
    """A GPU's driver refuses the artifact's code as damaged."""


class DivergedError(EdgeconvError):
    """A training whose loss is not finite."""


class ToolError(EdgeconvError):
    """A compiler, simulator or Python package that is needed and missing."""

    exit_code = 4


class DeviceError(EdgeconvError):
    """This machine, board or GPU cannot run the artifact."""

    exit_code = 4


class NoDriverError(DeviceError):
    """There is no CUDA driver on this machine."""


class NoDeviceError(DeviceError):
    """The CUDA driver sees no GPU, or none of the number that was asked for."""


class OldDeviceError(DeviceError):
    """The artifact has no code for a GPU of this kind."""


class OldDriverError(DeviceError):
    """The CUDA driver is older than the compiler that made the code."""


class DeviceMemoryError(DeviceError):
    """Not enough memory on the GPU."""
