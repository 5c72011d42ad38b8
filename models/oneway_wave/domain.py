"""Where a wave runs: a rectangle of pixels, shapes cut out of it, shapes of another speed, and its four borders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import ToolError, UsageError

__all__ = ["SIDES", "Disc", "Domain", "Mesh", "Rectangle", "Shape", "build_mesh"]

Floats = NDArray[np.float64]
SIDES = ("left", "right", "bottom", "top")
# Nodes nearer than this part of an edge to a round border are moved onto it; more would flatten triangles.
_SNAP = 0.4


class Shape(Protocol):
    """A part of the plane."""

    def contains(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        """Which points lie inside."""
        ...

    def snapped(self, x: Floats, y: Floats, reach: float) -> tuple[Floats, Floats]:
        """The points, those within `reach` of a curved border moved onto it."""
        ...


@dataclass(frozen=True)
class Rectangle:
    """An axis-parallel rectangle, in metres; its borders should lie on borders of pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def __post_init__(self) -> None:
        if not (self.left < self.right and self.bottom < self.top):
            raise UsageError(f"{self}", expected="left < right and bottom < top")

    def contains(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        return (x > self.left) & (x < self.right) & (y > self.bottom) & (y < self.top)

    def snapped(self, x: Floats, y: Floats, reach: float) -> tuple[Floats, Floats]:
        return x, y


@dataclass(frozen=True)
class Disc:
    """A disc, in metres."""

    x: float
    y: float
    radius: float

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise UsageError(f"{self}", expected="a radius > 0")

    def contains(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        return np.hypot(x - self.x, y - self.y) < self.radius

    def snapped(self, x: Floats, y: Floats, reach: float) -> tuple[Floats, Floats]:
        distance = np.hypot(x - self.x, y - self.y)
        near = np.abs(distance - self.radius) < min(reach, self.radius / 2)
        factor = np.where(near, self.radius / np.where(near, distance, 1.0), 1.0)
        # Points that stay keep their bits: moved there and back they would not always.
        moved_x, moved_y = self.x + (x - self.x) * factor, self.y + (y - self.y) * factor
        return np.where(near, moved_x, x), np.where(near, moved_y, y)


@dataclass(frozen=True)
class Domain:
    """The plane that waves run in. Row 0 of a field is at the bottom (y = 0), column 0 at the left (x = 0).

    Attributes:
        height, width: pixels of the sampled fields.
        pixel_m: edge of a pixel, metres.
        speed: of the wave, m/s.
        removed: shapes without medium; their borders reflect.
        media: shapes of another speed, each with it; a later one wins.
        absorbing: the sides that let waves out; the others reflect.
    """

    height: int = 64
    width: int = 64
    pixel_m: float = 1 / 64
    speed: float = 1.0
    removed: tuple[Shape, ...] = ()
    media: tuple[tuple[Shape, float], ...] = ()
    absorbing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 4 or not self.pixel_m > 0:
            raise UsageError(f"a domain of {self.height}x{self.width}", expected="4x4 pixels at least, of a size > 0")
        if not all(c > 0 and math.isfinite(c) for c in (self.speed, *(c for _, c in self.media))):
            raise UsageError("a speed in Domain", expected="finite and > 0")
        unknown = sorted(set(self.absorbing) - set(SIDES))
        if unknown:
            raise UsageError(f"Domain.absorbing names {', '.join(unknown)}", expected=", ".join(SIDES))

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height, metres."""
        return self.width * self.pixel_m, self.height * self.pixel_m

    def speed_at(self, x: Floats, y: Floats) -> Floats:
        """Speed of the wave at points, m/s."""
        speed = np.full(np.shape(x), self.speed)
        for shape, value in self.media:
            speed[shape.contains(x, y)] = value
        return speed


@dataclass(frozen=True)
class Mesh:
    """Triangles of a domain, and how its pixels lie in them.

    Attributes:
        triangles: a `skfem.MeshTri` of what was not removed.
        speed: of each triangle, m/s.
        mask: bool (height, width), pixels whose centre is a node that no border took away.
        centres: numbers of those nodes, in the mask's order.
        absorbing: numbers of the border's facets that absorb.
    """

    triangles: Any
    speed: Floats
    mask: NDArray[np.bool_]
    centres: NDArray[np.intp]
    absorbing: NDArray[np.int32]


def build_mesh(domain: Domain, refine: int = 2) -> Mesh:
    """Triangles with legs of pixel_m / refine; nodes near a disc that is removed are moved onto its border.

    An even `refine` makes every pixel's centre a node, so that sampling is no interpolation.

    Raises:
        ToolError: scikit-fem is not installed.
        UsageError: refine is odd or not positive, or nothing is left of the domain.
    """
    try:
        from skfem import MeshTri
    except ImportError:
        raise ToolError(
            "the Python package 'scikit-fem' is not installed", advice="pip install 'edgeconv[data]'"
        ) from None
    if refine < 2 or refine % 2:
        raise UsageError(f"refine = {refine}", expected="an even number, at least 2")
    width, height = domain.size_m
    whole = MeshTri.init_tensor(
        np.linspace(0, width, domain.width * refine + 1), np.linspace(0, height, domain.height * refine + 1)
    )
    x, y = whole.p
    edge = (x == 0) | (x == width) | (y == 0) | (y == height)
    for shape in domain.removed:
        moved = shape.snapped(x, y, _SNAP * domain.pixel_m / refine)
        x, y = np.where(edge, x, moved[0]), np.where(edge, y, moved[1])
    unmoved = (x == whole.p[0]) & (y == whole.p[1])
    whole = MeshTri(np.stack([x, y]), whole.t)
    middle = whole.p[:, whole.t].mean(axis=1)
    kept = ~np.any([np.zeros(middle.shape[1], bool), *(s.contains(*middle) for s in domain.removed)], axis=0)
    if not kept.any():
        raise UsageError("nothing is left of the domain", advice="remove less")
    nodes, corners = np.unique(whole.t[:, kept], return_inverse=True)
    triangles = MeshTri(np.ascontiguousarray(whole.p[:, nodes]), np.ascontiguousarray(corners.reshape(3, -1)))
    # Nodes run along y first; new numbers, -1 for those that went with what was removed or were moved onto its border.
    number = np.full(whole.p.shape[1], -1)
    number[nodes] = np.arange(len(nodes))
    number[~unmoved] = -1
    grid = number.reshape(domain.width * refine + 1, domain.height * refine + 1).T
    centres = grid[refine // 2 :: refine, refine // 2 :: refine]
    mask = centres >= 0
    at = triangles.p[:, triangles.facets].mean(axis=1)
    on = {"left": at[0] == 0, "right": at[0] == width, "bottom": at[1] == 0, "top": at[1] == height}
    absorbing = np.flatnonzero(np.any([np.zeros(at.shape[1], bool), *(on[s] for s in domain.absorbing)], axis=0))
    return Mesh(
        triangles=triangles,
        speed=domain.speed_at(*triangles.p[:, triangles.t].mean(axis=1)),
        mask=mask,
        centres=centres[mask],
        absorbing=absorbing.astype(np.int32),
    )
