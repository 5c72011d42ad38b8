"""Records of random scenes: forms, seeds, and the history of a zone's border."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("skfem", reason="scikit-fem comes with the extras data and dev")

from edgeconv.errors import UsageError
from edgeconv.models.oneway_wave import WaveConfig, Zone, draw_scene, simulate, simulate_many
from edgeconv.models.oneway_wave.dataset import GEOMETRIES

SMALL = WaveConfig(size=24, frames=12, frame_s=1 / 24)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_geometry_gives_fields_of_its_mask(geometry: str) -> None:
    config = WaveConfig(size=24, frames=12, frame_s=1 / 24, geometries=(geometry,))
    record = simulate(draw_scene(config, seed=4), config)
    assert record.fields.shape == (12, 24, 24)
    assert record.fields.dtype == np.float32
    assert np.abs(record.fields).max() == 1
    assert (record.mask.mean() < 1) == (geometry != "square")
    assert not record.fields[:, ~record.mask].any()
    assert np.array_equal(record.speed > 0, record.mask)
    assert record.boundary.values.shape == record.boundary.normal.shape == (12, 20)


def test_a_seed_gives_the_same_records_and_another_others() -> None:
    one, again, other = (simulate_many(SMALL, 2, seed) for seed in (0, 0, 1))
    for a, b in zip(one, again, strict=True):
        assert a.scene == b.scene
        assert np.array_equal(a.fields, b.fields)
    assert not np.array_equal(one[0].fields, one[1].fields)
    assert not np.array_equal(one[0].fields, other[0].fields)


def test_the_border_of_a_zone_is_walked_once_with_outward_derivatives() -> None:
    rows, columns = np.mgrid[:10, :12].astype(np.float32)
    zone = Zone(2, 3, 4, 5)
    history = zone.history((rows * 3 + columns)[None], pixel_m=0.5)
    ring = list(zip(*zone.ring(), strict=True))
    assert len(set(ring)) == len(ring) == 2 * (4 + 5) - 4
    assert ring[:5] == [(2, 3), (2, 4), (2, 5), (2, 6), (2, 7)]
    assert history.values[0].tolist() == [3 * r + c for r, c in ring]
    by_place = dict(zip(ring, history.normal[0].tolist(), strict=True))
    assert by_place[2, 4] == -6
    assert by_place[5, 4] == 6
    assert by_place[3, 3] == -2
    assert by_place[3, 7] == 2
    assert by_place[5, 7] == pytest.approx((6 + 2) / np.sqrt(2))


def test_a_zone_outside_the_medium_is_refused() -> None:
    mask = np.ones((8, 8), bool)
    Zone(1, 1, 6, 6).check(mask)
    mask[0, 0] = False
    for zone in (Zone(1, 1, 6, 6), Zone(2, 2, 6, 6)):
        with pytest.raises(UsageError, match="leaves the domain"):
            zone.check(mask)
    with pytest.raises(UsageError, match="a pixel between"):
        Zone(0, 1, 4, 4)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(UsageError, match="geometries torus"):
        WaveConfig(geometries=("torus",))
    with pytest.raises(UsageError, match="frames"):
        WaveConfig(frames=1)
    with pytest.raises(UsageError, match="at least 1"):
        simulate_many(SMALL, 0, 0)
