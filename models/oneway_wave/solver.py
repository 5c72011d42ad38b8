"""The 2-D wave equation by finite elements: linear triangles, lumped mass, explicit central differences in time.

    u_tt / c² = ∇²u + f        in the domain
    ∂u/∂n = 0                   on borders that reflect
    ∂u/∂n = -u_t / c            on borders that absorb (Engquist and Majda, Math. Comp. 31, 1977, first order)

With the lumped mass M (of 1/c²), the stiffness K and the border's lumped C (of 1/c) a step is
M (u⁺ - 2u + u⁻)/dt² + C (u⁺ - u⁻)/(2 dt) + K u = F, in which u⁺ stands on diagonals alone. It is stable for
dt < 2/√λ, λ the largest eigenvalue of M⁻¹K (C damps), which Gershgorin's discs bound from above.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError
from edgeconv.models.oneway_wave.domain import Domain, Floats, Mesh, build_mesh

__all__ = ["GaussianStart", "RickerSource", "WaveSolver"]


@dataclass(frozen=True)
class RickerSource:
    """A point that emits the Ricker wavelet (1 - 2a)·exp(-a), a = (π·frequency·(t - delay))², times `amplitude`.

    Attributes:
        x, y: metres; inside the domain. The nearest node emits.
        frequency_hz: where the wavelet's spectrum peaks.
        delay_s: when it peaks; from 1/frequency on it starts smoothly.
    """

    x: float
    y: float
    frequency_hz: float
    delay_s: float
    amplitude: float = 1.0

    def at(self, t_s: float) -> float:
        """Strength at a time."""
        a = (math.pi * self.frequency_hz * (t_s - self.delay_s)) ** 2
        return self.amplitude * (1 - 2 * a) * math.exp(-a)


@dataclass(frozen=True)
class GaussianStart:
    """A field at rest at time 0: amplitude·exp(-r²/(2·sigma²)), r from (x, y) in metres."""

    x: float
    y: float
    sigma_m: float
    amplitude: float = 1.0

    def __call__(self, x: Floats, y: Floats) -> Floats:
        r2 = (x - self.x) ** 2 + (y - self.y) ** 2
        return self.amplitude * np.exp(-r2 / (2 * self.sigma_m**2))


class WaveSolver:
    """Matrices of one domain, and steps in time.

    Args:
        refine: edges of triangles in a pixel.

    Attributes:
        mesh: the domain's triangles.
        points: (2, nodes), x and y in metres; fields of the solver are values there.
        largest_step_s: time steps below this are stable.
    """

    mesh: Mesh
    points: Floats
    largest_step_s: float

    def __init__(self, domain: Domain, refine: int = 2) -> None:
        self.domain, self.mesh = domain, build_mesh(domain, refine)
        from skfem import Basis, BilinearForm, ElementTriP1, FacetBasis, LinearForm
        from skfem.helpers import dot, grad

        triangles = self.mesh.triangles
        basis = Basis(triangles, ElementTriP1())
        slowness = self.mesh.speed**-1.0
        per_point = np.broadcast_to(slowness[:, None], basis.dx.shape)
        self._stiffness: Any = BilinearForm(lambda u, v, _: dot(grad(u), grad(v))).assemble(basis).tocsr()
        # A row's sum is the integral of its own test function: the basis functions add up to 1.
        self._mass: Floats = LinearForm(lambda v, w: w.slowness**2 * v).assemble(basis, slowness=per_point)
        self._damping: Floats = np.zeros_like(self._mass)
        if len(self.mesh.absorbing):
            border = FacetBasis(triangles, ElementTriP1(), facets=self.mesh.absorbing)
            beside = slowness[triangles.f2t[0, self.mesh.absorbing]]
            across = np.broadcast_to(beside[:, None], border.dx.shape)
            self._damping = LinearForm(lambda v, w: w.slowness * v).assemble(border, slowness=across)
        self.points = triangles.p
        self.largest_step_s = 2 / math.sqrt(float((np.ravel(abs(self._stiffness).sum(axis=1)) / self._mass).max()))

    def steps(
        self,
        dt_s: float,
        count: int,
        *,
        start: Callable[[Floats, Floats], Floats] | None = None,
        velocity: Callable[[Floats, Floats], Floats] | None = None,
        sources: tuple[RickerSource, ...] = (),
    ) -> Iterator[Floats]:
        """Fields at the nodes at times 0, dt, …, count·dt.

        Args:
            start, velocity: the field at time 0 and its rate of change, of x and y; 0 where None.

        Raises:
            UsageError: the step is too long to be stable, or a source lies outside.
        """
        if not 0 < dt_s < self.largest_step_s:
            raise UsageError(
                f"a time step of {dt_s:.3g} s",
                expected=f"below {self.largest_step_s:.3g} s (Courant, Friedrichs, Lewy)",
                advice="take a shorter step, or refine less",
            )
        loads = [(source, self._load(source)) for source in sources]
        mass, damping = self._mass / dt_s**2, self._damping / (2 * dt_s)
        zero = np.zeros(self.points.shape[1])
        now = zero if start is None else np.asarray(start(*self.points), np.float64)
        rate = zero if velocity is None else np.asarray(velocity(*self.points), np.float64)
        yield now
        # Half a step of acceleration gives the first one the same order as the rest.
        force = self._force(loads, 0.0) - self._stiffness @ now - self._damping * rate
        before, now = now, now + dt_s * rate + force / (2 * mass)
        for i in range(1, count + 1):
            yield now
            force = self._force(loads, i * dt_s) - self._stiffness @ now
            after = (force + mass * (2 * now - before) + damping * before) / (mass + damping)
            before, now = now, after

    def energy(self, before: Floats, now: Floats, dt_s: float) -> float:
        """Energy between two steps, which the scheme conserves exactly where nothing absorbs and no source works."""
        rate = (now - before) / dt_s
        return float(0.5 * rate @ (self._mass * rate) + 0.5 * now @ (self._stiffness @ before))

    def sample(self, field: Floats) -> NDArray[np.float32]:
        """A field at the centres of pixels, float32 (height, width), 0 outside the mask."""
        out = np.zeros(self.mesh.mask.shape, np.float32)
        out[self.mesh.mask] = field[self.mesh.centres]
        return out

    def _force(self, loads: list[tuple[RickerSource, Floats]], t_s: float) -> Floats:
        return sum((source.at(t_s) * load for source, load in loads), np.zeros(self.points.shape[1]))

    def _load(self, source: RickerSource) -> Floats:
        width, height = self.domain.size_m
        cut = any(shape.contains(np.array([source.x]), np.array([source.y])).any() for shape in self.domain.removed)
        if cut or not (0 <= source.x <= width and 0 <= source.y <= height):
            raise UsageError(f"{source}", expected="a source inside the domain")
        load = np.zeros(self.points.shape[1])
        load[np.hypot(self.points[0] - source.x, self.points[1] - source.y).argmin()] = 1.0
        return load
