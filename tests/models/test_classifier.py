"""The SVM: agrees with scikit-learn, survives a round trip without pickle, and never peeks at held-out videos."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from models.classifier import CleanClassifier, FitOptions, fit, folds, load_embedder_of, platt, sigmoid
from models.weights import load_model, save_model

NAME = ("efficientnet-lite0", "d" * 64)


def blobs(videos: int = 6, per_video: int = 20, dim: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two overlapping classes, and an offset for each video that says nothing about the class."""
    rng = np.random.default_rng(0)
    groups = np.repeat([f"video{i}" for i in range(videos)], per_video)
    is_clean = rng.random(len(groups)) < 0.5
    features = rng.normal(size=(len(groups), dim)) + is_clean[:, None] * 1.2
    features += np.repeat(rng.normal(size=(videos, dim)) * 0.3, per_video, axis=0)
    return features.astype(np.float32), is_clean, groups


def test_the_decision_equals_scikit_learn() -> None:
    features, is_clean, groups = blobs()
    classifier = fit(features, is_clean, groups, NAME).classifier
    scaler = StandardScaler().fit(features.astype(np.float64))
    svm = SVC(C=20, gamma=1 / features.shape[1], class_weight="balanced").fit(scaler.transform(features), is_clean)
    fresh = np.random.default_rng(1).normal(size=(50, features.shape[1])).astype(np.float32)
    np.testing.assert_allclose(
        classifier.decision(fresh), svm.decision_function(scaler.transform(fresh.astype(np.float64))), atol=1e-6
    )


def test_save_and_load_give_the_same_scores_and_no_pickle(tmp_path: Path) -> None:
    features, is_clean, groups = blobs()
    classifier = fit(features, is_clean, groups, NAME).classifier
    classifier.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    again = CleanClassifier.load(tmp_path)
    assert np.array_equal(again.score(features), classifier.score(features))
    assert again.config == classifier.config


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fit(*blobs(), NAME).classifier.save(tmp_path / name)
    assert (tmp_path / "a/weights.safetensors").read_bytes() == (tmp_path / "b/weights.safetensors").read_bytes()
    assert (tmp_path / "a/model.json").read_bytes() == (tmp_path / "b/model.json").read_bytes()


def test_scores_are_calibrated_on_held_out_videos() -> None:
    features, is_clean, groups = blobs(videos=20)
    scores = fit(features, is_clean, groups, NAME).held_out_scores
    assert 0.85 < ((scores >= 0.5) == is_clean).mean() <= 1.0
    sure = scores > 0.8
    assert is_clean[sure].mean() > 0.8


def test_a_label_that_only_its_video_explains_cannot_be_learnt() -> None:
    """Features name the video and nothing else: by frame that is perfect, by held-out video it is worth nothing."""
    groups = np.repeat([f"v{i}" for i in range(10)], 10)
    is_clean = np.repeat(np.arange(10) % 2 == 0, 10)
    features = np.repeat(np.eye(10), 10, axis=0).astype(np.float32)
    fitted = fit(features, is_clean, groups, NAME, FitOptions(folds=10))
    assert ((fitted.classifier.decision(features) > 0) == is_clean).all()
    assert (((fitted.held_out_scores >= 0.5) == is_clean).mean()) <= 0.6


def test_drawn_frames_train_but_are_not_measured() -> None:
    features, is_clean, groups = blobs()
    is_real = np.arange(len(groups)) % 2 == 0
    scores = fit(features, is_clean, groups, NAME, is_real=is_real).held_out_scores
    assert np.array_equal(np.isfinite(scores), is_real)


def test_folds_hold_whole_videos_and_are_balanced() -> None:
    groups = np.array(["a"] * 50 + ["b"] * 30 + ["c"] * 25 + ["d"] * 5)
    masks = folds(groups, 2)
    assert sorted(int(mask.sum()) for mask in masks) == [55, 55]
    assert (np.sum(masks, axis=0) == 1).all()
    assert all(len({bool(m) for m in mask[groups == "b"]}) == 1 for mask in masks)


def test_platt_finds_the_odds() -> None:
    rng = np.random.default_rng(0)
    decisions = rng.normal(size=20000) * 2
    is_clean = rng.random(20000) < sigmoid(1.7 * decisions)
    slope, offset = platt(decisions, is_clean)
    assert slope == pytest.approx(1.7, abs=0.08)
    assert offset == pytest.approx(0.0, abs=0.06)
    rare = ~is_clean | (rng.random(20000) < 0.1)  # nine of ten clean frames go missing: 0.5 stays where it was
    assert platt(decisions[rare], is_clean[rare]) == pytest.approx((1.7, 0.0), abs=0.15)
    assert platt(decisions, ~is_clean)[0] > 0, "a score must never fall with the decision"


@pytest.mark.parametrize("clean", [0.0, 2.0])
def test_one_class_is_refused(clean: float) -> None:
    features, _, groups = blobs()
    with pytest.raises(ValueError, match="clean and unclean frames from at least two videos"):
        fit(features, np.full(len(groups), clean > 1), groups, NAME)


def test_foreign_files_and_features_are_refused(tmp_path: Path) -> None:
    features, is_clean, groups = blobs()
    classifier = fit(features, is_clean, groups, NAME).classifier
    with pytest.raises(ValueError, match=r"expected features \(N, 12\)"):
        classifier.score(features[:, :5])
    classifier.save(tmp_path)
    config, tensors = load_model(tmp_path, "filter")
    save_model(tmp_path, "filter", config, {**tensors, "support": tensors["support"][:, :5]})
    with pytest.raises(ValueError, match="do not belong together"):
        CleanClassifier.load(tmp_path)
    save_model(tmp_path, "filter", config, {name: t for name, t in tensors.items() if name != "dual"})
    with pytest.raises(ValueError, match="dual"):
        CleanClassifier.load(tmp_path)


def test_another_embedder_than_in_training_is_refused() -> None:
    classifier = fit(*blobs(), NAME).classifier
    with pytest.raises(ValueError, match="filter was trained on other features"):
        load_embedder_of(classifier)
