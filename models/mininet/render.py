"""Pictures and depth of a scene by casting one ray a pixel at planes, boxes and ellipsoids: exact depth, no mesh.

Each thing is tested only on the pixels of the rectangle it projects to, so a frame of 128 × 416 pixels takes tens of
milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.mininet.camera import Camera
from edgeconv.models.mininet.ground import ground_reflectance
from edgeconv.models.mininet.scene import Kind, Scene
from edgeconv.models.mininet.shadow import sunlit
from edgeconv.models.mininet.texture import noise, stripes

__all__ = ["Hits", "cast", "depth_map", "picture"]

Floats = NDArray[np.float64]

_SKY = -2
_GROUND = -1
_NEAR = 0.3  # metres; nothing nearer is met


@dataclass(frozen=True)
class Hits:
    """What each ray meets first.

    Attributes:
        depth: (rays,) multiples of the ray; with rays of z = 1 the depth in metres; inf for the sky.
        thing: (rays,) index into the scene's things, -1 for the ground, -2 for the sky.
    """

    depth: Floats
    thing: NDArray[np.int64]


def cast(
    scene: Scene, origin: Floats, rays: Floats, time_s: float, *, rectangles: NDArray[np.int64] | None = None
) -> Hits:
    """First hits of rays (height, width, 3) in world axes from one origin (3,).

    Args:
        rectangles: (things, 4) first row, row after the last, first and after-last column of the rays that may meet
            each thing; None tests all rays.
    """
    height, width = rays.shape[:2]
    depth = np.full((height, width), np.inf)
    thing = np.full((height, width), _SKY)
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = -origin[1] / rays[..., 1]
    meets = (ground > _NEAR) & np.isfinite(ground)
    depth[meets], thing[meets] = ground[meets], _GROUND
    centres = scene.centres_at(time_s) - origin
    for index in range(len(centres)):
        top, bottom, left, right = (0, height, 0, width) if rectangles is None else rectangles[index]
        if top >= bottom or left >= right:
            continue
        part = (slice(top, bottom), slice(left, right))
        meet = _meet_ellipsoid if scene.kinds[index] == Kind.CROWN else _meet_box
        at = meet(rays[part], centres[index], scene.halves[index])
        nearer = at < depth[part]
        depth[part] = np.where(nearer, at, depth[part])
        thing[part] = np.where(nearer, index, thing[part])
    return Hits(depth.reshape(-1), thing.reshape(-1))


def _meet_box(rays: Floats, centre: Floats, half: Floats) -> Floats:
    """Where rays from the origin enter a box; inf where they miss (the slab method of Kay and Kajiya, 1986)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (centre - half) / rays, (centre + half) / rays
    enter = np.minimum(one, other).max(-1)
    leave = np.maximum(one, other).min(-1)
    return np.where((enter <= leave) & (enter > _NEAR), enter, np.inf)


def _meet_ellipsoid(rays: Floats, centre: Floats, half: Floats) -> Floats:
    d, c = rays / half, centre / half
    a, b = (d * d).sum(-1), d @ c
    root = b * b - a * (c @ c - 1)
    enter = (b - np.sqrt(np.maximum(root, 0))) / a
    return np.where((root >= 0) & (enter > _NEAR), enter, np.inf)


def depth_map(scene: Scene, camera: Camera, pose: Floats, time_s: float = 0.0) -> NDArray[np.float32]:
    """Depth (height, width) in metres along the optical axis through pixel centres; inf for the sky.

    Args:
        pose: 4 × 4, camera to world.
    """
    hits = cast(
        scene, pose[:3, 3], camera.rays() @ pose[:3, :3].T, time_s, rectangles=_rectangles(scene, camera, pose, time_s)
    )
    return hits.depth.reshape(camera.height, camera.width).astype(np.float32)


def picture(scene: Scene, camera: Camera, pose: Floats, time_s: float = 0.0, *, supersample: int = 2) -> Floats:
    """Radiance (height, width, 3), about 0 to 1, each pixel the mean of supersample² rays."""
    fine = camera.resized(camera.width * supersample, camera.height * supersample)
    rays = (fine.rays() @ pose[:3, :3].T).reshape(fine.height, fine.width, 3)
    hits = cast(scene, pose[:3, 3], rays, time_s, rectangles=_rectangles(scene, fine, pose, time_s))
    colours = _shade(scene, hits, pose[:3, 3], rays.reshape(-1, 3), time_s, 1 / camera.fx)
    shape = (camera.height, supersample, camera.width, supersample, 3)
    return colours.reshape(shape).mean((1, 3)) * scene.exposure


def _rectangles(scene: Scene, camera: Camera, pose: Floats, time_s: float) -> NDArray[np.int64]:
    """Rows and columns that each thing projects into; the whole image where a part of it is behind the camera."""
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    corners = scene.centres_at(time_s)[:, None] + signs * scene.halves[:, None]
    local = (corners - pose[:3, 3]) @ pose[:3, :3]
    z = local[..., 2]
    whole = np.array([0, camera.height, 0, camera.width])
    x = local[..., 0] / np.maximum(z, _NEAR) * camera.fx + camera.cx
    y = local[..., 1] / np.maximum(z, _NEAR) * camera.fy + camera.cy
    found = np.stack([y.min(1), y.max(1) + 2, x.min(1), x.max(1) + 2], 1)
    limits = np.repeat([camera.height, camera.width], 2)
    rectangles = np.clip(np.floor(found), 0, limits).astype(np.int64)
    rectangles[(z < _NEAR).any(1)] = whole
    rectangles[(z < _NEAR).all(1)] = 0
    return rectangles


def _shade(scene: Scene, hits: Hits, origin: Floats, rays: Floats, time_s: float, pixel: float) -> Floats:
    """Colour of each ray.

    Args:
        pixel: width of a pixel at depth 1.
    """
    colours = np.empty((len(rays), 3))
    sky = hits.thing == _SKY
    colours[sky] = _sky(scene, rays[sky])
    solid = np.flatnonzero(~sky)
    thing, depth = hits.thing[solid], hits.depth[solid]
    points = origin + depth[:, None] * rays[solid]
    ground = thing == _GROUND
    normals = np.zeros((len(solid), 3))
    normals[ground, 1] = -1
    reflectance = np.empty((len(solid), 3))
    lengths = np.linalg.norm(rays[solid], axis=1)
    across = depth[ground] * pixel
    slant = np.abs(rays[solid][ground, 1]) / lengths[ground]
    reflectance[ground] = ground_reflectance(scene, points[ground], across, across / np.maximum(slant, 0.02))
    standing = np.flatnonzero(~ground)
    if len(standing):
        which = thing[standing]
        local = points[standing] - scene.centres_at(time_s)[which]
        normals[standing] = _normals(scene, which, local)
        reflectance[standing] = _surface(
            scene, which, local, normals[standing], rays[solid][standing], depth[standing] * pixel
        )
    direct, diffuse = np.maximum(normals @ scene.sun, 0), np.ones(len(solid))
    bright, diffuse[ground] = sunlit(scene, points[ground], time_s)
    direct[ground] *= bright
    light = scene.ambient * diffuse + (1 - scene.ambient) * direct / 0.8
    colours[solid] = _hazy(reflectance * light[:, None], depth, scene)
    return colours


def _hazy(colours: Floats, depth: Floats, scene: Scene) -> Floats:
    clear = np.exp(-depth / 400.0)[:, None]
    return colours * clear + scene.sky_colour * (1 - clear)


def _sky(scene: Scene, rays: Floats) -> Floats:
    up = np.clip(-rays[:, 1] / np.linalg.norm(rays, axis=1), 0, 1)
    far = 1 / np.maximum(up, 0.05)
    u, v = rays[:, 0] * far, rays[:, 2] * far
    seeds = np.full(len(rays), scene.seed)
    clouds = noise(u, v, seeds, np.full(len(rays), 0.01), wavelength=6.0, octaves=3)
    return scene.sky_colour * (0.85 + 0.15 * up[:, None]) * (1 + 0.07 * clouds[:, None])


def _normals(scene: Scene, which: NDArray[np.int64], local: Floats) -> Floats:
    """Outward unit normals: of the face that a point of a box lies on, or of the ellipsoid."""
    relative = local / scene.halves[which]
    normals = np.zeros_like(local)
    face = np.abs(relative).argmax(1)
    rows = np.arange(len(local))
    normals[rows, face] = np.sign(relative[rows, face])
    round_ = scene.kinds[which] == Kind.CROWN
    bulge = relative[round_] / scene.halves[which][round_]
    normals[round_] = bulge / np.linalg.norm(bulge, axis=1, keepdims=True)
    return normals


def _surface(
    scene: Scene, which: NDArray[np.int64], local: Floats, normals: Floats, rays: Floats, pixel: Floats
) -> Floats:
    """Reflectance of things: windows on buildings and cars, bark, leaves."""
    kinds, seeds, colours = scene.kinds[which], scene.seeds[which], scene.colours[which].copy()
    cosine = np.abs((normals * rays).sum(1)) / np.linalg.norm(rays, axis=1)
    footprint = pixel / np.maximum(cosine, 0.05)
    across = np.abs(normals[:, 0]) > 0.5
    u = np.where(across, local[:, 2], local[:, 0])
    v = np.where(np.abs(normals[:, 1]) > 0.5, local[:, 2], local[:, 1])
    rough = 0.16 * noise(u, v, seeds, footprint, wavelength=1.0) + 0.12 * noise(
        u, v, seeds + 5, footprint, wavelength=5.0
    )
    leaves = kinds == Kind.CROWN
    ball = local[leaves]
    rough[leaves] = 0.5 * noise(
        ball[:, 0] + 0.6 * ball[:, 1], ball[:, 2] - 0.7 * ball[:, 1], seeds[leaves], footprint[leaves], wavelength=0.6
    )
    colours *= 1 + rough[:, None]
    walls = (kinds == Kind.BUILDING) & (np.abs(normals[:, 1]) < 0.5)
    if walls.any():
        glass = _windows(u[walls], v[walls], seeds[walls], footprint[walls])
        colours[walls] = colours[walls] * (1 - glass[:, None]) + 0.12 * glass[:, None]
    return np.clip(colours, 0.01, 1.0)


def _windows(u: Floats, v: Floats, seeds: NDArray[np.int64], footprint: Floats) -> Floats:
    """Coverage with windows: a grid whose pitch differs between buildings, panes 55 % wide and 45 % high."""
    share = np.zeros_like(u)
    pitches = 1.6 + 0.4 * (seeds % 5)
    for pitch in np.unique(pitches):
        chosen = pitches == pitch
        columns = stripes(u[chosen], pitch, 0.55, footprint[chosen])
        rows = stripes(v[chosen], 3.0, 0.45, footprint[chosen])
        share[chosen] = columns * rows
    return share
