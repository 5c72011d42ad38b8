"""The integer program: types, operators, text form, validation, storage. Imports nothing of edgeconv but its errors."""

from edgeconv.ir.exact import ChannelLinear, Grid, Linear, Rounding
from edgeconv.ir.program import ARITHMETIC_VERSION, Constant, Program, describe
from edgeconv.ir.rescale import Rescale
from edgeconv.ir.storage import load_program, save_program
from edgeconv.ir.text import from_text, to_text
from edgeconv.ir.types import DType, TensorType, dtype, smallest_dtype

__all__ = [
    "ARITHMETIC_VERSION",
    "ChannelLinear",
    "Constant",
    "DType",
    "Grid",
    "Linear",
    "Program",
    "Rescale",
    "Rounding",
    "TensorType",
    "describe",
    "dtype",
    "from_text",
    "load_program",
    "save_program",
    "smallest_dtype",
    "to_text",
]
