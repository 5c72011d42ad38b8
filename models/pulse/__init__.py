"""Time and energy from digitized detector pulses: simulation, network, training, bound and evaluation.

    from edgeconv.models import pulse

    trained = pulse.train(progress=print)                 # TrainedPulse: float network and quantized twin, ~2 minutes
    trained.export_qcdq("pulse.onnx")                     # "samples" uint16 (n, 1, 128) → "time_energy" float32 (n, 2)
    trained.export_float("pulse-float.onnx")
    data = pulse.heldout(10_000, seed=1)                  # HeldOut: data.inputs["samples"], data.truth is a Pulses
    score = pulse.evaluate(trained.predict_quantized(data.inputs["samples"]), data)
    score.time_ps, score.energy_percent, score.time_over_bound, score.energy_over_bound
    pulse.classic(data)                                   # {"constant fraction": Resolution, "optimal filter": …}
    pulse.train_policies(configurations.PRECISE, configurations.POLICIES, "folder/")   # weights of 8 and of 4 bits
    pulse.report({"float": trained.predict_float, "int8": runner}, "report/")   # PNG plots, resolution against SNR
    recorded = pulse.read_waveforms("wave0.dat", pulse.Digitizer(4.0, 12, "negative"))   # CSV, NPY, HDF5, WaveDump
    runner(recorded.align(pulse.PulseConfig()).samples)   # upright, on its baseline, cut where the pulse is expected

Any function from samples to an (N, 2) array of time in ns and energy as a fraction of full scale can be evaluated: the
torch networks, an onnxruntime session, or the runner of a compiled artifact. `FAMILY` is what the entry point group
`edgeconv.models` names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeconv.models.pulse.classical import ConstantFraction, OptimalFilter
    from edgeconv.models.pulse.config import TrainConfig
    from edgeconv.models.pulse.evaluation import Report, Resolution, classic, evaluate, heldout, sweep
    from edgeconv.models.pulse.family import FAMILY
    from edgeconv.models.pulse.network import benchmark_network
    from edgeconv.models.pulse.plots import report
    from edgeconv.models.pulse.recipe import train
    from edgeconv.models.pulse.recorded import Aligned, Digitizer, Recording
    from edgeconv.models.pulse.scintillation import scintillate
    from edgeconv.models.pulse.shipped import trained_model
    from edgeconv.models.pulse.simulation import Biexponential, CrRc, PulseConfig, Pulses, simulate
    from edgeconv.models.pulse.study import resolutions, train_policies
    from edgeconv.models.pulse.trained import TrainedPulse, export_benchmark
    from edgeconv.models.pulse.waveform_files import read_waveforms

# name -> module; torch and matplotlib load only with the names that need them.
_LAZY = {
    "FAMILY": "family",
    "Aligned": "recorded",
    "Biexponential": "simulation",
    "ConstantFraction": "classical",
    "CrRc": "simulation",
    "Digitizer": "recorded",
    "OptimalFilter": "classical",
    "PulseConfig": "simulation",
    "Pulses": "simulation",
    "Recording": "recorded",
    "Report": "evaluation",
    "Resolution": "evaluation",
    "TrainConfig": "config",
    "TrainedPulse": "trained",
    "benchmark_network": "network",
    "classic": "evaluation",
    "evaluate": "evaluation",
    "export_benchmark": "trained",
    "heldout": "evaluation",
    "read_waveforms": "waveform_files",
    "report": "plots",
    "resolutions": "study",
    "scintillate": "scintillation",
    "simulate": "simulation",
    "sweep": "evaluation",
    "train": "recipe",
    "train_policies": "study",
    "trained_model": "shipped",
}

__all__ = [
    "FAMILY",
    "Aligned",
    "Biexponential",
    "ConstantFraction",
    "CrRc",
    "Digitizer",
    "OptimalFilter",
    "PulseConfig",
    "Pulses",
    "Recording",
    "Report",
    "Resolution",
    "TrainConfig",
    "TrainedPulse",
    "benchmark_network",
    "classic",
    "evaluate",
    "export_benchmark",
    "heldout",
    "read_waveforms",
    "report",
    "resolutions",
    "scintillate",
    "simulate",
    "sweep",
    "train",
    "train_policies",
    "trained_model",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'edgeconv.models.pulse' has no attribute {name!r}")
    return getattr(import_module(f"edgeconv.models.pulse.{_LAZY[name]}"), name)
