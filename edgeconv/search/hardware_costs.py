"""What a network costs as hardware: cycles and multiplier blocks, by the exact models its compilers schedule by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeconv.targets import load_target

if TYPE_CHECKING:
    from edgeconv.ir import Program

__all__ = ["hardware_costs"]


def hardware_costs(program: Program, target: str) -> dict[str, float]:
    """`cycles` from a sample to the next and `dsps` that work side by side.

    Of a target for high-level synthesis they are those of its pipeline, whose stages get as many multipliers as the
    target has, if that makes them faster; roundings take others beside them. Of any other target they are the
    accelerator's: it has the same blocks whatever network it runs.

    Args:
        target: name or file.

    Raises:
        UnsupportedModelError: the network does not fit the accelerator, or an operator has no stage.
    """
    described = load_target(target)
    if described.family == "hls":
        return _pipeline_costs(program, described.settings["multipliers"])
    return _array_costs(program)


def _array_costs(program: Program) -> dict[str, float]:
    from edgeconv.hw.compiler.build import compile_network
    from edgeconv.integer import POLICIES, prove

    image = compile_network(program, prove(program, POLICIES["array"]).forms).image
    return {"cycles": float(image.cycles), "dsps": float(image.config.multiplier_blocks)}


def _pipeline_costs(program: Program, multipliers: int) -> dict[str, float]:
    from edgeconv.hw.ends import split_ends
    from edgeconv.hw.hls.build import build_pipeline
    from edgeconv.integer import POLICY_OF_ISA, prove

    certificate = prove(program, POLICY_OF_ISA["hls"])
    pipeline, _, _ = build_pipeline(split_ends(program).core, certificate.forms, certificate.ranges, multipliers)
    stages = pipeline.stages
    return {
        "cycles": float(max(stage.cycles for stage in stages)),
        "dsps": float(sum(stage.multipliers for stage in stages)),
    }
