"""Dropout from draws of eight at a time: how much, where, and what is left."""

import pytest
import torch

from models.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_share_is_zero_and_the_mean_stays(share: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(300, 1001)  # no multiple of eight
    found = Dropout(share)(x)
    assert (found == 0).float().mean().item() == pytest.approx(share, abs=0.004)
    assert found.mean().item() == pytest.approx(1, abs=0.01)
    assert found.unique().numel() == 2
    assert (found == 0).float().mean(0).std() < 0.04, "no column is favoured"


def test_each_value_is_drawn_apart_and_by_the_seed() -> None:
    torch.manual_seed(0)
    drop, x = Dropout(0.5), torch.ones(4096, 16)
    first = drop(x) > 0
    correlation = torch.corrcoef(first.T.float()) - torch.eye(16)
    assert correlation.abs().max() < 0.08
    torch.manual_seed(0)
    assert torch.equal(drop(x) > 0, first)
    assert not torch.equal(drop(x) > 0, first)


def test_gradients_go_where_values_were_kept() -> None:
    x = torch.ones(64, 8, dtype=torch.bfloat16, requires_grad=True)
    found = Dropout(0.25)(x)
    found.sum().backward()
    assert found.dtype == torch.bfloat16
    assert torch.equal(x.grad, found.detach())


def test_nothing_changes_outside_of_training_or_for_a_share_of_none() -> None:
    x = torch.randn(3, 3)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x
