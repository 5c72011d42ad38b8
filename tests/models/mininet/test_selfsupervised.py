"""View synthesis: true depth and motion explain a neighbouring picture, wrong ones do not, and the loss knows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from edgeconv.models.mininet.config import LossWeights  # noqa: E402
from edgeconv.models.mininet.kitti import find_drives  # noqa: E402
from edgeconv.models.mininet.network import FARTHEST, NEAREST  # noqa: E402
from edgeconv.models.mininet.selfsupervised import (  # noqa: E402
    PoseNet,
    Projector,
    dissimilarity,
    inverse_motion,
    motion_matrix,
    smoothness,
    triplet_loss,
    window_means,
)

pytestmark = pytest.mark.needs_torch


def test_a_quarter_turn_about_z() -> None:
    matrix = motion_matrix(torch.tensor([[0, 0, np.pi / 2, 1, 2, 3]], dtype=torch.float64))[0]
    expected = [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3]]
    assert np.abs(matrix.numpy() - expected).max() < 1e-12


def test_rotations_are_rotations_and_nothing_is_the_identity() -> None:
    motions = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (20, 6)))
    turn = motion_matrix(motions)[:, :, :3]
    assert np.abs((turn @ turn.transpose(1, 2) - torch.eye(3)).numpy()).max() < 1e-12
    assert np.abs(np.linalg.det(turn.numpy()) - 1).max() < 1e-12
    assert torch.equal(motion_matrix(torch.zeros(1, 6))[0, :, :3], torch.eye(3))


def test_standing_still_warps_a_picture_to_itself() -> None:
    picture = torch.rand(1, 3, 12, 20)
    projector = Projector(torch.tensor([[15.0, 0, 9.5], [0, 15, 5.5], [0, 0, 1]]), 12, 20)
    motion = torch.eye(4)[None, :3]
    warped = projector.warp(picture, torch.rand(1, 1, 12, 20) * 10 + 1, motion)
    assert np.abs((warped - picture).numpy()).max() < 1e-4


def test_equal_pictures_are_not_dissimilar() -> None:
    one, other = torch.rand(2, 1, 3, 8, 8)
    assert dissimilarity(one, one, LossWeights()).abs().max() < 1e-6
    assert dissimilarity(one, other, LossWeights()).mean() > 0.1


def test_windows_are_averaged_as_torch_does_and_gradients_follow() -> None:
    one, other = (torch.rand(2, 5, 9, 12, dtype=torch.float64, requires_grad=True) for _ in range(2))
    torch.testing.assert_close(window_means(one), torch.nn.functional.avg_pool2d(one, 3, 1))
    weights = torch.rand(2, 5, 7, 10, dtype=torch.float64)
    (found,) = torch.autograd.grad((window_means(other) * weights).sum(), other)
    (expected,) = torch.autograd.grad((torch.nn.functional.avg_pool2d(other, 3, 1) * weights).sum(), other)
    torch.testing.assert_close(found, expected)


def test_flat_disparity_is_smooth_and_edges_of_the_picture_excuse_steps() -> None:
    flat, step = torch.full((1, 1, 4, 8), 0.3), torch.full((1, 1, 4, 8), 0.3)
    step[..., 4:] = 0.6
    grey, edged = torch.full((1, 3, 4, 8), 0.2), torch.full((1, 3, 4, 8), 0.2)
    edged[..., 4:] = 0.9
    assert smoothness(flat, grey) == 0
    assert 0 < smoothness(step, edged) < smoothness(step, grey)


def test_true_depth_and_motion_have_a_lower_loss_than_wrong_ones(drives: Path) -> None:
    (drive,) = find_drives(drives)
    camera, poses = drive.calibration.camera, drive.poses()

    def picture(index: int) -> torch.Tensor:
        return torch.from_numpy(drive.image(index)).permute(2, 0, 1)[None].float() / 255

    def loss(depth_factor: float, motion_factor: float) -> float:
        depth = np.where(drive.dense_depth(2) > 0, drive.dense_depth(2), FARTHEST) * depth_factor
        nearness = np.clip(np.log(depth / FARTHEST) / np.log(NEAREST / FARTHEST), 0, 1)
        level = torch.from_numpy(nearness).float()[None, None]
        motions = []
        for other in (1, 3):
            relative = np.linalg.inv(poses[other]) @ poses[2]
            relative[:3, 3] *= motion_factor
            motions.append(torch.from_numpy(relative[None, :3]).float())
        torch.manual_seed(0)
        projector = Projector(torch.from_numpy(camera.matrix), camera.height, camera.width)
        return triplet_loss([level], motions, picture(2), [picture(1), picture(3)], projector, LossWeights()).item()

    right = loss(1.0, 1.0)
    assert right < 0.8 * min(loss(2.0, 1.0), loss(0.5, 1.0))
    # Depth and motion share one unknown factor.
    assert abs(loss(2.0, 2.0) / right - 1) < 0.05


def test_pose_network_starts_from_standing_still() -> None:
    motion = PoseNet()(torch.rand(2, 3, 64, 96), torch.rand(2, 3, 64, 96))
    assert motion.shape == (2, 6)
    assert not motion.any()


def test_what_does_not_move_is_left_out_where_asked() -> None:
    """Seen from a car that stands, nothing is wrong with any depth."""
    torch.manual_seed(0)
    picture, level = torch.rand(1, 3, 16, 32), torch.full((1, 1, 16, 32), 0.5)
    motions = [motion_matrix(torch.tensor([[0, 0, 0, 0, 0, way]])) for way in (1.5, -1.5)]
    projector = Projector(torch.tensor([[30.0, 0, 15.5], [0, 30, 7.5], [0, 0, 1]]), 16, 32)

    def loss(leave_unmoved: bool) -> float:
        weights = LossWeights(leave_unmoved=leave_unmoved)
        return triplet_loss([level], motions, picture, [picture, picture], projector, weights).item()

    assert loss(True) < 1e-4 < 0.05 < loss(False)


def test_half_a_picture_is_warped_as_the_whole_one() -> None:
    """A smooth picture, so that warping and averaging two by two may change places."""
    torch.manual_seed(0)
    coarse = torch.rand(1, 3, 4, 8)
    picture = torch.nn.functional.interpolate(coarse, (48, 96), mode="bicubic")
    projector = Projector(torch.tensor([[60.0, 0, 47], [0, 60, 20], [0, 0, 1]]), 48, 96)
    motion = motion_matrix(torch.tensor([[0, 0.02, 0, 0.3, 0, -0.5]]))
    whole = projector.warp(picture, torch.full((1, 1, 48, 96), 8.0), motion)
    half = projector.halved().warp(torch.nn.functional.avg_pool2d(picture, 2), torch.full((1, 1, 24, 48), 8.0), motion)
    difference = (torch.nn.functional.avg_pool2d(whole, 2) - half).abs()[..., 3:-3, 3:-3].max()
    assert difference < 0.25 * (picture - whole)[..., 6:-6, 6:-6].abs().max()
    assert difference < 0.02


def test_there_and_back_is_nothing() -> None:
    there = motion_matrix(torch.from_numpy(np.random.default_rng(0).normal(0, 1, (5, 6))))
    back = inverse_motion(there)
    assert torch.allclose(back[:, :, :3] @ there[:, :, 3:] + back[:, :, 3:], torch.zeros(5, 3, 1).double())
    assert torch.allclose(back[:, :, :3] @ there[:, :, :3], torch.eye(3).double())


def test_each_picture_has_its_own_camera() -> None:
    cameras = torch.tensor([[[15.0, 0, 9.5], [0, 15, 5.5], [0, 0, 1]], [[30.0, 0, 8], [0, 30, 5], [0, 0, 1]]])
    picture, depth = torch.rand(2, 3, 12, 20), torch.rand(2, 1, 12, 20) * 10 + 1
    motion = motion_matrix(torch.tensor([[0, 0.01, 0, 0.2, 0, 0.5]]).repeat(2, 1))
    both = Projector(cameras, 12, 20).warp(picture, depth, motion)
    for i in range(2):
        alone = Projector(cameras[i], 12, 20).warp(picture[i : i + 1], depth[i : i + 1], motion[i : i + 1])
        torch.testing.assert_close(both[i : i + 1], alone)
