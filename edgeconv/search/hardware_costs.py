"""What a network costs as hardware: cycles and multiplier blocks, by the exact models its compilers schedule by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgeconv.targets import load_target

if TYPE_CHECKING:
    from edgeconv.ir import Program

__all__ = ["hardware_costs"]


def hardware_costs(program: Program, target: str) -> dict[str, float]:
    """`cycles` from a sample to the next and `dsps` that work side by side.

    Of a target for high-level synthesis they are those of its pipeline, whose stages get as many multipliers as the
    target has, if that makes them faster; roundings take others beside them. Of any other target they are the
    accelerator's: it has the same blocks whatever network it runs, those of the target's part.

    Args:
        target: name or file.

    Raises:
        UnsupportedModelError: the network does not fit the accelerator, or an operator has no stage.
    """
    described = load_target(target)
    if described.family == "hls":
        return _pipeline_costs(program, described.settings)
    return _array_costs(program, described.part)


def _array_costs(program: Program, part: str | None) -> dict[str, float]:
    from edgeconv.hw.compiler.build import compile_network
    from edgeconv.hw.spec import configuration
    from edgeconv.integer import POLICIES, prove

    image = compile_network(program, prove(program, POLICIES["array"]).forms, configuration(part)).image
    return {"cycles": float(image.cycles), "dsps": float(image.config.multiplier_blocks)}


def _pipeline_costs(program: Program, settings: Mapping[str, Any]) -> dict[str, float]:
    from edgeconv.artifact.hls_target.write import make_target_project
    from edgeconv.integer import POLICY_OF_ISA, prove

    project = make_target_project("model", program, prove(program, POLICY_OF_ISA["hls"]), settings)
    return {"cycles": float(project.interval), "dsps": float(project.multipliers)}
