"""Augmentation: the draws stay in range, are the same for a whole clip, and do what they say."""

import numpy as np
import pytest

from models.augment import Augmentation, AugmentConfig, apply, augment_batch, draw

NOTHING = Augmentation(
    hue=0, saturation=1, brightness=1, contrast=1, rotate_deg=0, scale=1, shear_deg=0, translate_px=(0, 0)
)


def clip(frames: int = 3) -> np.ndarray:
    """The same smooth picture `frames` times."""
    y, x = np.mgrid[0:128, 0:128]
    picture = np.stack([x + 60, y + 40, (x + y) // 2 + 30], axis=2).astype(np.uint8)
    return np.stack([picture] * frames)


def changed(**values: object) -> np.ndarray:
    return apply(clip(), Augmentation(**{**vars(NOTHING), **values}))  # type: ignore[arg-type]


def test_the_neutral_augmentation_changes_nothing() -> None:
    assert (apply(clip(), NOTHING) == clip()).all()


def test_one_draw_serves_the_whole_clip() -> None:
    """Equal frames stay equal: a draw per frame would look like camera motion to the IDM."""
    result = apply(clip(), draw(AugmentConfig(), np.random.default_rng(0)))
    assert (result[0] == result[1]).all()
    assert (result[0] != clip()[0]).any()


def test_translation_moves_by_that_many_pixels() -> None:
    result = changed(translate_px=(2.0, 0.0))
    assert (result[:, :, 10] == clip()[:, :, 8]).all()


def test_brightness_scales_and_contrast_keeps_the_mean() -> None:
    assert changed(brightness=0.8).mean() / clip().mean() == pytest.approx(0.8, abs=0.01)
    flat = changed(contrast=0.8)
    assert flat.std() < clip().std()
    assert flat.mean() == pytest.approx(clip().mean(), abs=5)


def test_hue_keeps_luminance_and_saturation_zero_would_be_grey() -> None:
    weights = np.array([0.299, 0.587, 0.114])
    before, after = (frames.mean(axis=(0, 1, 2)) @ weights for frames in (clip(), changed(hue=0.1)))
    assert after == pytest.approx(before, abs=2)
    spread = changed(saturation=0.5).astype(float).std(axis=3).mean()
    assert spread == pytest.approx(0.5 * clip().astype(float).std(axis=3).mean(), rel=0.1)


def test_draws_stay_in_the_papers_ranges() -> None:
    rng = np.random.default_rng(0)
    draws = [draw(AugmentConfig(), rng) for _ in range(500)]
    for name, low, high in [("hue", -0.2, 0.2), ("saturation", 0.8, 1.2), ("rotate_deg", -2, 2), ("scale", 0.98, 1.02)]:
        values = [getattr(d, name) for d in draws]
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high >= max(values) > high - 0.1 * (high - low)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    batch = np.stack([clip(2), clip(2)])
    first = augment_batch(batch, AugmentConfig(), seed=1, step=5)
    assert (first == augment_batch(batch, AugmentConfig(), seed=1, step=5)).all()
    assert (first != augment_batch(batch, AugmentConfig(), seed=1, step=6)).any()
    assert (first[0] != first[1]).any()
    assert augment_batch(batch, None, seed=1, step=5) is batch


def test_a_window_may_hold_several_clips() -> None:
    """Within a clip all frames are drawn alike; clips differ, though their pictures are the same."""
    batch = np.repeat(clip(1)[None], 6, axis=1)
    first = augment_batch(batch, AugmentConfig(clip=2), seed=1, step=5)[0]
    assert first.shape == batch.shape[1:]
    for start in (0, 2, 4):
        assert (first[start] == first[start + 1]).all()
    assert (first[0] != first[2]).any()
    assert (first[2] != first[4]).any()
    whole = augment_batch(batch, AugmentConfig(), seed=1, step=5)[0]
    assert (whole == whole[:1]).all()


@pytest.mark.parametrize("values", [{"hue": -0.1}, {"scale": 1.0}, {"clip": 0}])
def test_impossible_ranges_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        AugmentConfig(**values)
