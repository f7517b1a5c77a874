"""The motion front end: do its maps say what moved, apart from the turn of the camera?"""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from models import flow_change
from models.ego_motion import NUMBERS as TURN_NUMBERS
from models.ego_motion import TURN_UNIT_DEG, ego_motions
from models.floor import WalkMotion, walk_motion
from models.hotbar import ORDER_MIRRORED, hotbar
from models.motion import (
    CHANGE_FROM,
    EDITION,
    FLOOR_FROM,
    FLOW,
    FLOW_UNIT_PX,
    GRID,
    HOTBAR_FROM,
    MAPS,
    MISFIT,
    NUMBERS,
    STEP,
    STEP_UNIT,
    STILLNESS_FROM,
    TRANSLATION_FROM,
    TURNS,
    episode_maps,
    fold,
    half_size,
    mirrored_maps,
    motion_maps,
    numbers_of,
)
from models.stillness import changed
from models.translation import DIRECTIONS, SPEED_UNIT
from models.view import SIDE, VIEWS
from tests.models.game import played
from tests.models.test_ego_motion import matrix, turned, world
from tests.models.test_floor import WALK, view


@pytest.fixture
def known_tilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """How far the view looks down is told by all of an episode; where it is known, windows are as good."""
    monkeypatch.setattr("models.ego_motion.tilts", lambda turns: np.full(len(turns), 20.0))


@pytest.mark.usefixtures("known_tilt")
def test_maps_look_one_frame_ahead_and_know_nothing_after_the_last() -> None:
    frames = torch.randint(0, 256, (2, 4, 128, 128, 3), dtype=torch.uint8)
    maps = motion_maps(frames)
    assert maps.shape == (2, 4, MAPS, GRID, GRID)
    assert not maps[:, -1].any()
    changed = frames.clone()
    changed[1, 2] = changed[1, 2].flip(0)
    moved = (motion_maps(changed) - maps).abs().amax((2, 3, 4)) > 1e-6
    assert moved.tolist() == [[False] * 4, [False, True, True, False]]


@pytest.mark.usefixtures("known_tilt")
def test_maps_of_an_episode_are_those_of_its_windows() -> None:
    frames = played(12)
    whole = episode_maps(frames[0].numpy())
    window = motion_maps(frames[:, 4:10])[0].numpy()
    np.testing.assert_array_equal(whole[6:9], window[2:-1])
    np.testing.assert_array_equal(whole[4:6, :TURNS], window[:2, :TURNS], "but for how it moved before the window")
    assert episode_maps(frames[0, :1].numpy()).shape == (1, MAPS, GRID, GRID)


def test_half_a_picture_is_the_mean_of_its_pixels() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 128, 128, 3), dtype=np.uint8)
    half = half_size(frames)
    exact = cv2.resize(frames[1, 2], (64, 64), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(half[1, 2], exact)
    assert half.shape == (2, 3, 64, 64, 3)


def test_what_only_turned_does_not_move() -> None:
    frame = world()
    maps = episode_maps(np.stack([frame, turned(frame, 6, -4, 0)]))[0].astype(np.float32)
    numbers = numbers_of(torch.from_numpy(maps)[None, None])[0, 0]
    assert numbers.shape == (NUMBERS,)
    np.testing.assert_allclose(numbers[:2] * TURN_UNIT_DEG, (6, 4), atol=0.1)
    seen = maps[:, 4:-4, 4:-4]
    assert np.abs(seen[FLOW]).mean() * FLOW_UNIT_PX < 0.2  # a turn of 8 pixels
    turned_back, as_it_was = seen[MISFIT].mean((1, 2))
    assert turned_back < 0.1 < 0.8 < as_it_was
    assert np.abs(seen[STEP]).mean() * STEP_UNIT < 5


def test_what_moves_beside_the_turn_is_told_in_pixels_where_it_is() -> None:
    """A part moves 3 pixels to the right and 2 down in a turned picture; the rest only turns."""
    frame, part = world(), (slice(32, 64), slice(32, 64))
    moved = frame.copy()
    moved[part] = np.roll(frame, (2, 3), axis=(0, 1))[part]
    maps = episode_maps(np.stack([frame, VIEWS[SIDE].turned_back(moved, matrix(3, 2, 0).T)]))[0].astype(np.float32)
    right, down, _ = maps[FLOW].reshape(3, 4, GRID, GRID).mean(1) * FLOW_UNIT_PX
    inside = (slice(5, 7), slice(5, 7))
    assert (np.median(right[inside]), np.median(down[inside])) == (pytest.approx(3, abs=0.5), pytest.approx(2, abs=0.5))
    assert np.abs(right[9:13, 2:8]).mean() < 0.2
    step = np.abs(maps[STEP]).mean(0)
    assert step[inside].mean() > 4 * step[9:13, 2:8].mean()


def test_a_step_towards_a_wall_is_told_as_the_flow_of_a_plane() -> None:
    """All moves away from the middle by 4 %: 2.56 pixels at the edges, to the right with x, down with y."""
    frame = world()
    closer = cv2.warpAffine(frame, np.array([[1.04, 0, -2.54], [0, 1.04, -2.54]]), (SIDE, SIDE))
    maps = torch.from_numpy(episode_maps(np.stack([frame, closer])))[None]
    whole = numbers_of(maps)[0, 0, TURN_NUMBERS : TURN_NUMBERS + 8].float().numpy() * FLOW_UNIT_PX
    np.testing.assert_allclose(whole[[1, 5]], 2.56, atol=0.2)


def test_a_step_towards_a_wall_is_told_as_one_ahead() -> None:
    frame = world()
    closer = cv2.warpAffine(frame, np.array([[1.04, 0, -2.54], [0, 1.04, -2.54]]), (SIDE, SIDE))
    maps = torch.from_numpy(episode_maps(np.stack([frame, closer, frame])))[None]
    told = numbers_of(maps)[0, :, TRANSLATION_FROM:CHANGE_FROM].float().numpy()
    ahead, back = told[:2, len(DIRECTIONS) + 1 :][:, :3]
    assert ahead @ [0, 0, 1] / np.linalg.norm(ahead) > 0.9
    assert back @ [0, 0, -1] / np.linalg.norm(back) > 0.9
    assert told[0, -4] * SPEED_UNIT == pytest.approx(0.04, abs=0.01), "of the distance"


def test_a_slower_step_is_told_as_slower() -> None:
    steps = [np.array([[zoom, 0, 63.5 * (1 - zoom)], [0, zoom, 63.5 * (1 - zoom)]]) for zoom in (1, 1.06, 1.08, 1.1)]
    frames = np.stack([cv2.warpAffine(world(), step, (SIDE, SIDE)) for step in steps])
    told = numbers_of(torch.from_numpy(episode_maps(frames))[None])[0, :, CHANGE_FROM:FLOOR_FROM].float().numpy()
    alike, growth = (told[:, first] for first in (0, len(flow_change.LAGS) * len(flow_change.REGIONS)))
    np.testing.assert_allclose(np.exp(growth[1:3]), (2 / 6, 1), rtol=0.2)
    assert (alike[1:3] > 0.8).all()
    assert not told[-1].any(), "nothing is known after the last frame"


def test_turn_and_step_are_told_as_they_are_found() -> None:
    frames = np.stack([world(), turned(world(), 1, 3, 0), world(1)])
    told = numbers_of(torch.from_numpy(episode_maps(frames))[None])[0, :, FLOOR_FROM:HOTBAR_FROM].float().numpy()
    for row, (pair, motion) in zip(told, ego_motions(frames), strict=False):
        expected = walk_motion(pair, motion.tilt, [turn.numbers for turn in motion.turns]).numbers
        np.testing.assert_allclose(row, expected, atol=1e-3)
    assert not told[-1].any()


def test_the_hotbar_and_how_much_changes_are_told_of_each_pair() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    maps = episode_maps(frames)
    told, mirrored = (
        numbers_of(torch.from_numpy(seen)[None])[0, :, HOTBAR_FROM:].float().numpy()
        for seen in (maps, mirrored_maps(maps))
    )
    slots = STILLNESS_FROM - HOTBAR_FROM
    np.testing.assert_allclose(told[:-1, :slots], hotbar(frames), rtol=1e-3)
    np.testing.assert_allclose(told[:-1, slots:], changed(frames), rtol=1e-3)
    assert not told[-1].any()
    np.testing.assert_array_equal(mirrored[:, :slots], told[:, ORDER_MIRRORED], "the slots' keys change places as well")
    np.testing.assert_array_equal(mirrored[:, slots:], told[:, slots:])


def test_other_maps_are_another_edition() -> None:
    """A player walks over a faint floor and looks around. If this fails, weights label badly: raise `EDITION`."""
    places = ((20,), (21, 2, (WALK, 0, 0)), (20, 3, (2 * WALK, 0.03, 0)), (18, 3, (2 * WALK, 0, 0)))
    frames = np.stack([150 + 0.15 * (view(*place).astype(float) - 128) for place in places]).astype(np.uint8)
    maps = np.abs(episode_maps(frames)[:-1].astype(float))
    told = maps[:, TURNS].reshape(len(maps), -1)
    starts = (0, TURN_NUMBERS, TRANSLATION_FROM, CHANGE_FROM, FLOOR_FROM, HOTBAR_FROM, STILLNESS_FROM, NUMBERS)
    seen = [maps[:, part].mean() for part in (FLOW, MISFIT, STEP)]
    seen += [told[:, start:stop].mean() for start, stop in pairwise(starts)]
    assert EDITION == 4
    np.testing.assert_allclose(
        seen, [0.5465, 0.4942, 0.04128, 0.4117, 0.5709, 2.47, 0.4445, 0.3578, 0.8149, 1.88], rtol=0.005
    )


def test_pictures_are_turned_back_by_the_turn_that_was_found_with_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told a turn by another 2 degrees to the right, the flow is one to the left by as much."""
    as_found, flows = walk_motion, {}
    for yaw_deg in (0, 2):
        other = matrix(0, yaw_deg, 0)
        monkeypatch.setattr(
            "models.floor.walk_motion",
            lambda *seen, other=other: WalkMotion(as_found(*seen).turn @ other, as_found(*seen).numbers),
        )
        maps = episode_maps(np.stack([world(), turned(world(), 1, 3, 0)]))[0].astype(np.float32)
        flows[yaw_deg] = maps[FLOW][:4, 4:-4, 4:-4] * FLOW_UNIT_PX
    assert np.abs(flows[0]).mean() < 0.2
    pixel_deg = np.rad2deg(1 / VIEWS[SIDE].camera[0, 0])
    assert abs(np.median(flows[2])) == pytest.approx(2 / pixel_deg, rel=0.25)


def test_flow_knows_where_it_fails() -> None:
    frame = world()
    followed, lost = episode_maps(np.stack([frame, frame, world(1)]))[:2].astype(np.float32)
    apart = slice(FLOW.stop - 4, FLOW.stop)
    assert np.abs(followed[apart]).max() == 0
    assert lost[apart].mean() * FLOW_UNIT_PX > 1


def test_folding_keeps_every_part_of_a_cell_at_its_place() -> None:
    image = np.arange(32 * 32 * 2, dtype=np.float32).reshape(32, 32, 2)
    folded = fold(image, 2)
    assert folded.shape == (8, GRID, GRID)
    for channel, row, column in np.ndindex(2, 2, 2):
        np.testing.assert_array_equal(folded[4 * channel + 2 * row + column], image[row::2, column::2, channel])
    np.testing.assert_allclose(fold(cv2.resize(image, (64, 64), interpolation=cv2.INTER_NEAREST), 2), folded)


def test_a_mirrored_picture_has_mirrored_maps() -> None:
    frame = world()
    after = turned(frame, 2, 5, 0)
    after[40:60, 40:60] = 90
    frames = torch.from_numpy(np.stack([frame, after]))[None]
    straight, mirrored = motion_maps(frames).float(), motion_maps(frames.flip(3)).float()
    turned_round = torch.from_numpy(mirrored_maps(straight.numpy()))
    apart = (turned_round - mirrored)[0, 0].abs()
    assert apart[MISFIT].median() < 0.01
    assert apart[STEP].median() < 0.02
    assert apart[FLOW].median() < 0.02  # the flow's solver scans from the top left
    np.testing.assert_allclose(numbers_of(mirrored)[0, 0, :4], numbers_of(turned_round)[0, 0, :4], atol=0.01)
    plane = slice(TURN_NUMBERS, TURN_NUMBERS + 8)
    np.testing.assert_allclose(numbers_of(mirrored)[0, 0, plane], numbers_of(turned_round)[0, 0, plane], atol=0.05)
    moved = slice(TRANSLATION_FROM, FLOOR_FROM)
    apart = (numbers_of(mirrored) - numbers_of(turned_round))[0, 0, moved].abs()
    assert apart.median() < 0.1  # the hand at the right counts less
    assert not torch.allclose(straight, mirrored, atol=0.1)
    np.testing.assert_array_equal(mirrored_maps(mirrored_maps(straight.numpy())), straight.numpy())
    assert mirrored_maps(np.zeros((0, 5, MAPS, GRID, GRID), np.float16)).shape == (0, 5, MAPS, GRID, GRID)
