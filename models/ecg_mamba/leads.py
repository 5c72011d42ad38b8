"""The twelve standard leads: their order, the names they go by, and the identities between limb leads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEADS", "LIMB_FROM_I_II", "complete_limb_leads", "standard_name"]

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
# Einthoven and Goldberger: I, II, III, aVR, aVL, aVF from (I, II).
LIMB_FROM_I_II = np.array([[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]])

# Spellings in public databases, in lower case. A modified limb lead (MLII) has its electrodes on the torso and differs
# in shape, but stands for lead II in every work on the databases that record it.
_ALIASES = {
    **{name.lower(): name for name in LEADS},
    **{f"lead {name}".lower(): name for name in LEADS},
    **{f"ecg {name}".lower(): name for name in LEADS},
    **{f"c{i}": f"V{i}" for i in range(1, 7)},
    "d1": "I",
    "d2": "II",
    "d3": "III",
    "di": "I",
    "dii": "II",
    "diii": "III",
    "vr": "aVR",
    "vl": "aVL",
    "vf": "aVF",
    "mli": "I",
    "mlii": "II",
    "mliii": "III",
}


def standard_name(description: str) -> str | None:
    """The standard lead that a header's description means, or None for anything else."""
    return _ALIASES.get(" ".join(description.lower().replace("_", " ").split()))


def complete_limb_leads(
    signal: NDArray[np.float64], present: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Limb leads that were not recorded, from any two that were: I + III = II and aVR + aVL + aVF = 0.

    Args:
        signal: mV, (12, N) in the order of `LEADS`.
        present: which leads hold a recording, (12,).

    Returns:
        A new signal and mask; unchanged with fewer than two limb leads.
    """
    known = np.flatnonzero(present[:6])
    if len(known) < 2 or len(known) == 6:
        return signal, present
    from_known = LIMB_FROM_I_II @ np.linalg.pinv(LIMB_FROM_I_II[known])
    signal, present = signal.copy(), present.copy()
    missing = np.flatnonzero(~present[:6])
    signal[missing] = from_known[missing] @ signal[known]
    present[:6] = True
    return signal, present
