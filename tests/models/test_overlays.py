"""Drawn overlays: they change a bounded part of the picture, always, and repeat under one seed."""

import cv2
import numpy as np
import pytest

from models.overlays import add_overlay, badge, banner, face_camera, hide_health, recompress, watermark


def scene(hearts: bool = True) -> np.ndarray:
    """A plain landscape (256, 455, 3) with a hotbar and, if asked, ten red hearts above it."""
    image = np.full((256, 455, 3), (90, 140, 60), np.uint8)
    image[:120] = (120, 170, 230)
    cv2.rectangle(image, (115, 228), (340, 252), (70, 70, 70), -1)
    for index in range(10 if hearts else 0):
        cv2.rectangle(image, (118 + index * 9, 216), (124 + index * 9, 222), (220, 20, 20), -1)
    return image


@pytest.mark.parametrize("draw", [face_camera, watermark, banner, badge])
def test_each_overlay_changes_some_of_the_picture_and_not_its_centre(draw: object) -> None:
    least = 0.0003 if draw is watermark else 0.0005  # names are drawn as small and thin as they come
    for seed in range(40):
        image = scene()
        draw(image, np.random.default_rng(seed))  # type: ignore[operator]
        changed = (image != scene()).any(axis=2)
        assert least < changed.mean() < 0.3, f"seed {seed}"
        assert not changed[118:138, 207:247].any(), f"seed {seed}: the crosshair stays free"


def test_the_original_is_untouched_and_a_seed_repeats() -> None:
    image = scene()
    first, second = (add_overlay(image, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(image, scene())
    assert np.array_equal(first, second)


def test_tiny_and_tall_pictures_are_taken() -> None:
    for seed in range(30):
        for shape in ((48, 64, 3), (455, 256, 3)):
            assert add_overlay(np.zeros(shape, np.uint8), np.random.default_rng(seed)).shape == shape


def test_hearts_vanish_and_nothing_else_does() -> None:
    bare = hide_health(scene())
    assert bare is not None
    red = (bare[..., 0] > 200) & (bare[..., 1] < 50)
    assert not red.any()
    changed = (bare != scene()).any(axis=2)
    assert np.flatnonzero(changed.any(1)).min() >= 214
    assert np.flatnonzero(changed.any(1)).max() <= 224
    assert np.array_equal(bare[228:252], scene()[228:252]), "the hotbar stays"


def test_a_picture_without_hearts_gives_no_bare_copy() -> None:
    assert hide_health(scene(hearts=False)) is None
    lava = scene(hearts=False)
    lava[190:250, 80:230] = (230, 40, 10)
    assert hide_health(lava) is None


def test_recompression_keeps_what_is_seen() -> None:
    for seed in range(10):
        found = recompress(scene(), np.random.default_rng(seed))
        assert found.shape == scene().shape
        assert np.abs(found.astype(int) - scene()).mean() < 8
