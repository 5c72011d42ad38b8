"""Random scenes of a seed, simulated: geometries, media, sources and borders, as fields on a grid with a mask."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError
from edgeconv.models.oneway_wave.domain import SIDES, Disc, Domain, Rectangle
from edgeconv.models.oneway_wave.solver import GaussianStart, RickerSource, WaveSolver
from edgeconv.models.oneway_wave.zone import BoundaryHistory, Zone

__all__ = ["GEOMETRIES", "Scene", "WaveConfig", "WaveRecord", "draw_scene", "simulate", "simulate_many"]

# The step as a part of the largest stable one.
_COURANT = 0.9


@dataclass(frozen=True)
class WaveConfig:
    """What scenes are drawn and how they are sampled.

    Attributes:
        size: pixels in height and width; the domain is 1 m wide.
        frames: fields recorded, the first at time 0.
        frame_s: time between them; a wave of 1 m/s crosses size·frame_s pixels meanwhile.
        refine: edges of triangles in a pixel.
        geometries: names to draw from.
        slow: speed of a second medium relative to the first's, drawn uniformly from slow … 1.
    """

    size: int = 64
    frames: int = 64
    frame_s: float = 1 / 64
    refine: int = 2
    geometries: tuple[str, ...] = ("square", "rectangle", "disc", "l-shape", "channel")
    slow: float = 0.5

    def __post_init__(self) -> None:
        unknown = sorted(set(self.geometries) - set(GEOMETRIES))
        if unknown or not self.geometries:
            raise UsageError(f"geometries {', '.join(unknown) or 'are none'}", expected=", ".join(GEOMETRIES))
        if self.size < 16 or self.frames < 2 or not self.frame_s > 0 or not 0 < self.slow <= 1:
            raise UsageError(f"{self}", expected="size >= 16, frames >= 2, frame_s > 0, 0 < slow <= 1")


@dataclass(frozen=True)
class Scene:
    """A domain, what excites it, and the zone whose border is recorded."""

    geometry: str
    domain: Domain
    zone: Zone
    start: GaussianStart | None
    sources: tuple[RickerSource, ...]


@dataclass(frozen=True)
class WaveRecord:
    """A simulated scene.

    Attributes:
        fields: float32 (time, height, width), scaled to a largest magnitude of 1; 0 outside the domain.
        mask: bool (height, width), the domain.
        speed: float32 (height, width), m/s; 0 outside the domain.
        boundary: of the scene's zone.
        scale: what the fields were divided by.
    """

    scene: Scene
    fields: NDArray[np.float32]
    mask: NDArray[np.bool_]
    speed: NDArray[np.float32]
    boundary: BoundaryHistory
    scale: float


def _square(rng: np.random.Generator, pixel: float, size: int) -> tuple[Rectangle | Disc, ...]:
    return ()


def _rectangle(rng: np.random.Generator, pixel: float, size: int) -> tuple[Rectangle | Disc, ...]:
    left, bottom = rng.integers(size // 8, size // 4, 2) * pixel
    width, height = rng.integers(size // 8, size // 4, 2) * pixel
    return (Rectangle(left, bottom, left + width, bottom + height),)


def _disc(rng: np.random.Generator, pixel: float, size: int) -> tuple[Rectangle | Disc, ...]:
    x, y = rng.uniform(0.22, 0.28, 2)
    return (Disc(x * size * pixel, y * size * pixel, rng.uniform(0.08, 0.15) * size * pixel),)


def _l_shape(rng: np.random.Generator, pixel: float, size: int) -> tuple[Rectangle | Disc, ...]:
    right, top = rng.integers(size // 4, size * 7 // 16, 2) * pixel
    return (Rectangle(-pixel, -pixel, right, top),)


def _channel(rng: np.random.Generator, pixel: float, size: int) -> tuple[Rectangle | Disc, ...]:
    low, high = rng.integers(size // 8, size * 5 // 16, 2) * pixel
    edge = (size + 1) * pixel
    return Rectangle(-pixel, -pixel, edge, low), Rectangle(-pixel, edge - pixel - high, edge, edge)


GEOMETRIES: dict[str, Callable[[np.random.Generator, float, int], tuple[Rectangle | Disc, ...]]] = {
    "square": _square,
    "rectangle": _rectangle,
    "disc": _disc,
    "l-shape": _l_shape,
    "channel": _channel,
}


def draw_scene(config: WaveConfig, seed: int) -> Scene:
    """A scene that depends on the configuration and the seed alone.

    The zone of interest is the middle eighth to either side of 5/8 of the width and half the height, which every
    geometry leaves free; sources stand where there is medium, three pixels from any border of it and
    outside the zone.
    """
    rng = np.random.default_rng(seed)
    size, pixel = config.size, 1 / config.size
    geometry = config.geometries[int(rng.integers(len(config.geometries)))]
    domain = Domain(size, size, pixel, removed=GEOMETRIES[geometry](rng, pixel, size))
    speed = rng.uniform(config.slow, 1)
    if rng.uniform() < 0.5:
        layer = Rectangle(-1, -1, rng.integers(size // 2, size) * pixel, 2)
        domain = replace(domain, media=((layer, speed),))
    domain = replace(domain, absorbing=SIDES if rng.uniform() < 0.5 else ())
    if geometry == "channel":
        domain = replace(domain, absorbing=("left", "right"))
    zone = Zone(size // 2 - size // 8, size * 5 // 8 - size // 8, size // 4, size // 4)
    x, y = _place(domain, zone, rng)
    start: GaussianStart | None = None
    sources: tuple[RickerSource, ...] = ()
    if rng.uniform() < 0.5:
        start = GaussianStart(x, y, sigma_m=rng.uniform(2.0, 4.0) * pixel)
    else:
        frequency = rng.uniform(0.03, 0.06) / pixel
        sources = (RickerSource(x, y, frequency, delay_s=1 / frequency),)
    return Scene(geometry, domain, zone, start, sources)


def _place(domain: Domain, zone: Zone, rng: np.random.Generator) -> tuple[float, float]:
    width, height = domain.size_m
    margin = 3 * domain.pixel_m
    left, bottom = zone.column * domain.pixel_m, zone.row * domain.pixel_m
    inside = Rectangle(left, bottom, left + zone.width * domain.pixel_m, bottom + zone.height * domain.pixel_m)
    turns = np.linspace(0, 2 * math.pi, 16, endpoint=False)
    while True:
        x, y = rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)
        around = x + margin * np.cos(turns), y + margin * np.sin(turns)
        if not any(shape.contains(*around).any() for shape in (*domain.removed, inside)):
            return x, y


def simulate(scene: Scene, config: WaveConfig) -> WaveRecord:
    """Run the solver over a scene; the same arguments give the same bits on one machine.

    Raises:
        ToolError: scikit-fem is not installed.
        UsageError: the zone leaves the domain.
    """
    solver = WaveSolver(scene.domain, config.refine)
    mask = solver.mesh.mask
    scene.zone.check(mask)
    every = math.ceil(config.frame_s / (_COURANT * solver.largest_step_s))
    count = every * (config.frames - 1)
    steps = solver.steps(config.frame_s / every, count, start=scene.start, sources=scene.sources)
    fields = np.stack([solver.sample(field) for i, field in enumerate(steps) if i % every == 0])
    scale = float(np.abs(fields).max())
    fields /= np.float32(scale)
    speed = np.zeros(mask.shape, np.float32)
    speed[mask] = scene.domain.speed_at(*solver.points[:, solver.mesh.centres])
    return WaveRecord(scene, fields, mask, speed, scene.zone.history(fields, scene.domain.pixel_m), scale)


def simulate_many(config: WaveConfig, count: int, seed: int) -> list[WaveRecord]:
    """Records of `count` scenes, each of a seed of its own below `seed`."""
    if count < 1:
        raise UsageError(f"{count} records", expected="at least 1")
    seeds = np.random.SeedSequence(seed).generate_state(count)
    return [simulate(draw_scene(config, int(s)), config) for s in seeds]
