"""The front end that sees motion and change: shapes, and who sees whom."""

import numpy as np
import pytest
import torch

from models import floor, hotbar, stillness
from models.actions import MINECRAFT, bin_centres
from models.motion import ANSWERS, GRID, episode_maps, numbers_of, seen
from models.motion_encoder import (
    PATCH,
    PLAIN,
    Change,
    HideBlocks,
    MotionEncoder,
    OverTime,
    Turns,
    frame_width,
    shares,
    turned_camera,
)
from tests.models.game import played
from tests.models.test_ego_motion import looks, turned, world


def test_change_looks_at_the_picture_and_the_steps_around_it() -> None:
    frames = torch.zeros(1, 3, 64, 64, 3, dtype=torch.uint8)
    frames[0, 1, 5, 20, 0] = 255  # one red pixel, in the second frame only
    turned_back = torch.arange(3.0 * 16 * GRID * GRID).view(1, 3, 16, GRID, GRID)
    seen = Change.look(frames, torch.zeros(1).bool(), turned_back)[0]
    assert seen.shape == (3, GRID * GRID, 3 * PATCH + 16) == (3, 256, 160)
    cell, pixel = 1 * GRID + 5, (1 * 4 + 0) * 3  # row 5 is the second of the cell, column 20 its first
    picture, after, before = (seen[:, cell, part * PATCH + pixel] for part in range(3))
    assert picture.tolist() == [-0.5, 127 / 256, -0.5]
    assert after.tolist() == [255 / 128, -255 / 128, 0]
    assert before.tolist() == [0, 255 / 128, -255 / 128]
    assert seen[1, cell, 3 * PATCH :].tolist() == turned_back[0, 1, :, 1, 5].tolist()
    seen[:, cell, [pixel, PATCH + pixel, 2 * PATCH + pixel]] = torch.tensor([-0.5, 0.0, 0.0])
    assert (seen[..., :PATCH] == -0.5).all()
    assert not seen[..., PATCH : 3 * PATCH].any()


def test_what_is_looked_at_is_exact_in_bfloat16() -> None:
    frames = torch.randint(0, 256, (2, 5, 64, 64, 3), dtype=torch.uint8)
    hidden, steps = torch.tensor([False, True]), torch.zeros(2, 5, 16, GRID, GRID)
    exact = Change.look(frames, hidden, steps)
    pixels = frames[0].double().reshape(5, GRID, 4, GRID, 4, 3).transpose(2, 3).reshape(5, GRID**2, PATCH)
    assert torch.equal(exact[0, ..., :PATCH].double(), (pixels - 128) / 256)
    assert torch.equal(exact[0, :-1, :, PATCH : 2 * PATCH].double(), pixels.diff(dim=0) / 128)
    assert torch.equal(Change.look(frames, hidden, steps + 0.123)[..., 3 * PATCH :], steps.flatten(3).mT + 0.123)
    with torch.autocast("cpu", torch.bfloat16):
        fast = Change.look(frames, hidden, steps)
    assert (exact.dtype, fast.dtype) == (torch.float32, torch.bfloat16)
    assert torch.equal(fast.float(), exact)


def test_a_hidden_picture_is_grey_and_its_steps_are_seen() -> None:
    frames = torch.randint(0, 256, (2, 4, 64, 64, 3), dtype=torch.uint8)
    steps = torch.randn(2, 4, 16, GRID, GRID)
    one, none = (Change.look(frames, torch.tensor(hidden), steps) for hidden in ([True, False], [False, False]))
    assert not one[0, ..., :PATCH].any()
    assert torch.equal(one[1], none[1])
    assert torch.equal(one[..., PATCH:], none[..., PATCH:])


def test_half_of_the_pictures_are_hidden_in_training_only() -> None:
    """Of frames that stand still, nothing is seen but the picture."""
    torch.manual_seed(0)
    net, frames = Change(8, dropout=0.0), torch.full((200, 1, 64, 64, 3), 250, dtype=torch.uint8)
    steps = torch.zeros(200, 1, 16, GRID, GRID)
    shown = net.train()(frames, steps)
    alike = (shown - shown[:1]).abs().amax(1) < 1e-6
    assert alike.float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert torch.equal(net.eval()(frames, steps), net(frames, steps))


def test_change_sees_one_frame_each_way_and_no_other() -> None:
    torch.manual_seed(0)
    net, frames = Change(8, dropout=0.5).eval(), torch.randint(0, 256, (1, 6, 64, 64, 3), dtype=torch.uint8)
    changed, steps = frames.clone(), torch.randn(1, 6, 16, GRID, GRID)
    changed[0, 2] = 255 - changed[0, 2]
    different = (net(changed, steps) - net(frames, steps)).abs().amax(1) > 1e-6
    assert different.nonzero().flatten().tolist() == [1, 2, 3]


def test_shares_of_bins_have_the_motion_as_their_mean() -> None:
    centres = torch.from_numpy(bin_centres()).float()
    degrees = torch.tensor([-20.0, -10, -7.3, -0.1, 0, 0.5, 5, 9.9, 30])
    found = shares(degrees, centres)
    torch.testing.assert_close(found @ centres, degrees.clamp(-10, 10), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.sum(-1), torch.ones(9))
    assert ((found > 1e-6).sum(-1) <= 2).all()


def test_turns_are_the_games_pitch_and_yaw() -> None:
    """A player who looks 40 degrees down and turns 6 to the right and 2 up: best with a step, without, and of any."""
    maps = torch.from_numpy(episode_maps(looks(40, [(0, 0), (-2, 6)])))[None].float()
    answers = turned_camera(numbers_of(maps))
    assert answers.shape == (1, 2, ANSWERS, 2)
    for best in (answers[0, 0, 0], answers[0, 0, floor.ANSWERS], answers[0, 0, -1]):
        assert best.tolist() == [pytest.approx(-2, abs=0.2), pytest.approx(6, abs=0.2)]


def test_the_best_turns_bins_go_to_the_heads_as_they_are() -> None:
    """The picture moves to the left, so the player turned to the right; it moves down, so he looked up."""
    frame = world()
    maps = torch.from_numpy(episode_maps(np.stack([frame, turned(frame, -3, -5, 0)])))[None].float()
    bins = Turns(MINECRAFT)(numbers_of(maps))[1][0, 0].unflatten(0, (2, 11))
    pitch, yaw = bins @ torch.from_numpy(bin_centres()).float()
    assert (pitch.item(), yaw.item()) == (pytest.approx(-3, abs=0.1), pytest.approx(5, abs=0.1))


def test_hotbar_and_stillness_go_to_the_heads_as_they_are_though_blocks_are_hidden() -> None:
    torch.manual_seed(0)
    options = {"taps": 3, "width": 4, "change_width": 4, "dilations": (2,), "dropout": 0.5}
    encoder = MotionEncoder(8, MINECRAFT, **options).train()
    frames = torch.randint(0, 256, (2, 4, 128, 128, 3), dtype=torch.uint8)
    pictures, maps = seen(frames)
    alone = encoder(pictures, maps)[1]
    assert alone.shape[-1] == frame_width(MINECRAFT)
    told = numbers_of(maps).float()[..., PLAIN]
    assert told.shape[-1] == hotbar.NUMBERS + stillness.NUMBERS
    assert told[:, :-1].abs().amin((0, 1)).max() > 0
    assert torch.equal(alone[..., -told.shape[-1] :], told)


def test_blocks_are_hidden_from_a_whole_window_in_training_only() -> None:
    torch.manual_seed(0)
    hide, maps = HideBlocks(), torch.ones(400, 3, 2, GRID, GRID)
    assert hide.eval()(maps) is maps
    shown = hide.train()(maps)
    assert (shown == shown[:, :1, :1]).all()
    share = (shown[:, 0, 0] == 0).float().mean((1, 2))
    assert (share == 0).float().mean().item() == pytest.approx(0.5**3, abs=0.05)
    assert share.max() <= 3 * 7 * 7 / GRID**2
    ever = (shown[:, 0, 0] == 0).any(0)
    assert ever.all(), "corners too"


def test_over_time_sees_its_dilation_each_way_and_no_other_frame() -> None:
    torch.manual_seed(0)
    block, x = OverTime(8, dilation=4, dropout=0.5).eval(), torch.randn(1, 20, 8)
    changed = x.clone()
    changed[0, 10] += torch.randn(8)
    different = (block(changed) - block(x)).abs().amax(2)[0] > 1e-6
    assert different.nonzero().flatten().tolist() == [6, 10, 14]


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    encoder = MotionEncoder(16, MINECRAFT, taps=5, width=8, change_width=8, dilations=(1, 2), dropout=0.5).eval()
    mixed, frame = encoder(*seen(played(3)))
    assert (mixed.shape, frame.shape) == ((1, 3, 16), (1, 3, frame_width(MINECRAFT)))
    (mixed.square().sum() + frame.square().sum()).backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []
