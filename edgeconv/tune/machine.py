"""What can be tuned on this machine."""

from __future__ import annotations

from edgeconv.errors import DeviceError, UsageError
from edgeconv.runtime.cpu_features import host_architecture, missing_features
from edgeconv.targets import Target

__all__ = ["tunable_isa"]

_SCALAR = "generic"  # one output at a time: nothing to block


def tunable_isa(target: Target) -> str:
    """The instruction set of a target that is tuned here: the one that this machine would run its artifacts with.

    Raises:
        UsageError: the target's kernels have no blockings to choose.
        DeviceError: this machine runs none of its instruction sets that have.
    """
    chosen = [name for name in target.isa_names if name != _SCALAR]
    if target.family != "cpu" or not chosen:
        what = f"family {target.family}" if target.family != "cpu" else "scalar code alone"
        raise UsageError(
            f"--tune for target '{target.name}' ({what}): there are no blockings to choose",
            expected="a target of the family cpu with a vector instruction set",
            advice="compile without --tune",
        )
    if target.architecture != host_architecture():
        raise DeviceError(
            f"--tune measures on this machine ({host_architecture()}), and target '{target.name}' is for "
            f"{target.architecture}",
            expected="a target that this machine runs",
            advice="compile with --tune on the board itself, or without it here",
        )
    runnable = [name for name in chosen if not missing_features(name)]
    if not runnable:
        missing = ", ".join(missing_features(chosen[0]))
        raise DeviceError(
            f"--tune measures on this machine, which cannot run target '{target.name}': {chosen[0]} needs {missing}",
            expected="a target that this machine runs",
            advice="`edgeconv doctor` shows what it runs; compile without --tune",
        )
    return runnable[-1]
