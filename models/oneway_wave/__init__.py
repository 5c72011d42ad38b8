"""Waves in the plane: reference data by finite elements, and networks of one-way-filter convolutions.

from edgeconv.models.oneway_wave import WaveConfig, simulate_many

records = simulate_many(WaveConfig(), count=20, seed=0)
records[0].fields           # float32 (time, height, width)
records[0].boundary.values  # float32 (time, ring): the history of a zone's border
"""

from edgeconv.models.oneway_wave.dataset import Scene, WaveConfig, WaveRecord, draw_scene, simulate, simulate_many
from edgeconv.models.oneway_wave.domain import Disc, Domain, Rectangle
from edgeconv.models.oneway_wave.solver import GaussianStart, RickerSource, WaveSolver
from edgeconv.models.oneway_wave.zone import BoundaryHistory, Zone

__all__ = [
    "BoundaryHistory",
    "Disc",
    "Domain",
    "GaussianStart",
    "Rectangle",
    "RickerSource",
    "Scene",
    "WaveConfig",
    "WaveRecord",
    "WaveSolver",
    "Zone",
    "draw_scene",
    "simulate",
    "simulate_many",
]
