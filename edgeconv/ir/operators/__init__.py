"""The operators of the integer program, one frozen dataclass each."""

from edgeconv.ir.operators.accumulate import AvgPool, Cast, Conv, ConvTranspose, MatMul, Mul
from edgeconv.ir.operators.base import OPERATORS, Operator
from edgeconv.ir.operators.ends import Dequantize, Quantize
from edgeconv.ir.operators.movement import Concat, MaxPool, Pad, Reshape, Resize, Slice, Transpose
from edgeconv.ir.operators.reduce import ArgMax, ReduceMax, ReduceMin, ReduceSum
from edgeconv.ir.operators.resample import ResizeLinear
from edgeconv.ir.operators.rows import Normalize, Softmax
from edgeconv.ir.operators.scaling import Add, Requant, Table, Threshold
from edgeconv.ir.operators.scan import SelectiveScan

__all__ = [
    "OPERATORS",
    "Add",
    "ArgMax",
    "AvgPool",
    "Cast",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Dequantize",
    "MatMul",
    "MaxPool",
    "Mul",
    "Normalize",
    "Operator",
    "Pad",
    "Quantize",
    "ReduceMax",
    "ReduceMin",
    "ReduceSum",
    "Requant",
    "Reshape",
    "Resize",
    "ResizeLinear",
    "SelectiveScan",
    "Slice",
    "Softmax",
    "Table",
    "Threshold",
    "Transpose",
]
