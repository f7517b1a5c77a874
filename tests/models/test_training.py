"""The shared loop: schedule, limits, errors, and a resume that changes nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.augment import AugmentConfig
from models.batches import Batch, RandomWindows
from models.dataset import Episode
from models.errors import Diverged
from models.training import Surroundings, TrainConfig, TrainResult, learning_rate_factor, train

CONFIG = TrainConfig(learning_rate=0.01, batch=2, window=4, max_steps=12, log_every=1, augment=AugmentConfig())


def episodes() -> list[Episode]:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    return [Episode("e", "w", frames, rng.random((60, 20)) < 0.5, np.zeros((60, 2)), np.ones(60, np.float32))]


class Remembering:
    """Predicts the buttons from the mean colour and a memory of the loss so far, so a lost memory would show."""

    def __init__(self) -> None:
        self.past = torch.zeros(1)

    def loss(self, model: nn.Module, batch: Batch, device: str) -> tuple[torch.Tensor, dict[str, float]]:
        colour = torch.from_numpy(batch.frames).float().mean(dim=(2, 3)) / 255
        logits = nn.functional.dropout(model(colour), 0.3) + self.past
        loss = nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(batch.buttons).float())
        self.past = 0.5 * self.past + 0.1 * loss.detach()
        return loss, {}

    def memory(self) -> list[torch.Tensor]:
        return [self.past]

    def remember(self, tensors: list[torch.Tensor]) -> None:
        self.past = tensors[0]


def run(config: TrainConfig, **options: Any) -> TrainResult:
    torch.manual_seed(0)
    model = options.pop("model", None) or nn.Linear(3, 20)

    def source(position: Any) -> RandomWindows:
        return RandomWindows(episodes(), config.window, config.batch, config.seed, position or 0)

    total = config.total_steps(60)
    data = options.pop("data", {})
    return train(model, Remembering(), source, config, total_steps=total, data=data, where=Surroundings(**options))


def losses(result: TrainResult) -> list[float]:
    return [row["loss"] for row in result.history]


def test_a_resumed_run_gives_the_losses_of_one_that_never_stopped(tmp_path: Path) -> None:
    """Weights, Adam's moments, the objective's memory, dropout, augmentation and data order all continue."""
    config = replace(CONFIG, checkpoint_every=3)
    whole = losses(run(config))

    def stop(step: int, total: int, metrics: dict[str, float]) -> None:
        if step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, out_dir=tmp_path, progress=stop)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-00000003", "step-00000006"]
    resumed = run(config, out_dir=tmp_path)
    assert losses(resumed) == whole
    assert len(whole) == resumed.steps == 12


def test_a_checkpoint_of_another_config_is_refused(tmp_path: Path) -> None:
    run(replace(CONFIG, checkpoint_every=3), out_dir=tmp_path)
    with pytest.raises(ValueError, match=r"another config.*expected \{'learning_rate': 0\.02\}, got .* 0\.01"):
        run(replace(CONFIG, checkpoint_every=3, learning_rate=0.02), out_dir=tmp_path)
    with pytest.raises(ValueError, match="other data"):
        run(replace(CONFIG, checkpoint_every=3), out_dir=tmp_path, data={"episodes": ["another"]})


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    whole, steps = run(CONFIG, out_dir=tmp_path), []
    again = run(CONFIG, out_dir=tmp_path, progress=lambda step, total, metrics: steps.append(step))
    assert steps == []
    assert losses(again) == losses(whole)
    assert again.cpu_seconds >= whole.cpu_seconds > 0 == again.gpu_seconds


def test_checkpoints_by_the_clock_are_announced_when_they_are_whole(tmp_path: Path) -> None:
    seen: list[str] = []

    def look(folder: Path) -> None:
        assert (folder / "state.json").exists()
        seen.append(folder.name)

    run(replace(CONFIG, checkpoint_seconds=1e-9), out_dir=tmp_path, on_checkpoint=look)
    assert seen == [f"step-{step:08d}" for step in [*range(1, 13), 12]]


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone() -> None:
    """The loss is fine and its slope is not: the square root at zero."""

    class Root(Remembering):
        def loss(self, model: nn.Module, batch: Batch, device: str) -> tuple[torch.Tensor, dict[str, float]]:
            return (0.0 * model(torch.zeros(1, 3))).sum().sqrt(), {}

    model = nn.Linear(3, 20)
    before = model.weight.detach().clone()
    with pytest.raises(Diverged, match=r"norm of the gradient is nan at step 0"):
        train(model, Root(), lambda position: RandomWindows(episodes(), 4, 2, 0), CONFIG, total_steps=1)
    assert torch.equal(model.weight, before)


def test_the_seed_decides() -> None:
    assert losses(run(CONFIG)) == losses(run(CONFIG))
    assert losses(run(CONFIG)) != losses(run(replace(CONFIG, seed=1)))


def test_learning_rate_warms_up_and_decays_to_zero() -> None:
    rates = [learning_rate_factor(step, 4, step / 100) for step in range(101)]
    assert rates[:4] == pytest.approx([0.25, 0.5 * 0.99, 0.75 * 0.98, 0.97])
    assert rates[50] == 0.5
    assert rates[100] == 0.0


def test_the_history_holds_means_and_the_last_partial_row() -> None:
    single, grouped = run(CONFIG), run(replace(CONFIG, log_every=5))
    assert [row["step"] for row in grouped.history] == [5, 10, 12]
    assert grouped.history[0]["loss"] == pytest.approx(np.mean(losses(single)[:5]))
    assert grouped.final_loss == pytest.approx(np.mean(losses(single)[10:]))


def test_progress_is_called_each_step() -> None:
    calls: list[tuple[int, int]] = []
    run(CONFIG, progress=lambda step, total, metrics: calls.append((step, total)))
    assert calls == [(i, 12) for i in range(1, 13)]


def test_max_seconds_stops_a_long_run() -> None:
    expected: list[int] = []
    config = replace(CONFIG, max_steps=10**7, max_seconds=0.5)
    result = run(config, progress=lambda step, total, metrics: expected.append(total))
    assert 0.5 <= result.seconds < 5
    assert expected[-1] == result.steps, "what progress counts up to is where the clock will end it"
    assert expected[0] < 10**6
    assert result.history[-1]["learning_rate"] < 0.3 * CONFIG.learning_rate


def test_epochs_become_steps() -> None:
    assert replace(CONFIG, max_steps=None, epochs=20).total_steps(frames=800) == 20 * 800 / (2 * 4)


def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_to_do() -> None:
    model = nn.Linear(3, 20)
    nn.init.constant_(model.bias, float("nan"))
    with pytest.raises(Diverged, match=r"nan at step 0.*learning_rate"):
        run(CONFIG, model=model)


@pytest.mark.parametrize(
    "values", [{"learning_rate": 0.0}, {"batch": 0}, {"clip_norm": -1.0}, {"warmup_steps": -1}, {"max_seconds": 0.0}]
)
def test_impossible_values_are_refused_by_name(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        replace(CONFIG, **values)


def test_a_run_needs_an_end() -> None:
    with pytest.raises(ValueError, match="max_steps or epochs"):
        replace(CONFIG, max_steps=None)
