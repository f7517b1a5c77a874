"""The motion front end: do its maps say how far the picture moved?"""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.motion import (
    FLOW_GAIN,
    GRID,
    MAPS,
    SCALES,
    SHARPNESS,
    MotionEncoder,
    OverTime,
    cost_volume,
    episode_maps,
    flow_maps,
    local_contrast,
    mirrored_maps,
    motion_maps,
    standing_out,
)


def textured(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """A smooth random picture (1, 3, height, width) in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 3, height // 2, width // 2, generator=generator)
    return F.interpolate(noise, size=(height, width), mode="bilinear")


def played(length: int, seed: int = 0) -> torch.Tensor:
    """Frames uint8 (1, length, 128, 128, 3) of a textured picture that moves 4 pixels to the left at each step."""
    picture = (textured(128, 128, seed)[0].permute(1, 2, 0) * 255).to(torch.uint8)
    return torch.stack([torch.roll(picture, -4 * i, dims=1) for i in range(length)])[None]


def test_cost_volume_equals_a_loop_over_shifts() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2, 3, 32, 64), torch.randn(2, 3, 32, 64)
    padded = F.pad(y, (2, 2, 1, 1))
    expected = []
    for dy in range(3):
        for dx in range(5):
            product = (x * padded[:, :, dy : dy + 32, dx : dx + 64]).sum(1)
            expected.append(product[:, 9:13, 18:26].mean((1, 2)))  # cell (5, 5): rows 10, 11, columns 20..23, margins
    torch.testing.assert_close(cost_volume(x, y, (1, 2))[:, :, 5, 5], torch.stack(expected, 1))


@pytest.mark.parametrize("light", [1.0, 0.4], ids=["same light", "darker"])
@pytest.mark.parametrize(("down", "right"), [(0, 0), (3, -2), (-5, 10), (1, 0)])
def test_the_best_shift_is_the_motion(down: int, right: int, light: float) -> None:
    rows, columns = SCALES[0].radius
    x = local_contrast(textured(32, 64))
    y = local_contrast(light * torch.roll(textured(32, 64), (down, right), dims=(2, 3)) + 0.1)
    volume = cost_volume(x, y, (rows, columns))[0, :, 4:-4, 4:-4].mean((1, 2))
    best, span = int(volume.argmax()), 2 * columns + 1
    assert (best // span - rows, best % span - columns) == (down, right)


def test_maps_look_one_frame_ahead_and_know_nothing_after_the_last() -> None:
    frames = torch.randint(0, 256, (2, 4, 128, 128, 3), dtype=torch.uint8)
    maps = motion_maps(frames)
    assert maps.shape == (2, 4, MAPS, GRID, GRID)
    assert not maps[:, -1].any()
    changed = frames.clone()
    changed[1, 2] = 255 - changed[1, 2]
    moved = (motion_maps(changed) - maps).abs().amax((2, 3, 4)) > 1e-6
    assert moved.tolist() == [[False] * 4, [False, True, True, False]]


def test_maps_of_an_episode_are_those_of_one_long_window() -> None:
    frames = played(40)
    whole = motion_maps(frames)[0].numpy().astype(np.float16)
    np.testing.assert_allclose(episode_maps(frames[0].numpy()), whole, atol=2e-3)
    assert episode_maps(frames[0, :1].numpy()).shape == (1, MAPS, GRID, GRID)


def test_a_mirrored_picture_has_mirrored_maps() -> None:
    frames = played(3)
    straight, turned = motion_maps(frames), motion_maps(frames.flip(3))
    assert torch.from_numpy(mirrored_maps(straight.numpy())).sub(turned).abs().max() < 1e-4
    assert not torch.allclose(straight, turned, atol=0.1)


def test_flow_maps_say_which_way_the_picture_moved() -> None:
    maps = motion_maps(played(2))[0, 0, :, 4:-4, 4:-4].mean((1, 2)).unflatten(0, (len(SCALES), len(SHARPNESS), 4))
    rows, columns = SCALES[0].radius
    down, right = (maps[0, -1, :2] / FLOW_GAIN * torch.tensor([rows, columns])).tolist()
    assert (down, right) == (pytest.approx(0, abs=0.2), pytest.approx(-2, abs=0.2))  # 4 pixels are 2 matched columns


def test_a_cell_without_texture_says_nothing_stands_out() -> None:
    scale = SCALES[0]
    assert standing_out(torch.full((1, scale.shifts, GRID, GRID), 0.3)).abs().max() < 1e-4
    assert flow_maps(torch.zeros(1, scale.shifts, GRID, GRID), scale)[:, :2].abs().max() < 1e-5


def test_over_time_sees_its_dilation_each_way_and_no_other_frame() -> None:
    torch.manual_seed(0)
    block, x = OverTime(8, dilation=4, dropout=0.5).eval(), torch.randn(1, 20, 8)
    changed = x.clone()
    changed[0, 10] += torch.randn(8)
    moved = (block(changed) - block(x)).abs().amax(2)[0] > 1e-6
    assert moved.nonzero().flatten().tolist() == [6, 10, 14]


def test_every_parameter_learns_and_maps_may_be_given() -> None:
    torch.manual_seed(0)
    encoder = MotionEncoder(16, taps=5, width=8, dilations=(1, 2), dropout=0.5).eval()
    frames = played(3)
    mixed, motion = encoder(frames)
    assert (mixed.shape, motion.shape) == ((1, 3, 16), (1, 3, 256))
    torch.testing.assert_close(encoder(frames, motion_maps(frames))[0], mixed)
    mixed.square().sum().backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []
