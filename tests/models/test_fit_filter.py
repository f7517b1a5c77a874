"""Training: the same input gives the same bytes, held-out videos stay held out, copies are not measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.cells import ABSENT, HEALTH, OVERLAY, PRESENT, CellOptions
from models.classifier import FitOptions
from models.clean_filter import settled
from models.embedding import EfficientNetLite0
from models.filter_set import SetBuilder
from models.fit_filter import fit, fit_head, overlay_middles, seen_as_samples
from tests.models.test_overlays import scene
from tests.models.toy_filter import ToyEmbedder, toy_videos

QUICK = CellOptions(epochs=30, learning_rate=2e-2)
TWO = FitOptions(folds=2)


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fit(toy_videos(), ToyEmbedder(), TWO, CellOptions(epochs=2)).clean_filter.save(tmp_path / name)
    assert (tmp_path / "a/weights.safetensors").read_bytes() == (tmp_path / "b/weights.safetensors").read_bytes()
    assert (tmp_path / "a/model.json").read_bytes() == (tmp_path / "b/model.json").read_bytes()


def test_scores_of_held_out_videos_are_right() -> None:
    data = toy_videos()
    scores = fit(data, ToyEmbedder(), TWO, QUICK).held_out_scores
    assert ((scores >= 0.5) == data.is_clean).mean() > 0.98


def test_what_only_its_own_video_explains_cannot_be_learnt() -> None:
    """Nothing but the video's own channel tells clean from unclean: worth nothing on a video held out."""
    data = toy_videos(videos=6, frames=20)
    maps = np.random.default_rng(0).normal(size=data.maps.shape).astype(np.float16)
    is_clean = np.repeat(np.arange(6) % 2 == 0, 20)
    for video in range(6):
        maps[video * 20 : video * 20 + 20, ..., video] += 9
    blind = replace(data, maps=maps, is_clean=is_clean, targets=np.full_like(data.targets, ABSENT))
    scores = fit(blind, ToyEmbedder(), FitOptions(folds=6), CellOptions(epochs=1)).held_out_scores
    assert ((scores >= 0.5) == is_clean).mean() <= 0.6


def test_copies_train_but_are_not_measured() -> None:
    data = toy_videos()
    is_real = np.arange(len(data.maps)) % 2 == 0
    scores = fit(replace(data, is_real=is_real), ToyEmbedder(), TWO, CellOptions(epochs=1)).held_out_scores
    assert np.array_equal(np.isfinite(scores), is_real)


def test_a_copy_on_which_nothing_is_seen_does_not_teach_the_picture() -> None:
    """Faint copies that no detector notices, of one clean frame: frames that look like it stay clean."""
    data = toy_videos()
    count = len(data.maps)
    observed = np.zeros((count, 4 * 6 + 1 + 8), np.float16)
    observed[:, :24] = np.where(data.is_clean, -5, 5)[:, None]
    observed[:, 24] = 5
    observed[np.flatnonzero(data.is_clean)[20::10], :24] = 0  # so that even odds lie between clean frames and overlays
    observed[:, 25:] = np.random.default_rng(1).normal(size=(count, 8))
    alike = np.flatnonzero(data.is_clean)[:20]
    observed[alike, 25:] = 3 + np.random.default_rng(2).normal(size=(20, 8)) / 10
    is_real, is_clean = np.ones(count, bool), data.is_clean.copy()
    is_real[alike[:19]] = is_clean[alike[:19]] = False
    data = replace(data, is_real=is_real, is_clean=is_clean)
    head = fit_head(data, np.arange(count), observed, TWO)
    seen = settled(seen_as_samples(data, alike[19:], observed, head.middles))
    assert head.svm().decision(seen) > 0


@pytest.mark.parametrize("frames", [1, 5, 40])
@pytest.mark.parametrize("spacing_s", [1 / 3, 4.0])
def test_weak_false_evidence_that_stands_still_shows_in_frames_far_apart(frames: int, spacing_s: float) -> None:
    data = toy_videos(videos=1, frames=frames)
    apart = replace(data, times_s=np.arange(frames) * spacing_s, is_clean=np.ones(frames, bool))
    observed = np.full((frames, 4 * 6 + 1 + 8), -2.0, np.float16)
    observed[:, 7] = 0.5  # one cell is a little above the middle
    seen = seen_as_samples(apart, np.arange(frames), observed, (np.zeros(24), 0.0))
    assert seen.shape == (frames, 2 + 8)
    assert (seen[:, 0] >= 5.9).all()


def test_evidence_of_a_single_frame_does_not_outvote_its_stretch() -> None:
    data = toy_videos(videos=1, frames=20)
    apart = replace(data, times_s=np.arange(20) * 4.0, is_clean=np.ones(20, bool))
    observed = np.full((20, 4 * 6 + 1 + 8), -2.0, np.float16)
    observed[9, 7] = 4.0
    assert (seen_as_samples(apart, np.arange(20), observed, (np.zeros(24), 0.0))[:, 0] < -5.9).all()


def test_a_cell_that_looks_like_an_overlay_in_clean_play_must_say_more() -> None:
    data = toy_videos()
    observed = np.full((len(data.maps), 4 * 6 + 1 + 8), -1.0, np.float16)
    observed[np.flatnonzero(data.is_clean)[::10], 0] = 3.0  # a menu's tab, in a tenth of the clean frames
    middles = overlay_middles(data, np.arange(len(data.maps)), observed).reshape(4, 6)
    near = np.zeros((4, 6), bool)
    near[:2, :2] = True  # menus come in several sizes
    assert (middles[near] >= 3.0 - 1.0).all()
    assert (middles[~near] < 0.5).all()


def test_the_copies_of_a_frame_do_not_depend_on_other_frames() -> None:
    alone, after = (SetBuilder(EfficientNetLite0(), copies=1, seed=0) for _ in range(2))
    after.add(scene(hearts=False), "other", "u", 0.0)
    for builder in (alone, after):
        builder.add(scene(), "clean", "v", 1.0)
    assert np.array_equal(alone.build().maps, after.build().maps[1:])


@pytest.mark.parametrize("is_clean", [False, True])
def test_one_class_and_one_video_are_refused(is_clean: bool) -> None:
    data = toy_videos(videos=2)
    with pytest.raises(ValueError, match="clean and unclean frames from at least two videos"):
        fit(replace(data, is_clean=np.full_like(data.is_clean, is_clean)), ToyEmbedder(), TWO, QUICK)
    with pytest.raises(ValueError, match="from 1; label more"):
        fit(toy_videos(videos=1), ToyEmbedder(), TWO, QUICK)


def test_a_clean_frame_trains_with_its_copies() -> None:
    builder = SetBuilder(EfficientNetLite0(), copies=2, seed=0)
    builder.add(scene(), "clean", "v", 1.0)
    builder.add(scene(hearts=False), "other", "v", 2.0)
    builder.add(scene(), "artifact", "w", 3.0)
    data = builder.build()
    # itself, without hearts, two overlays, something else; then the two frames that have no copies
    assert data.is_clean.tolist() == [True] + [False] * 6
    assert data.is_real.tolist() == [True, False, False, False, False, True, True]
    assert data.groups.tolist() == ["v"] * 6 + ["w"]
    has = (data.targets == PRESENT).any(axis=(1, 2))
    assert has[:, OVERLAY].tolist() == [False, False, True, True, False, False, False]
    assert has[:2, HEALTH].tolist() == [True, False]
    hearts = np.argwhere(data.targets[0, ..., HEALTH] == PRESENT)
    assert set(hearts[:, 0].tolist()) <= {13, 14}
    assert (data.targets[[1, 4, 5], ..., HEALTH] == ABSENT).all()
