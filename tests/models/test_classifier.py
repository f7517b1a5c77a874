"""The SVM: agrees with scikit-learn, weighs features as asked, refuses what does not fit; folds and odds."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from models.classifier import ClassifierConfig, CleanClassifier, FitOptions, fit_svm, folds, platt, sigmoid


def blobs(frames: int = 120, dim: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Two overlapping classes."""
    rng = np.random.default_rng(0)
    is_clean = rng.random(frames) < 0.5
    features = rng.normal(size=(frames, dim)) + is_clean[:, None] * 1.2
    return features.astype(np.float32), is_clean


def classifier(weights: np.ndarray | None = None) -> CleanClassifier:
    features, is_clean = blobs()
    weights = np.ones(features.shape[1]) if weights is None else weights
    arrays, gamma, intercept = fit_svm(features, is_clean, weights, FitOptions())
    return CleanClassifier(
        ClassifierConfig(gamma=gamma, intercept=intercept, platt_slope=1.0, platt_offset=0.0), arrays
    )


def test_the_decision_equals_scikit_learn() -> None:
    features, is_clean = blobs()
    scaler = StandardScaler().fit(features.astype(np.float64))
    svm = SVC(C=20, gamma=1 / features.shape[1], class_weight="balanced").fit(scaler.transform(features), is_clean)
    fresh = np.random.default_rng(1).normal(size=(50, features.shape[1])).astype(np.float32)
    wanted = svm.decision_function(scaler.transform(fresh.astype(np.float64)))
    np.testing.assert_allclose(classifier().decision(fresh), wanted, atol=1e-4)  # arrays are kept as float32


def test_weights_stretch_features_in_the_kernel() -> None:
    features, is_clean = blobs()
    weights = np.array([6.0] + [1.0] * 11)
    scaler = StandardScaler().fit(features.astype(np.float64))
    scale = np.maximum(scaler.scale_, np.where(weights > 1, 1.0, 0.0))
    scaled = (features - scaler.mean_) / scale * weights
    svm = SVC(C=20, gamma=1 / (weights**2).sum(), class_weight="balanced").fit(scaled, is_clean)
    np.testing.assert_allclose(classifier(weights).decision(features), svm.decision_function(scaled), atol=1e-4)


def test_foreign_features_and_arrays_are_refused() -> None:
    found = classifier()
    with pytest.raises(ValueError, match=r"expected features \(N, 12\)"):
        found.score(blobs()[0][:, :5])
    with pytest.raises(ValueError, match="do not belong together"):
        CleanClassifier(found.config, {**found.arrays, "support": found.arrays["support"][:, :5]})
    with pytest.raises(ValueError, match="dual"):
        CleanClassifier(found.config, {name: a for name, a in found.arrays.items() if name != "dual"})


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
