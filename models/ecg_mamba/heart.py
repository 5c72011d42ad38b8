"""The shape of one patient's beats: P, QRS, ST and T of normal, blocked and ectopic conduction as waves of a dipole.

Directions and durations follow the definitions of the AHA/ACCF/HRS recommendations (Surawicz et al., Circulation
119:e235, 2009, for conduction; Rautaharju et al., e241, for ST, T and QT): QRS >= 120 ms in complete bundle branch
block and 110 to 120 ms in incomplete, a broad notched R without q in I, V5, V6 for left, rsR' in V1 and a wide S in I
and V6 for right bundle branch block, repolarization opposite to the late forces in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.ecg_mamba.dipole import LEAD_VECTORS, Waves, join, render

__all__ = ["Conduction", "Heart", "HeartConfig", "ST_TERRITORIES", "make_heart"]

Floats = NDArray[np.float64]
Rng = np.random.Generator

Conduction = str  # "normal", "LBBB", "RBBB" or "IRBBB"
# Direction of the injury current (X, Y, Z): elevation where a lead looks at it, depression on the other side.
ST_TERRITORIES = {
    "inferior": (-0.15, 1.0, 0.15),
    "anterior": (0.25, 0.0, -1.0),
    "lateral": (1.0, -0.25, -0.1),
}
# Subendocardial ischaemia points from the apex to the cavity: depression in I, II, V4 to V6, elevation in aVR.
_ST_DEPRESSION = (-0.85, -0.5, 0.2)
_LIMB, _CHEST = slice(0, 6), slice(6, 12)
# Low voltage: no limb lead above 0.5 mV and no chest lead above 1 mV from peak to peak.
_LOW_LIMB_MV, _LOW_CHEST_MV = 0.5, 1.0


@dataclass(frozen=True)
class HeartConfig:
    """What a heart is to show.

    Attributes:
        conduction: "normal", "LBBB", "RBBB" or "IRBBB".
        axis_deg: frontal axis of the main QRS forces.
        amplitude_mv: R wave in the frontal lead along the axis.
        low_voltage: QRS below the limits of low voltage in all leads; otherwise above them in the limb leads.
        st: None, one of ST_TERRITORIES for elevation, or "depression".
        t_inversion: None, "anterior" (V1 to V4) or "lateral" (I, V4 to V6, II).
    """

    conduction: Conduction = "normal"
    axis_deg: float = 50.0
    amplitude_mv: float = 1.1
    low_voltage: bool = False
    st: str | None = None
    t_inversion: str | None = None


@dataclass(frozen=True, eq=False)
class Heart:
    """Waves of one patient; times from the onset of the P wave or of the QRS complex.

    Attributes:
        p, ectopic_p: atrial activity of the sinus node and of another focus.
        qrs, qrs_s: ventricular activity through the AV node, and its duration.
        st: between QRS and T.
        t_vector: dipole at the peak of T.
        premature, premature_s, premature_t: a ventricular premature beat, its duration, the dipole of its T.
    """

    p: Waves
    ectopic_p: Waves
    qrs: Waves
    qrs_s: float
    st: Waves
    t_vector: Floats
    premature: Waves
    premature_s: float
    premature_t: Floats


def make_heart(rng: Rng, config: HeartConfig) -> Heart:
    """Draw the details that the configuration leaves open."""
    qrs, duration, t_vector, st_vector = _CONDUCTION[config.conduction](rng, config)
    qrs, factor = _at_voltage(rng, qrs, duration, config.low_voltage)
    t_vector, st_vector = t_vector * factor**0.5, st_vector * factor**0.5 + 0.01 * rng.standard_normal(3)
    if config.st == "depression":
        st_vector = st_vector + rng.uniform(0.11, 0.24) * np.array(_ST_DEPRESSION)
        t_vector = t_vector * rng.uniform(0.2, 0.7)
    elif config.st:
        injury = np.array(ST_TERRITORIES[config.st]) * rng.uniform(0.17, 0.42)
        st_vector, t_vector = st_vector + injury, 0.6 * t_vector + rng.uniform(0.9, 1.5) * injury
    if config.t_inversion == "anterior":
        t_vector = np.array([-0.05, 0.12, 0.2]) * rng.uniform(0.8, 1.6) + 0.02 * rng.standard_normal(3)
    elif config.t_inversion == "lateral":
        t_vector = np.array([-0.26, -0.14, -0.05]) * rng.uniform(0.7, 1.4) + 0.02 * rng.standard_normal(3)
    premature, premature_s, premature_t = _premature(rng, config.amplitude_mv)
    return Heart(
        _p_wave(rng),
        _ectopic_p(rng),
        qrs,
        duration,
        _st(duration, st_vector),
        t_vector,
        premature,
        premature_s,
        premature_t,
    )


def _main_vector(axis_deg: float, amplitude_mv: float, z: float) -> Floats:
    """The dipole that shows `amplitude_mv` along a frontal axis and has this Z.

    The axis is that of leads I and aVF with aVF stretched by 2/√3, for augmented leads are recorded smaller.
    """
    axis = np.deg2rad(axis_deg)
    wanted = amplitude_mv * np.array([np.cos(axis), np.sqrt(3) / 2 * np.sin(axis)])
    frontal = LEAD_VECTORS[[0, 5]]
    return np.append(np.linalg.solve(frontal[:, :2], wanted - frontal[:, 2] * z), z)


def _normal_parts(rng: Rng, config: HeartConfig) -> tuple[Floats, Floats, Floats]:
    """Septal, main and basal vectors of normal activation: septum to the right and front, apex, then up and back."""
    size = config.amplitude_mv
    main = _main_vector(config.axis_deg, size, size * rng.uniform(0.2, 0.45))
    septal = size * np.array([-0.1, -0.02, -0.27]) * rng.uniform(0.7, 1.3)
    basal = size * np.array([-0.12, -0.16, 0.45]) * rng.uniform(0.7, 1.3)
    if config.axis_deg < -30:
        # Activation begins below and ends above the fascicle that is late: small r, deep S in II, III and aVF.
        septal[1] += 0.2 * size
        basal[1] -= 0.15 * size
    return septal, main, basal


_Shape = tuple[Waves, float, Floats, Floats]


def _normal(rng: Rng, config: HeartConfig) -> _Shape:
    d = rng.uniform(0.078, 0.102)
    septal, main, basal = _normal_parts(rng, config)
    qrs = Waves.of(
        [
            (0.2 * d, 0.09 * d, 0.09 * d, septal),
            (0.47 * d, 0.13 * d, 0.13 * d, main),
            (0.78 * d, 0.1 * d, 0.1 * d, basal),
        ]
    )
    return qrs, d, _normal_t(rng, config), np.array([0.03, 0.02, -0.04]) * rng.uniform(0, 1)


def _normal_t(rng: Rng, config: HeartConfig) -> Floats:
    """T follows the main axis at a distance and points to the front."""
    axis = 45 + 0.35 * (config.axis_deg - 45) + 10 * rng.standard_normal()
    size = rng.uniform(0.2, 0.34)
    return _main_vector(axis, size, -size * rng.uniform(0.3, 0.8))


def _left_block(rng: Rng, config: HeartConfig) -> _Shape:
    d, size = rng.uniform(0.128, 0.17), config.amplitude_mv
    axis = min(config.axis_deg, rng.uniform(0, 50))  # the last to be reached is the left free wall
    late = _main_vector(axis, 0.7 * size, size * rng.uniform(0.6, 0.9))
    early = _main_vector(axis, 0.65 * size, size * rng.uniform(0.4, 0.6))
    begin = 0.25 * late + np.array([0, 0, -0.1 * size * rng.uniform(0, 1)])
    qrs = Waves.of(
        [
            (0.16 * d, 0.075 * d, 0.1 * d, begin),
            (0.4 * d, 0.11 * d, 0.13 * d, early),
            (0.69 * d, 0.13 * d, 0.13 * d, late),
        ]
    )
    opposite = -(early + late) / 2
    return qrs, d, opposite * rng.uniform(0.24, 0.36), opposite * rng.uniform(0.08, 0.13)


def _right_block(rng: Rng, config: HeartConfig) -> _Shape:
    d, size = rng.uniform(0.124, 0.158), config.amplitude_mv
    septal, main, basal = _normal_parts(rng, config)
    late = size * np.array([-0.46, -0.06, -0.62]) * rng.uniform(0.75, 1.25)
    qrs = Waves.of(
        [
            (0.13 * d, 0.055 * d, 0.06 * d, septal),
            (0.31 * d, 0.085 * d, 0.085 * d, main),
            (0.5 * d, 0.06 * d, 0.06 * d, 0.7 * basal),
            (0.73 * d, 0.11 * d, 0.125 * d, late),
        ]
    )
    t_vector = _normal_t(rng, config)
    t_vector[2] = size * rng.uniform(0.08, 0.2)
    return qrs, d, t_vector, -0.06 * late


def _incomplete_right_block(rng: Rng, config: HeartConfig) -> _Shape:
    d, size = rng.uniform(0.103, 0.117), config.amplitude_mv
    septal, main, basal = _normal_parts(rng, config)
    late = size * np.array([-0.22, -0.03, -0.45]) * rng.uniform(0.8, 1.25)
    qrs = Waves.of(
        [
            (0.16 * d, 0.07 * d, 0.07 * d, septal),
            (0.38 * d, 0.105 * d, 0.105 * d, main),
            (0.58 * d, 0.065 * d, 0.065 * d, 0.75 * basal),
            (0.81 * d, 0.085 * d, 0.085 * d, late),
        ]
    )
    t_vector = _normal_t(rng, config)
    t_vector[2] = rng.uniform(-0.08, 0.03)
    return qrs, d, t_vector, np.zeros(3)


_CONDUCTION = {"normal": _normal, "LBBB": _left_block, "RBBB": _right_block, "IRBBB": _incomplete_right_block}


def _at_voltage(rng: Rng, qrs: Waves, duration: float, low: bool) -> tuple[Waves, float]:
    """Scale a QRS below the limits of low voltage, or above that of the limb leads; returns the factor, too."""
    leads = LEAD_VECTORS @ render(qrs, 200, 1000)
    height = leads.max(axis=1) - leads.min(axis=1)
    limb, chest = height[_LIMB].max(), height[_CHEST].max()
    if low:
        factor = min(rng.uniform(0.55, 0.94) * _LOW_LIMB_MV / limb, rng.uniform(0.7, 0.94) * _LOW_CHEST_MV / chest)
    else:
        factor = max(1.0, rng.uniform(1.2, 1.6) * _LOW_LIMB_MV / limb)
    return qrs.scaled(factor), float(factor)


def _st(qrs_s: float, vector: Floats) -> Waves:
    """A plateau from the J point into the T wave."""
    return Waves.of([(qrs_s + at, width, width, vector * part) for at, width, part in _PLATEAU])


_PLATEAU = ((0.02, 0.02, 0.55), (0.06, 0.03, 0.65), (0.11, 0.035, 0.6))


def _p_wave(rng: Rng) -> Waves:
    """The right atrium (down and to the front), then the left (to the left and back): biphasic in V1."""
    size, stretch = rng.uniform(0.75, 1.35), rng.uniform(0.88, 1.12)
    right = size * np.array([0.035, 0.095, -0.065]) + 0.006 * rng.standard_normal(3)
    left = size * np.array([0.075, 0.055, 0.05]) + 0.006 * rng.standard_normal(3)
    return Waves.of([(0.034 * stretch, 0.015, 0.017, right), (0.068 * stretch, 0.017, 0.017, left)])


def _ectopic_p(rng: Rng) -> Waves:
    """From low in the atria (inverted in II, III and aVF) or from another focus: small, and not the sinus wave."""
    low = rng.uniform() < 0.5
    vector = np.array([0.05, -0.1, 0.03] if low else [-0.08, 0.06, -0.09]) * rng.uniform(0.8, 1.4)
    return Waves.of([(0.03, 0.014, 0.015, vector), (0.058, 0.014, 0.015, 0.7 * vector)])


def _premature(rng: Rng, size: float) -> tuple[Waves, float, Floats]:
    """Wide and large, from the right ventricle (like left bundle branch block) or the left (like right)."""
    d = rng.uniform(0.138, 0.175)
    sources = ([0.35, 1.1, 0.75], [0.75, -0.6, 0.7], [-0.7, 0.9, -0.8], [-0.5, -0.9, -0.85])
    vector = np.array(sources[int(rng.integers(4))]) * max(size, 0.8) * rng.uniform(0.85, 1.25)
    vector = vector + 0.12 * rng.standard_normal(3)
    turned = vector + 0.3 * rng.standard_normal(3)
    qrs = Waves.of([(0.36 * d, 0.13 * d, 0.14 * d, 0.85 * vector), (0.68 * d, 0.14 * d, 0.13 * d, 0.6 * turned)])
    discordant = Waves.of([(d + at, width, width, -0.13 * part * vector) for at, width, part in _PLATEAU])
    return join([qrs, discordant]), d, -vector * rng.uniform(0.28, 0.4)
