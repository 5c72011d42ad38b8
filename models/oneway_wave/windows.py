"""Stretches of simulated records in which no source works, for training and judging, kept in a file once simulated."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError
from edgeconv.models.oneway_wave.dataset import WaveConfig, WaveRecord, draw_scene, simulate
from edgeconv.models.oneway_wave.zone import Zone
from edgeconv.quantize.files import write_whole

__all__ = ["WaveData", "load_data"]

_LOG = logging.getLogger(__name__)
# Periods of a Ricker wavelet, whose peak comes after one, until it is below 10⁻³ of its peak.
_QUIET_PERIODS = 2.0


@dataclass(frozen=True)
class WaveData:
    """Records of one size.

    Attributes:
        fields: float32 (records, time, height, width).
        medium: float32 (records, 2, height, width): the wave's speed, 0 where there is no medium; and 1 on the pixels
            at a side that absorbs, else 0.
        quiet: (records,) the first frame at which no source works.
        zone: whose border is forecast, the same in all records.
        pixel_m: edge of a pixel.
    """

    fields: NDArray[np.float32]
    medium: NDArray[np.float32]
    quiet: NDArray[np.int64]
    zone: Zone
    pixel_m: float = field(default=0.0)

    def starts(self, frames: int) -> list[tuple[int, int]]:
        """Record and first frame of every stretch of so many quiet frames.

        Raises:
            UsageError: there is none.
        """
        last = self.fields.shape[1] - frames
        found = [(record, start) for record, quiet in enumerate(self.quiet) for start in range(quiet, last + 1)]
        if not found:
            raise UsageError(
                f"none of {len(self.quiet)} records has {frames} frames without a source at work",
                advice="simulate longer records (waves.frames), or more of them",
            )
        return found

    def windows(self, starts: list[tuple[int, int]], frames: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Fields (N, frames, height, width) and media (N, 2, height, width) of stretches."""
        records = [record for record, _ in starts]
        fields = np.stack([self.fields[record, start : start + frames] for record, start in starts])
        return fields, self.medium[records]


def load_data(config: WaveConfig, records: int, seed: int, folder: str | Path | None = None) -> WaveData:
    """Simulated records, read from a file that an earlier call with the same arguments wrote.

    Args:
        folder: of such files; `$EDGECONV_CACHE` or `~/.cache/edgeconv` when None. One that cannot be written is no
            error: the records are simulated again next time.

    Raises:
        ToolError: nothing is there yet and scikit-fem is not installed.
    """
    key: dict[str, Any] = {"config": asdict(config), "records": records, "seed": seed, "version": 2}
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = Path(folder or os.environ.get("EDGECONV_CACHE") or Path.home() / ".cache" / "edgeconv") / f"waves-{name}.npz"
    if not path.is_file():
        _LOG.info("simulating %d records of waves", records)
        _write(path, config, records, seed)
    with np.load(path) as stored:
        zone = Zone(*(int(value) for value in stored["zone"]))
        return WaveData(stored["fields"], stored["medium"], stored["quiet"], zone, 1 / config.size)


def _write(path: Path, config: WaveConfig, count: int, seed: int) -> None:
    import io

    seeds = np.random.SeedSequence(seed).generate_state(count)
    records = [simulate(draw_scene(config, int(one)), config) for one in seeds]
    quiet = []
    for record in records:
        periods = [_QUIET_PERIODS / source.frequency_hz for source in record.scene.sources]
        quiet.append(math.ceil(max(periods, default=0.0) / config.frame_s))
    zone = records[0].scene.zone
    buffer = io.BytesIO()
    np.savez(
        buffer,
        fields=np.stack([record.fields for record in records]),
        medium=np.stack([[record.speed * record.mask, _absorbing(record)] for record in records]),
        quiet=np.array(quiet),
        zone=np.array([zone.row, zone.column, zone.height, zone.width]),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, buffer.getvalue())


def _absorbing(record: WaveRecord) -> NDArray[np.float32]:
    """1 on the pixels of the medium at sides that absorb. Row 0 is the bottom, column 0 the left."""
    marked = np.zeros(record.mask.shape, np.float32)
    sides = {"left": marked[:, 0], "right": marked[:, -1], "bottom": marked[0], "top": marked[-1]}
    for side in record.scene.domain.absorbing:
        sides[side][:] = 1
    return marked * record.mask
