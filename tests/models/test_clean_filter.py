"""The filter as a whole: a round trip without pickle, maps that do not fit, evidence that lasts."""

from pathlib import Path

import numpy as np
import pytest

from models.cells import CellOptions
from models.classifier import FitOptions
from models.clean_filter import CleanFilter, load_embedder_of, settled
from models.fit_filter import fit
from models.weights import load_model, save_model
from tests.models.toy_filter import ToyEmbedder, toy_videos


@pytest.fixture(scope="module")
def trained() -> CleanFilter:
    return fit(
        toy_videos(), ToyEmbedder(), FitOptions(folds=2), CellOptions(epochs=30, learning_rate=2e-2)
    ).clean_filter


def test_save_and_load_give_the_same_scores_and_no_pickle(trained: CleanFilter, tmp_path: Path) -> None:
    trained.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    again, data = CleanFilter.load(tmp_path), toy_videos(videos=1, seed=3)
    observed = trained.observe(data.maps)
    assert np.array_equal(again.observe(data.maps), observed)
    assert np.array_equal(again.score(observed, data.times_s), trained.score(observed, data.times_s))
    assert again.config == trained.config


def test_the_boundary_of_an_unseen_video_lies_on_its_sample(trained: CleanFilter) -> None:
    data = toy_videos(videos=1, seed=7)
    scores = trained.score(trained.observe(data.maps), data.times_s)
    assert np.array_equal(scores >= 0.5, data.is_clean)


def test_evidence_that_is_sure_but_less_than_ever_is_settled_alike(trained: CleanFilter) -> None:
    """A sample beside a boundary, where one side of the chain speaks against it."""
    data = toy_videos(videos=1, seed=7)
    seen = trained.features(trained.observe(data.maps), data.times_s)[:1]
    less, doubtful = seen.copy(), seen.copy()
    less[:, :2] = seen[:, :2] / 4
    doubtful[:, 0] = 0.0
    assert np.abs(seen[0, :2]).tolist() == [6.0, 6.0]
    assert np.array_equal(settled(less), settled(seen))
    assert (settled(doubtful)[:, 0] == 0).all(), "even odds are no certainty"


def test_a_few_numbers_are_kept_of_a_frame(trained: CleanFilter) -> None:
    assert trained.observe(toy_videos(videos=1).maps).shape == (60, 4 * 6 + 1 + 8)
    assert trained.score(np.empty((0, 33), np.float16), np.empty(0)).shape == (0,)


def test_what_does_not_fit_is_refused(trained: CleanFilter, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected maps of \(4, 6, 8\) of toy, got"):
        trained.observe(np.zeros((1, 4, 6, 9), np.float16))
    with pytest.raises(ValueError, match="there are efficientnet-lite0"):
        load_embedder_of(trained)
    trained.save(tmp_path)
    config, tensors = load_model(tmp_path, "filter")
    save_model(tmp_path, "filter", config, {n: t for n, t in tensors.items() if n != "overlay_middles"})
    with pytest.raises(ValueError, match="got an older one; train it again"):
        CleanFilter.load(tmp_path)
    save_model(tmp_path, "filter", {n: v for n, v in config.items() if n != "doubt"}, tensors)
    with pytest.raises(ValueError, match="got an older one; train it again"):
        CleanFilter.load(tmp_path)
    save_model(tmp_path, "filter", config, {n: t for n, t in tensors.items() if n != "svm.dual"})
    with pytest.raises(ValueError, match="dual"):
        CleanFilter.load(tmp_path)
