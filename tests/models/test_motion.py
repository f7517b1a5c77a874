"""The motion front end: does the cost volume say how far the picture moved?"""

import math

import pytest
import torch
from torch.nn import functional as F

from models.motion import (
    COARSE_RADIUS,
    MotionEncoder,
    MotionFeatures,
    cost_volume,
    expected_shift,
    following,
    local_contrast,
)


def textured(side: int, seed: int = 0) -> torch.Tensor:
    """A smooth random picture (1, 1, side, side) in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 1, side // 2, side // 2, generator=generator)
    return F.interpolate(noise, size=(side, side), mode="bilinear")


def test_cost_volume_equals_a_loop_over_shifts() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 16, 16)
    padded = F.pad(y, (2, 2, 2, 2))
    expected = torch.stack(
        [F.avg_pool2d(x * padded[:, :, dy : dy + 16, dx : dx + 16], 2)[:, 0] for dy in range(5) for dx in range(5)], 1
    )
    torch.testing.assert_close(cost_volume(x, y, 2), expected)


@pytest.mark.parametrize("light", [1.0, 0.4], ids=["same light", "darker"])
@pytest.mark.parametrize(("down", "right"), [(0, 0), (3, -2), (-4, 4), (1, 0)])
def test_the_best_shift_is_the_motion(down: int, right: int, light: float) -> None:
    x = local_contrast(textured(32))
    y = local_contrast(light * torch.roll(textured(32), (down, right), dims=(2, 3)) + 0.1)
    volume = cost_volume(x, y, COARSE_RADIUS)
    best, span = int(volume[0, :, 1:-1, 1:-1].mean((1, 2)).argmax()), 2 * COARSE_RADIUS + 1
    assert (best // span - COARSE_RADIUS, best % span - COARSE_RADIUS) == (down, right)
    mean = COARSE_RADIUS * expected_shift(volume)[0, :, 1:-1, 1:-1].mean((1, 2))
    for shrunk, true in zip(mean.tolist(), (down, right), strict=True):  # a softmax mean leans towards zero
        assert 0.35 * abs(true) - 0.2 <= shrunk * math.copysign(1, true) <= abs(true) + 0.2


def test_each_window_ends_with_itself() -> None:
    assert following(torch.arange(6), 3).tolist() == [1, 2, 2, 4, 5, 5]


def test_volumes_look_one_frame_ahead_within_the_window() -> None:
    images = torch.rand(8, 3, 64, 64)
    volumes = torch.cat(MotionFeatures.volumes(images, length=4), dim=1)
    assert volumes.shape == (8, 106, 8, 8)
    assert not volumes.requires_grad
    changed = images.clone()
    changed[4] = torch.rand(3, 64, 64)
    moved = (torch.cat(MotionFeatures.volumes(changed, length=4), dim=1) - volumes).abs().amax((1, 2, 3)) > 1e-6
    assert moved.tolist() == [False] * 4 + [True] + [False] * 3


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    encoder = MotionEncoder((2, 2, 2), 16, conv3d_outchan=4, taps=5)
    mixed, motion = encoder(torch.randint(0, 256, (1, 3, 128, 128, 3), dtype=torch.uint8))
    assert (mixed.shape, motion.shape) == ((1, 3, 16), (1, 3, 256))
    mixed.square().sum().backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []
