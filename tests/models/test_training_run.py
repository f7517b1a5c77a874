"""Where a run stands: by its steps or by the clock, and what it has cost."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models import checkpoint
from models.parallel import Workers
from models.train_config import TrainConfig
from models.training_run import COSTS, Run


class Forgetful:
    """An objective that remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[torch.Tensor] = []

    def remember(self, tensors: list[torch.Tensor]) -> None:
        self.told = tensors


def run(identity: dict[str, Any] | None = None, **values: Any) -> Run:
    """A run of 100 steps at its beginning."""
    model, config = (
        nn.Linear(2, 1),
        TrainConfig(learning_rate=0.1, batch=1, **{"max_steps": 100, "device": "cpu", **values}),
    )
    optimiser = torch.optim.Adam(model.parameters())
    return Run(model, model, optimiser, Forgetful(), config, identity or {}, 100, Workers())


@pytest.mark.parametrize(
    ("step", "clock", "share", "last"),
    [(25, 0.0, 0.25, 100), (25, 5.0, 0.5, 50), (80, 5.0, 0.8, 100), (25, 30.0, 1.0, 25)],
)
def test_steps_or_the_clock_end_a_run_whichever_is_further(step: int, clock: float, share: float, last: int) -> None:
    now = run(max_seconds=10.0)
    now.step, now.clock = step, clock
    assert (now.share_done, now.last_step) == (share, last)


def test_a_checkpoint_is_due_by_steps_and_by_the_clock() -> None:
    by_step, by_clock, never = (
        run(max_steps=9, checkpoint_every=4),
        run(max_steps=9, checkpoint_seconds=60),
        run(max_steps=9),
    )
    for now in (by_step, by_clock, never):
        now.step, now.clock, now.saved_at = 8, 100.0, 50.0
    assert (by_step.checkpoint_is_due, by_clock.checkpoint_is_due, never.checkpoint_is_due) == (True, False, False)
    by_step.step, by_clock.clock = 9, 110.0
    assert (by_step.checkpoint_is_due, by_clock.checkpoint_is_due) == (False, True)


def test_costs_go_on_from_those_of_earlier_processes() -> None:
    now = run(device="cuda:1")
    now.before, now.started = {"seconds": 100.0, "cpu_seconds": 500.0, "gpu_seconds": 70.0}, time.monotonic() - 10
    assert now.seconds == pytest.approx(110, abs=5)
    assert now.gpu_seconds == pytest.approx(80, abs=5)
    assert 500 <= now.cpu_seconds < 600
    assert set(COSTS) <= set(now.state())


def test_a_run_goes_on_from_its_checkpoint_and_from_no_other(tmp_path: Path) -> None:
    left, memory = run({"seed": 1}), [torch.tensor([3.0])]
    left.step, left.position, left.history = 7, [1, 2], [{"step": 7, "loss": 0.5}]
    folder = checkpoint.write(tmp_path, 7, left.model, left.optimiser, memory, left.state())
    there = run({"seed": 1})
    there.resume(folder)
    assert (there.step, there.position, there.history) == (7, [1, 2], left.history)
    torch.testing.assert_close(there.model.state_dict(), left.model.state_dict())
    assert isinstance(there.objective, Forgetful)
    assert there.objective.told == memory
    other = run({"seed": 2})
    with pytest.raises(ValueError, match=r"another config or other data: expected \{'seed': 2\}, got \{'seed': 1\}"):
        other.resume(folder)
    assert other.step == 0
