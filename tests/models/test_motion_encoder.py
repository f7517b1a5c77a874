"""The front end that sees motion and change: shapes, and who sees whom."""

import torch

from models.motion import motion_maps
from models.motion_encoder import FRAME_WIDTH, STEP_GAIN, Change, MotionEncoder, OverTime
from tests.models.game import played


def test_change_looks_at_the_picture_and_the_steps_around_it() -> None:
    frames = torch.zeros(1, 3, 128, 128, 3, dtype=torch.uint8)
    frames[0, 1, 10:12, 40:42, 0] = 255  # one red pixel of the half-size picture, in the second frame only
    seen = Change.look(frames)
    assert seen.shape == (3, 9, 64, 64)
    picture, after, before = seen[:, 0, 5, 20], seen[:, 3, 5, 20], seen[:, 6, 5, 20]
    assert picture.tolist() == [-0.5, 0.5, -0.5]
    assert after.tolist() == [STEP_GAIN, -STEP_GAIN, 0]
    assert before.tolist() == [0, STEP_GAIN, -STEP_GAIN]
    seen[:, [0, 3, 6], 5, 20] = torch.tensor([-0.5, 0.0, 0.0])
    assert (seen[:, :3] == -0.5).all()
    assert not seen[:, 3:].any()


def test_change_sees_one_frame_each_way_and_no_other() -> None:
    torch.manual_seed(0)
    net, frames = Change(8, dropout=0.5).eval(), torch.randint(0, 256, (1, 6, 128, 128, 3), dtype=torch.uint8)
    changed = frames.clone()
    changed[0, 2] = 255 - changed[0, 2]
    different = (net(changed) - net(frames)).abs().amax(1) > 1e-6
    assert different.nonzero().flatten().tolist() == [1, 2, 3]


def test_over_time_sees_its_dilation_each_way_and_no_other_frame() -> None:
    torch.manual_seed(0)
    block, x = OverTime(8, dilation=4, dropout=0.5).eval(), torch.randn(1, 20, 8)
    changed = x.clone()
    changed[0, 10] += torch.randn(8)
    different = (block(changed) - block(x)).abs().amax(2)[0] > 1e-6
    assert different.nonzero().flatten().tolist() == [6, 10, 14]


def test_every_parameter_learns_and_maps_may_be_given() -> None:
    torch.manual_seed(0)
    encoder = MotionEncoder(16, taps=5, width=8, change_width=8, dilations=(1, 2), dropout=0.5).eval()
    frames = played(3)
    mixed, frame = encoder(frames)
    assert (mixed.shape, frame.shape) == ((1, 3, 16), (1, 3, FRAME_WIDTH))
    torch.testing.assert_close(encoder(frames, motion_maps(frames))[0], mixed)
    (mixed.square().sum() + frame.square().sum()).backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []
