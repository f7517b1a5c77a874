"""The training loop shared by the IDM and the policy: Adam, warm-up, linear decay, clipping, checkpoints.

Two ways to end a run. `max_steps` or `epochs`: the same seed gives the same weights, on one machine. `max_seconds`:
for a demonstration; the learning rate still decays to 0, by the clock, so the result depends on the machine's speed.

All randomness of a step derives from (seed, step), and a source of batches hands out its
position, so a run resumed from a checkpoint (`models.checkpoint`) gives the losses that the
stopped one would have given.
"""

import json
import math
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from models.augment import AugmentConfig, augment_batch
from models.checkpoint import newest, read_state, restore, write
from models.dataset import Batch

Progress = Callable[[int, int, dict[str, float]], None]
"""Called after each step with (step, total steps, metrics)."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What both trainings share. `train_idm` and `train_bc` have recipes with the paper's values."""

    learning_rate: float
    """Adam's step size at its highest; decays linearly to 0."""
    batch: int
    """Windows per step."""
    window: int = 128
    """Frames per window."""
    max_steps: int | None = None
    """Steps of the whole run; None takes `epochs`."""
    epochs: float | None = None
    """Passes over the training frames; ignored where `max_steps` is set."""
    max_seconds: float | None = None
    """Stop after this many seconds even if steps are left; None for no limit. Makes the run depend on the clock."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from 0."""
    weight_decay: float = 0.0
    """Coupled L2 (Adam, not AdamW), as in the paper."""
    clip_norm: float | None = None
    """Largest norm of the gradient; None for no clipping."""
    augment: AugmentConfig | None = None
    """Augmentation, one draw per window; None for none."""
    seed: int = 0
    """Seed of the order of windows and of the augmentation."""
    log_every: int = 10
    """Steps per row of the history; a row holds means over them."""
    checkpoint_every: int = 0
    """Steps between checkpoints; 0 for none. Needs an output folder."""
    device: str = "cpu"
    """torch device."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the forward pass; weights and losses stay float32."""

    def __post_init__(self) -> None:
        if self.max_steps is None and self.epochs is None:
            raise ValueError("training needs max_steps or epochs, got neither; set one in the config")
        positive = ("learning_rate", "batch", "window", "max_steps", "epochs", "max_seconds", "clip_norm", "log_every")
        for name in positive:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"training config: {name} must be above 0, got {value}")
        for name in ("warmup_steps", "weight_decay", "checkpoint_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"training config: {name} must be 0 or more, got {getattr(self, name)}")

    def total_steps(self, frames: int) -> int:
        """Steps of the whole run over `frames` training frames."""
        if self.max_steps is not None:
            return self.max_steps
        return max(1, math.ceil((self.epochs or 0) * frames / (self.batch * self.window)))


@dataclass(frozen=True)
class TrainResult:
    """What a run did."""

    history: list[dict[str, float]]
    """One row per `log_every` steps: step, loss, learning_rate, grad_norm, seconds, and the objective's own figures."""
    steps: int
    seconds: float

    @property
    def final_loss(self) -> float:
        """Mean loss of the last row."""
        return self.history[-1]["loss"]


class Source(Protocol):
    """Endless batches. `position` is JSON-able and says which batch comes next."""

    position: Any

    def __iter__(self) -> Iterator[Batch]: ...

    def __next__(self) -> Batch: ...


class Objective(Protocol):
    """What is minimised, and what it remembers from batch to batch."""

    def loss(self, model: nn.Module, batch: Batch, device: str) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch, a scalar with a gradient, and figures for the history."""
        ...

    def memory(self) -> list[Tensor]:
        """Tensors to keep in a checkpoint."""
        ...

    def remember(self, tensors: list[Tensor]) -> None:
        """Take back what `memory` gave."""
        ...


@dataclass
class _Run:
    """The moving parts of one run."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    objective: Objective
    config: TrainConfig
    total: int
    step: int = 0
    position: Any = None
    seconds_before: float = 0.0
    started: float = field(default_factory=time.monotonic)
    history: list[dict[str, float]] = field(default_factory=list)
    pending: list[dict[str, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    @property
    def share_done(self) -> float:
        """Share of the run that lies behind, 0 to 1: by steps or by the clock, whichever is further."""
        by_clock = self.seconds / self.config.max_seconds if self.config.max_seconds else 0.0
        return min(1.0, max(self.step / self.total, by_clock))

    def saved(self) -> dict[str, Any]:
        """What a checkpoint keeps as JSON."""
        names = ("step", "position", "seconds", "history", "pending")
        return {name: getattr(self, name) for name in names} | {"config": self.identity()}

    def identity(self) -> dict[str, Any]:
        """The config fields that the numbers of a run depend on, JSON-able."""
        free = ("max_seconds", "checkpoint_every", "device")
        return json.loads(json.dumps({name: value for name, value in asdict(self.config).items() if name not in free}))


def train(
    model: nn.Module,
    objective: Objective,
    make_source: Callable[[Any], Source],
    config: TrainConfig,
    *,
    total_steps: int,
    out_dir: Path | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train `model` in place; continues from the newest checkpoint in `out_dir` if there is one.

    `make_source(position)` gives the batches from a position on, or from the start for None.
    Raises ValueError for a loss that is not finite or a checkpoint of another config.
    """
    model.to(config.device).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    run = _Run(model, optimiser, objective, config, total_steps)
    folder = out_dir if config.checkpoint_every else None
    if folder is not None:
        _resume(run, newest(folder))
    with closing(_prefetched(make_source(run.position), config, run.step)) as batches:
        while run.step < total_steps and (run.share_done < 1.0 or run.step == 0):
            batch, run.position = next(batches)
            metrics = _step(run, batch, parameters)
            if folder is not None and run.step % config.checkpoint_every == 0:
                write(folder, run.step, model, optimiser, objective.memory(), run.saved())
            if progress is not None:
                progress(run.step, total_steps, metrics)
    _log(run, last=True)
    model.eval()
    return TrainResult(run.history, run.step, run.seconds)


def _resume(run: _Run, folder: Path | None) -> None:
    """Continue from a checkpoint, if there is one."""
    if folder is None:
        return
    state = read_state(folder)
    if state["config"] != run.identity():
        raise ValueError(
            f"{folder} was written by a run with another config {state['config']}, this one has "
            f"{run.identity()}; use a new output folder or delete the checkpoints"
        )
    memory = restore(folder, run.model, run.optimiser, run.config.device)
    run.objective.remember(memory)
    run.step, run.position, run.seconds_before = state["step"], state["position"], state["seconds"]
    run.history, run.pending = state["history"], state["pending"]


def _prefetched(source: Source, config: TrainConfig, step: int) -> Generator[tuple[Batch, Any]]:
    """Batches, augmented, with the position after each; the next one is prepared while the model works."""

    def prepare(step: int) -> tuple[Batch, Any]:
        batch = next(source)
        frames = augment_batch(batch.frames, config.augment, config.seed, step)
        return Batch(frames, batch.buttons, batch.camera_deg, batch.weight, batch.first), source.position

    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(prepare, step)
        while True:
            ready, step = ahead.result(), step + 1
            ahead = pool.submit(prepare, step)
            yield ready


def _step(run: _Run, batch: Batch, parameters: list[nn.Parameter]) -> dict[str, float]:
    """One optimiser step; returns its metrics."""
    config = run.config
    torch.manual_seed(config.seed * 1_000_003 + run.step)
    rate = config.learning_rate * learning_rate_factor(run.step, config.warmup_steps, run.share_done)
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    run.optimiser.zero_grad(set_to_none=True)
    with torch.autocast(config.device.split(":")[0], torch.bfloat16, enabled=config.precision == "bfloat16"):
        loss, metrics = run.objective.loss(run.model, batch, config.device)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise ValueError(
            f"the loss is {value} at step {run.step}; expected a finite number. Lower learning_rate "
            f"({config.learning_rate}), add warmup_steps or clip_norm, and look at the labels"
        )
    loss.backward()
    limit = config.clip_norm if config.clip_norm is not None else math.inf
    norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
    run.optimiser.step()
    run.step += 1
    metrics = {"loss": value, "learning_rate": rate, "grad_norm": float(norm), **metrics}
    run.pending.append(metrics)
    _log(run)
    return metrics


def learning_rate_factor(step: int, warmup_steps: int, share_done: float) -> float:
    """Warm-up times linear decay, 0 to 1."""
    warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    return warm * (1.0 - share_done)


def _log(run: _Run, last: bool = False) -> None:
    """Close a row of the history when it is full, or at the end of the run."""
    if not run.pending or (len(run.pending) < run.config.log_every and not last):
        return
    means = {name: sum(m[name] for m in run.pending) / len(run.pending) for name in run.pending[0]}
    run.history.append({"step": run.step, "seconds": round(run.seconds, 3), **means})
    run.pending.clear()
