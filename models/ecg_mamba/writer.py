"""Records on disk as the PhysioNet/CinC Challenges 2020 and 2021 distribute them: .hea and MATLAB version 4 .mat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.ecg_mamba.leads import LEADS
from edgeconv.models.ecg_mamba.samples import MAT_HEADER_BYTES, mat_header, wfdb_checksum

__all__ = ["write_record"]


def write_record(
    folder: str | Path,
    name: str,
    adc: NDArray[np.int16],
    rate_hz: int,
    *,
    gain: float = 1000.0,
    baseline: int = 0,
    codes: Sequence[str] = (),
    age: int | None = None,
    sex: str | None = None,
    leads: Sequence[str] = LEADS,
) -> Path:
    """Write one record; the comments are those of the challenges.

    Args:
        adc: int16 (leads, N).
        gain, baseline: mV = (adc - baseline) / gain, for all leads.
        codes: SNOMED codes; without any, the comment Dx is left out.
        sex: "F", "M" or None.

    Returns:
        The path of the header.
    """
    folder = Path(folder)
    samples = np.ascontiguousarray(adc.T, "<i2")
    (folder / f"{name}.mat").write_bytes(mat_header(*adc.shape) + samples.tobytes())
    scale = f"{gain:g}({baseline})/mV"
    lines = [f"{name} {len(adc)} {rate_hz} {adc.shape[1]}"]
    for lead, first, total in zip(leads, adc[:, 0], wfdb_checksum(adc), strict=True):
        lines.append(f"{name}.mat 16+{MAT_HEADER_BYTES} {scale} 16 0 {first} {total} 0 {lead}")
    lines += [
        f"#Age: {'NaN' if age is None else age}",
        f"#Sex: { {'F': 'Female', 'M': 'Male'}.get(sex or '', 'Unknown') }",
        *([f"#Dx: {','.join(codes)}"] if codes else []),
        "#Rx: Unknown",
        "#Hx: Unknown",
        "#Sx: Unknown",
    ]
    path = folder / f"{name}.hea"
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path
