"""Pictures of something else: of the frame's shape, different each time, the same under one seed."""

import itertools

import numpy as np
import pytest

from models.cards import draw_other, menu, pattern, title_card, without_hud
from tests.models.test_overlays import scene


@pytest.mark.parametrize("draw", [title_card, pattern, menu, without_hud])
def test_each_picture_has_the_frames_shape_and_repeats(draw: object) -> None:
    for seed in range(20):
        first, second = (draw(scene(), np.random.default_rng(seed)) for _ in range(2))  # type: ignore[operator]
        assert first.shape == scene().shape
        assert first.dtype == np.uint8
        assert np.array_equal(first, second)


def test_no_hearts_are_left() -> None:
    for seed in range(20):
        bare = without_hud(scene(), np.random.default_rng(seed)).astype(int)
        assert not ((bare[..., 0] > 200) & (bare[..., 1] < 50) & (bare[..., 2] < 50)).any()


def test_draws_differ() -> None:
    rng = np.random.default_rng(0)
    view = rng.integers(0, 255, scene().shape).astype(np.uint8)
    pictures = [draw_other(view, rng) for _ in range(10)]
    assert not any(np.array_equal(one, other) for one, other in itertools.pairwise(pictures))
