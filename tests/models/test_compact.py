"""Weights in fewer bits: how far off, and the same bytes for ever."""

import pytest
import torch

from models.compact import packed, unpacked

WEIGHTS = {"matrix": torch.randn(6, 4, 3), "vector": torch.randn(5), "nothing": torch.zeros(4, 0)}


def test_matrices_are_whole_steps_of_their_row_and_vectors_halves() -> None:
    found = packed({"matrix": torch.tensor([[0.5, -127.0, 63.6], [0.0, 2.54, -1.28]]), "vector": torch.ones(2)}, 8)
    assert found["matrix"].dtype == torch.int8
    assert found["matrix"].tolist() == [[0, -127, 64], [0, 127, -64]]
    assert found["matrix_step"].tolist() == pytest.approx([1.0, 0.02], rel=1e-3)
    assert found["vector"].dtype == found["matrix_step"].dtype == torch.float16


@pytest.mark.parametrize(("bits", "within"), [(32, 0.0), (16, 2**-11), (8, 0.51 / 127)])
def test_what_is_unpacked_is_near_and_packs_to_the_same_again(bits: int, within: float) -> None:
    """Off by half a step, of which the largest value of a row has 127; by half a unit of the last place."""
    found = unpacked(packed(WEIGHTS, bits))
    assert found.keys() == WEIGHTS.keys()
    for name, tensor in WEIGHTS.items():
        assert found[name].dtype == torch.float32
        largest = tensor.abs().flatten(1).amax(1) if name == "matrix" else tensor.abs()
        off = (found[name] - tensor).abs().flatten(1).amax(1) if name == "matrix" else (found[name] - tensor).abs()
        assert (off <= within * largest).all()
    again = packed(found, bits)
    assert all(torch.equal(again[name], tensor) for name, tensor in packed(WEIGHTS, bits).items())


def test_rows_of_nothing_and_of_very_little_stay() -> None:
    tiny = {"w": torch.tensor([[0.0, 0.0], [1e-30, 0.0], [3e-3, -1e-3]])}
    found = unpacked(packed(tiny, 8))["w"]
    assert found[:2].tolist() == [[0, 0], [0, 0]]
    assert found[2].tolist() == pytest.approx([3e-3, -1e-3], abs=4e-5)


def test_steps_that_are_missing_are_an_error() -> None:
    found = packed(WEIGHTS, 8)
    del found["matrix_step"]
    with pytest.raises(
        ValueError, match="here: matrix has 8 bits, expected its step sizes beside it, matrix_step, found none"
    ):
        unpacked(found, "here")
