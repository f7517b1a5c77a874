"""The training loop shared by the IDM and the policy: Adam, warm-up, linear decay, clipping, checkpoints.

Two ways to end a run. `max_steps` or `epochs`: the same seed gives the same weights, on one machine. `max_seconds`:
for a demonstration; the learning rate still decays to 0, by the clock, so the result depends on the machine's speed.

All randomness of a step derives from (seed, step), and a source of batches hands out its
position, so a run resumed from a checkpoint (`models.checkpoint`) gives the losses that the
stopped one would have given. The same loop runs on one worker or on many (`models.parallel`).
"""

import math
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from models import checkpoint
from models.augment import augment_batch
from models.batches import Batch
from models.errors import Diverged
from models.train_config import TrainConfig
from models.train_types import Objective, Progress, Source, Surroundings, TrainResult
from models.training_run import Run

__all__ = ["Objective", "Progress", "Source", "Surroundings", "TrainConfig", "TrainResult", "train"]


def train(
    model: nn.Module,
    objective: Objective,
    make_source: Callable[[Any], Source],
    config: TrainConfig,
    *,
    total_steps: int,
    data: Mapping[str, Any] | None = None,
    where: Surroundings | None = None,
) -> TrainResult:
    """Train `model` in place; continues from the newest checkpoint in `where.out_dir` if there is one.

    `make_source(position)` gives this worker's part of the batches from a position on, or from the start for None.
    `data` (JSON-able) says what is trained on; a checkpoint of other data is refused.
    Raises Diverged for a loss or gradient that is not finite, ValueError for a checkpoint of another run.
    """
    where, config = where or Surroundings(), config.on_this_machine()
    run = _start(model, objective, config, total_steps, data or {}, where)
    with closing(_prefetched(make_source(run.position), run)) as batches:
        while run.step < total_steps and (run.share_done < 1.0 or run.step == 0):
            batch, run.position = next(batches)
            metrics = _step(run, batch)
            _log(run, where)
            if where.out_dir and run.checkpoint_is_due:
                _save(run, where)
            if where.progress is not None:
                where.progress(run.step, run.last_step, metrics)
    _log(run, where, last=True)
    if where.out_dir:
        _save(run, where)
    model.eval()
    return TrainResult(run.history, run.step, run.seconds, run.cpu_seconds, run.gpu_seconds, run.machine)


def _start(
    model: nn.Module,
    objective: Objective,
    config: TrainConfig,
    total_steps: int,
    data: Mapping[str, Any],
    where: Surroundings,
) -> Run:
    """A run at its beginning, or where its newest checkpoint left it."""
    model.to(config.device).train()
    optimiser = _optimiser(model, config)
    identity = {**config.content(), "log_every": config.log_every, "total_steps": total_steps, "data": dict(data)}
    run = Run(model, model, optimiser, objective, config, identity, total_steps, where.workers)
    if where.out_dir and (folder := checkpoint.newest(where.out_dir)):
        run.resume(folder)
    run.called = where.workers.wrapped(model, in_parts=getattr(model, "in_parts", False))
    return run


def _optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not config.decoupled_decay:
        return torch.optim.Adam(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _save(run: Run, where: Surroundings) -> None:
    """Write a checkpoint; every worker takes part, the first one writes."""
    assert where.out_dir is not None
    memory, state = run.workers.gathered(run.objective.memory()), run.state()
    run.saved_at = run.clock
    if run.workers.rank == 0:
        folder = checkpoint.write(where.out_dir, run.step, run.model, run.optimiser, memory, state)
        if where.on_checkpoint is not None:
            where.on_checkpoint(folder)


def _prefetched(source: Source, run: Run) -> Generator[tuple[Batch, Any]]:
    """Batches, augmented, with the position after each; the next one is prepared while the model works."""
    config = run.config

    def prepare(step: int) -> tuple[Batch, Any]:
        batch = next(source)
        frames = augment_batch(batch.frames, config.augment, config.seed, _own(step, run))
        return replace(batch, frames=frames), source.position

    with ThreadPoolExecutor(max_workers=1) as pool:
        step = run.step
        ahead = pool.submit(prepare, step)
        while True:
            ready, step = ahead.result(), step + 1
            ahead = pool.submit(prepare, step)
            yield ready


def _own(step: int, run: Run) -> int:
    """The step as this worker's random draws know it: workers must not all draw the same."""
    return step + (run.workers.rank << 40)


def _step(run: Run, batch: Batch) -> dict[str, float]:
    """One optimiser step; returns its metrics."""
    config = run.config
    torch.manual_seed(_own(config.seed * 1_000_003 + run.step, run))
    rate = config.learning_rate * learning_rate_factor(run.step, config.warmup_steps, run.share_done)
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    run.optimiser.zero_grad(set_to_none=True)
    with torch.autocast(config.device.split(":")[0], torch.bfloat16, enabled=config.precision == "bfloat16"):
        loss, figures = run.objective.loss(run.called, batch, config.device)
    metrics, share = _agreed(run, {"loss": float(loss.detach()), **figures}, float(batch.weight.sum()))
    _check_finite(run, "loss", metrics["loss"])
    (loss * share).backward()
    limit = config.clip_norm if config.clip_norm is not None else math.inf
    norm = float(nn.utils.clip_grad_norm_(run.model.parameters(), limit))
    _check_finite(run, "norm of the gradient", norm)
    run.optimiser.step()
    run.step += 1
    run.machine = {"device": config.device, "precision": config.precision, "workers": run.workers.size}
    metrics = {"loss": metrics.pop("loss"), "learning_rate": rate, "grad_norm": norm, **metrics}
    run.pending.append(metrics)
    return metrics


def _agreed(run: Run, figures: dict[str, float], known: float) -> tuple[dict[str, float], float]:
    """(figures over the whole batch, factor of this worker's loss); sets the clock.

    A worker's loss is a mean over its `known` frames, and gradients are averaged over workers; the factor makes the
    result the mean over all known frames of the batch, as a single worker has it.
    """
    if run.workers.size == 1:
        run.clock = run.seconds
        return figures, 1.0
    *sums, seconds, total = run.workers.total([*(value * known for value in figures.values()), run.seconds, known])
    run.clock = seconds / run.workers.size
    total = max(total, 1e-6)
    return dict(zip(figures, (value / total for value in sums), strict=True)), known * run.workers.size / total


def _check_finite(run: Run, what: str, value: float) -> None:
    if not math.isfinite(value):
        raise Diverged(
            f"the {what} is {value} at step {run.step}; expected a finite number. Lower learning_rate "
            f"({run.config.learning_rate}), add warmup_steps or clip_norm, and look at the labels"
        )


def learning_rate_factor(step: int, warmup_steps: int, share_done: float) -> float:
    """Warm-up times linear decay, 0 to 1."""
    warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    return warm * (1.0 - share_done)


def _log(run: Run, where: Surroundings, last: bool = False) -> None:
    """Close a row of the history when it is full, or at the end of the run."""
    if not run.pending or (len(run.pending) < run.config.log_every and not last):
        return
    means = {name: sum(m[name] for m in run.pending) / len(run.pending) for name in run.pending[0]}
    run.history.append({"step": run.step, "seconds": round(run.clock, 3), **means})
    run.pending.clear()
    if where.on_row is not None:
        where.on_row(run.history[-1])
