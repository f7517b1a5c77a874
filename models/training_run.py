"""Where a training stands: its step and clock, what it has cost, and what a checkpoint keeps of it."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models import checkpoint
from models.parallel import Workers
from models.train_config import TrainConfig
from models.train_types import Objective

COSTS = ("seconds", "cpu_seconds", "gpu_seconds")
"""What a run adds up over the processes that it was stopped and resumed in."""


@dataclass
class Run:
    """The moving parts of one run, as this worker has them."""

    model: nn.Module
    called: nn.Module
    optimiser: torch.optim.Optimizer
    objective: Objective
    config: TrainConfig
    identity: dict[str, Any]
    total: int
    workers: Workers
    step: int = 0
    position: Any = None
    clock: float = 0.0
    """Seconds behind the run, as all workers agreed after the last step."""
    saved_at: float = 0.0
    before: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COSTS, 0.0))
    machine: dict[str, Any] = field(default_factory=dict)
    """What the last step ran on."""
    started: float = field(default_factory=time.monotonic)
    cpu_started: float = field(default_factory=time.process_time)
    history: list[dict[str, float]] = field(default_factory=list)
    pending: list[dict[str, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.before["seconds"] + time.monotonic() - self.started

    @property
    def cpu_seconds(self) -> float:
        """Of all workers: those of earlier processes count once, on the first worker."""
        before = self.before["cpu_seconds"] if self.workers.rank == 0 else 0.0
        return self.workers.total([before + time.process_time() - self.cpu_started])[0]

    @property
    def gpu_seconds(self) -> float:
        gpus = self.workers.size if self.config.device.startswith("cuda") else 0
        return self.before["gpu_seconds"] + gpus * (self.seconds - self.before["seconds"])

    @property
    def share_done(self) -> float:
        """Share of the run that lies behind, 0 to 1: by steps or by the clock, whichever is further."""
        by_clock = self.clock / self.config.max_seconds if self.config.max_seconds else 0.0
        return min(1.0, max(self.step / self.total, by_clock))

    @property
    def last_step(self) -> int:
        """With which the run will end, at the pace so far."""
        return min(self.total, max(self.step, round(self.step / self.share_done)))

    @property
    def checkpoint_is_due(self) -> bool:
        by_step = bool(self.config.checkpoint_every) and self.step % self.config.checkpoint_every == 0
        pause = self.config.checkpoint_seconds
        return by_step or (pause > 0 and self.clock - self.saved_at >= pause)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps as JSON."""
        names = ("step", "position", "history", "pending", "identity", "machine", *COSTS)
        return {name: getattr(self, name) for name in names}

    def resume(self, folder: Path) -> None:
        """Continue from a checkpoint. Raises ValueError where another run wrote it."""
        state = checkpoint.read_state(folder)
        if differences := [name for name in self.identity if state["identity"].get(name) != self.identity[name]]:
            got, wanted = ({name: s.get(name) for name in differences} for s in (state["identity"], self.identity))
            raise ValueError(
                f"{folder} was written by a run with another config or other data: expected {str(wanted)[:300]}, "
                f"got {str(got)[:300]}; use a new output folder or delete the checkpoints"
            )
        memory = checkpoint.restore(folder, self.model, self.optimiser, self.config.device)
        self.objective.remember(self.workers.own(memory))
        self.step, self.position, self.clock = state["step"], state["position"], state["seconds"]
        self.saved_at, self.before = self.clock, {name: state[name] for name in COSTS}
        self.history, self.pending, self.machine = state["history"], state["pending"], state["machine"]
