"""Cell detectors: targets from what was drawn, learning where, and the way back from tensors."""

import numpy as np
import pytest

from models.cells import (
    ABSENT,
    HEALTH,
    OVERLAY,
    PRESENT,
    UNKNOWN,
    CellDetectors,
    CellOptions,
    cover,
    fit_cells,
    present_where,
)


def test_cover_and_targets_follow_what_was_drawn() -> None:
    base = np.full((32, 64, 3), 100, np.uint8)
    drawn = base.copy()
    drawn[0:8, 8:20] = 200  # all of cell (0, 1), half of cell (0, 2)
    drawn[8:9, 0:8] = 106  # too faint to see
    covered = cover(drawn, base, (4, 8))
    assert covered[0, :4].tolist() == [0.0, 1.0, 0.5, 0.0]
    assert present_where(covered)[0, :4].tolist() == [ABSENT, PRESENT, PRESENT, ABSENT]


def test_thin_overlays_count_by_their_best_cell() -> None:
    covered = np.array([[0.0, 0.12, 0.07, 0.03]])
    assert present_where(covered).tolist() == [[ABSENT, PRESENT, PRESENT, UNKNOWN]]
    assert (present_where(np.zeros((2, 2))) == ABSENT).all()


def toy(count: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Maps of noise; an overlay raises channel 0 of one cell, hearts raise channel 1 of another."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(count, 4, 6, 5)).astype(np.float16)
    targets = np.zeros((count, 4, 6, 2), np.int8)
    for index in range(count):
        for detector in (OVERLAY, HEALTH):
            row, column = rng.integers(4), rng.integers(6)
            maps[index, row, column, detector] += 8
            targets[index, row, column, detector] = PRESENT
    return maps, targets


def test_detectors_find_the_cell() -> None:
    maps, targets = toy()
    net = fit_cells(maps, targets, np.arange(80), CellOptions(epochs=25, learning_rate=2e-2))
    found = net.logits(maps[80:]) > 0
    assert (found == (targets[80:] == PRESENT)).mean() > 0.98
    for detector in (OVERLAY, HEALTH):
        assert found[..., detector][targets[80:, ..., detector] == PRESENT].mean() > 0.8


def test_unknown_cells_teach_nothing() -> None:
    maps, targets = toy(32)
    targets[..., OVERLAY] = UNKNOWN
    other = targets.copy()
    other[..., HEALTH] = ABSENT
    rows, options = np.arange(32), CellOptions(epochs=1)
    a, b = (fit_cells(maps, t, rows, options).logits(maps) for t in (targets, targets))
    assert np.array_equal(a, b), "the same frames give the same detectors"
    c = fit_cells(maps, other, rows, options).logits(maps)
    assert not np.array_equal(a[..., HEALTH], c[..., HEALTH])


def test_tensors_come_back_and_others_are_refused() -> None:
    maps, targets = toy(32)
    net = fit_cells(maps, targets, np.arange(32), CellOptions(epochs=1))
    again = CellDetectors.from_tensors(net.state_dict())
    assert np.array_equal(again.logits(maps), net.logits(maps))
    with pytest.raises(ValueError, match="expected the tensors of cell detectors"):
        CellDetectors.from_tensors({"mean": net.mean})
