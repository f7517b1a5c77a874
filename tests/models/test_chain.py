"""Evidence over time: faint and lasting beats strong and short, ends stay sharp, gaps separate."""

import itertools

import numpy as np
import pytest

from models.chain import LIMIT, best_path, smooth


def times(count: int) -> np.ndarray:
    return np.arange(count) / 3


def test_one_sample_alone_keeps_its_evidence() -> None:
    found = smooth(np.array([[2.5], [-1.0]]), np.array([0.0, 100.0]), price=12.0)
    assert found[:, 0].tolist() == pytest.approx([2.5, -1.0])


def test_faint_and_lasting_adds_up_and_its_ends_are_sharp() -> None:
    evidence = np.where((np.arange(60) >= 20) & (np.arange(60) < 40), 1.5, -1.5)[:, None]
    found = smooth(evidence, times(60), price=12.0)[:, 0]
    assert np.flatnonzero(found > 0).tolist() == list(range(20, 40))
    assert found[30] == LIMIT


def test_strong_and_short_does_not_count() -> None:
    evidence = np.full((30, 1), -2.0)
    evidence[15] = 50.0
    assert (smooth(evidence, times(30), price=12.0) < 0).all()


def test_a_posterior_is_that_of_the_chain() -> None:
    """Against the sum over all paths of a short chain."""
    evidence, price = np.array([0.7, -1.2, 2.0, 0.3]), 1.1
    odds = np.zeros((4, 2))
    for code in range(16):
        states = np.array([code >> t & 1 for t in range(4)])
        weight = np.exp((states * evidence).sum() - price * np.abs(np.diff(states)).sum())
        odds[np.arange(4), states] += weight
    found = smooth(evidence[:, None], times(4), price)[:, 0]
    np.testing.assert_allclose(found, np.log(odds[:, 1] / odds[:, 0]), atol=1e-5)


def test_a_gap_starts_anew_and_chains_are_apart() -> None:
    evidence = np.full((20, 40), -1.0)
    evidence[:10, 7] = 3.0
    when = np.concatenate([times(10), 50 + times(10)])
    found = smooth(evidence, when, price=12.0)
    assert (found[:10, 7] > 0).all()
    assert (found[10:, 7] < 0).all()
    assert (np.delete(found, 7, axis=1) < 0).all()
    assert smooth(np.zeros((0, 3)), np.zeros(0), 12.0).shape == (0, 3)


@pytest.mark.parametrize("price", [0.0, 0.75, 3.0])
def test_the_best_path_is_the_best_of_all_paths(price: float) -> None:
    log_odds = np.random.default_rng(0).normal(0, 2, (9, 4))
    paths = np.array(list(itertools.product([False, True], repeat=9)))
    changes = price * (paths[:, 1:] != paths[:, :-1]).sum(1)
    for column, found in zip(log_odds.T, best_path(log_odds, price).T, strict=True):
        assert found.tolist() == paths[(paths @ column - changes).argmax()].tolist()


def test_without_a_price_each_step_stands_alone() -> None:
    assert best_path(np.array([[1.0], [-0.1], [0.2]]), 0.0)[:, 0].tolist() == [True, False, True]
    assert best_path(np.zeros((0, 3)), 1.0).shape == (0, 3)
