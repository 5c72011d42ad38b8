"""One short synthetic drive for all tests of the family."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeconv.models.mininet.drive import DriveConfig, write_drives

pytest.importorskip("PIL", reason="Pillow comes with the extras report and data")

CONFIG = DriveConfig(width=208, height=64, frames=5)
SEED = 3


@pytest.fixture(scope="session")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of one drive of `CONFIG`."""
    folder = tmp_path_factory.mktemp("drives")
    write_drives(folder, CONFIG, 1, SEED)
    return folder
