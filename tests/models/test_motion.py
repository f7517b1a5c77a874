"""The motion front end: do its maps say how far the picture moved?"""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.motion import (
    FLOW_GAIN,
    FLOW_UNIT_PX,
    GRID,
    MAPS,
    SCALES,
    SHARPNESS,
    SHIFT_MAPS,
    cost_volume,
    episode_maps,
    flow_maps,
    local_contrast,
    mirrored_maps,
    motion_maps,
    optical_flow_maps,
    standing_out,
)
from tests.models.game import played, textured


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
    changed[1, 2] = changed[1, 2].flip(0)
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
    apart = torch.from_numpy(mirrored_maps(straight.numpy())) - turned
    assert apart[:, :, :SHIFT_MAPS].abs().max() < 1e-4
    assert apart[:, :, SHIFT_MAPS:].abs().median() < 0.02  # the flow's solver scans from the top left
    assert not torch.allclose(straight, turned, atol=0.1)


def test_flow_maps_say_which_way_the_picture_moved() -> None:
    maps = motion_maps(played(2))[0, 0, :SHIFT_MAPS, 4:-4, 4:-4].mean((1, 2))
    maps = maps.unflatten(0, (len(SCALES), len(SHARPNESS), 4))
    rows, columns = SCALES[0].radius
    down, right = (maps[0, -1, :2] / FLOW_GAIN * torch.tensor([rows, columns])).tolist()
    assert (down, right) == (pytest.approx(0, abs=0.2), pytest.approx(-2, abs=0.2))  # 4 pixels are 2 matched columns


def test_a_cell_without_texture_says_nothing_stands_out() -> None:
    scale = SCALES[0]
    assert standing_out(torch.full((1, scale.shifts, GRID, GRID), 0.3)).abs().max() < 1e-4
    assert flow_maps(torch.zeros(1, scale.shifts, GRID, GRID), scale)[:, :2].abs().max() < 1e-5


def test_optical_flow_is_in_pixels_and_knows_where_it_fails() -> None:
    smooth = F.interpolate(torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)), 128, mode="bicubic")
    picture = (smooth[0].permute(1, 2, 0).clamp(0, 1) * 255).to(torch.uint8)
    frames = torch.stack([picture, torch.roll(picture, (3, -6), dims=(0, 1)), picture.flip(0)])[None]
    followed, lost = (FLOW_UNIT_PX * optical_flow_maps(frames))[:, :, 3:-3, 3:-3].flatten(2).median(2).values.tolist()
    assert followed == [pytest.approx(-6, abs=0.3), pytest.approx(3, abs=0.3), pytest.approx(0, abs=0.3)]
    assert lost[2] > 1
