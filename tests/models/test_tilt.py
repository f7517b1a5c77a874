"""How far the view looks down, of turns that players make."""

import numpy as np
import pytest

from models.tilt import TILTS_DEG, Seen, tilts


def path(true: np.ndarray, yaws: np.ndarray, misfit: float = 0.25) -> list[Seen]:
    """What is seen of a view that looks down by `true` (L,) and turns by `yaws` (L,), degrees."""
    pitches = np.diff(true, append=true[-1])
    rows = zip(pitches, yaws * np.cos(np.deg2rad(true)), yaws * np.sin(np.deg2rad(true)), strict=True)
    return [Seen(*map(float, row), misfit) for row in rows]


def wandering(length: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Tilts and yaws of a player who looks up and down, and turns in one frame of five."""
    draw = np.random.default_rng(seed)
    pitches = np.where(draw.random(length) < 0.2, draw.normal(0, 6, length), 0)
    yaws = np.where(draw.random(length) < 0.2, draw.normal(0, 6, length), 0)
    return (20 + np.cumsum(pitches)).clip(-80, 85), yaws


@pytest.mark.parametrize("seed", range(4))
def test_a_view_is_followed_up_and_down(seed: int) -> None:
    true, yaws = wandering(seed=seed)
    found = tilts(path(true, yaws))
    error = np.abs(found - true)
    assert np.median(error) < 1.5
    assert np.quantile(error, 0.9) < 5


def test_past_and_future_tell_it_where_nothing_turns() -> None:
    true = np.repeat([30.0, 50.0], 100)
    yaws = np.zeros(200)
    yaws[[5, 195]] = 6
    found = tilts(path(true, yaws))
    np.testing.assert_allclose(found[[0, 5, 195, 199]], [30, 30, 50, 50], atol=4)
    np.testing.assert_allclose(found[[90, 110]], [30, 50], atol=8)


def test_turns_that_do_not_fit_are_not_believed() -> None:
    true, yaws = np.full(200, 40.0), np.zeros(200)
    yaws[::10] = 5
    seen = path(true, yaws)
    wrong = [turn._replace(roll=-turn.roll, misfit=0.8) if i % 3 else turn for i, turn in enumerate(seen)]
    np.testing.assert_allclose(tilts(wrong), 40, atol=3)


def test_one_wrong_pitch_is_got_over() -> None:
    true, yaws = np.full(100, 10.0), np.full(100, 4.0)
    seen = path(true, yaws)
    seen[50] = seen[50]._replace(pitch=15.0, misfit=0.7)
    np.testing.assert_allclose(tilts(seen), 10, atol=3)


def test_nobody_looks_beyond_straight_down() -> None:
    true, yaws = np.full(60, 70.0), np.full(60, 3.0)
    seen = [turn._replace(pitch=20.0) if 20 <= i < 25 else turn for i, turn in enumerate(path(true, yaws))]
    found = tilts(seen)
    assert np.isfinite(found).all()
    assert found.max() <= TILTS_DEG[-1]


def test_the_mirror_image_of_an_episode_looks_down_as_far() -> None:
    seen = path(*wandering())
    mirrored = [turn._replace(yaw=-turn.yaw, roll=-turn.roll) for turn in seen]
    np.testing.assert_allclose(tilts(mirrored), tilts(seen), atol=1e-9)


def test_no_turns_have_no_tilts() -> None:
    assert tilts([]).shape == (0,)


def test_a_still_episode_of_a_quarter_of_an_hour_is_finite() -> None:
    found = tilts([Seen(0.0, 0.0, 0.0, 0.0)] * 20_000)
    assert np.ptp(found[1_000:-1_000]) < 1
    assert 0 < found[10_000] < 60, "where players look as a rule"
