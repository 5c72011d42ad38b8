"""TVM's Relax on the accelerator: `partition_for_edgeconv`, then `RunCodegen` with `relax.ext.edgeconv_fpga`."""

from edgeconv.hw.relax.codegen import EXTERNAL
from edgeconv.hw.relax.partition import OnArray, Partition, WithTvm, explain_partition, partition_for_edgeconv
from edgeconv.hw.relax.runtime import ArrayCall, on_board, recording, using

__all__ = [
    "EXTERNAL",
    "ArrayCall",
    "OnArray",
    "Partition",
    "WithTvm",
    "explain_partition",
    "on_board",
    "partition_for_edgeconv",
    "recording",
    "using",
]
