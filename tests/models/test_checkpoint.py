"""Checkpoints: whole or not there, the newest few, and nothing lost on the way."""

from pathlib import Path

import pytest
import torch
from torch import nn

from models import checkpoint


def trained(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        model(torch.randn(4, 3)).square().mean().backward()
        optimiser.step()
    return model, optimiser


def test_weights_moments_memory_and_state_come_back(tmp_path: Path) -> None:
    model, optimiser = trained(0)
    memory = [torch.arange(3.0), torch.tensor([True, False])]
    checkpoint.write(tmp_path, 7, model, optimiser, memory, {"step": 7, "position": {"lanes": [[0, 8]]}})
    other, other_optimiser = trained(1)
    folder = checkpoint.newest(tmp_path)
    assert folder is not None
    back = checkpoint.restore(folder, other, other_optimiser, "cpu")
    assert checkpoint.read_state(folder)["position"] == {"lanes": [[0, 8]]}
    assert all(torch.equal(a, b) for a, b in zip(back, memory, strict=True))
    assert torch.equal(other.weight, model.weight)
    ours, theirs = (o.state_dict()["state"][0] for o in (other_optimiser, optimiser))
    assert all(torch.equal(ours[name], theirs[name]) for name in ("step", "exp_avg", "exp_avg_sq"))


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    model, optimiser = trained(0)
    for step in (3, 6, 9, 12):
        checkpoint.write(tmp_path, step, model, optimiser, [], {})
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-00000009", "step-00000012"]


def test_a_write_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    """State that is no JSON fails after the weights are written: the half-written folder is never taken."""
    model, optimiser = trained(0)
    checkpoint.write(tmp_path, 3, model, optimiser, [], {})
    with pytest.raises(TypeError):
        checkpoint.write(tmp_path, 6, model, optimiser, [], {"bad": object()})
    newest = checkpoint.newest(tmp_path)
    assert newest is not None
    assert newest.name == "step-00000003"


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path) is None
