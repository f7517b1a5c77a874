"""What a training loop takes and gives: the parts that the IDM and the policy fill in, and the result."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from models.batches import Batch
from models.parallel import Workers

Progress = Callable[[int, int, dict[str, float]], None]
"""Called after each step with (step, total steps, metrics)."""


@dataclass(frozen=True)
class TrainResult:
    """What a run did, over all the processes that it was stopped and resumed in."""

    history: list[dict[str, float]]
    """One row per `log_every` steps: step, loss, learning_rate, grad_norm, seconds, and the objective's own figures."""
    steps: int
    seconds: float
    cpu_seconds: float
    """Processor time of all workers, every thread counted."""
    gpu_seconds: float
    """Wall time times GPUs; 0 without one."""
    machine: dict[str, Any]
    """What the last step ran on: device, precision, workers."""

    @property
    def final_loss(self) -> float:
        """Mean loss of the last row."""
        return self.history[-1]["loss"]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where a run runs: nothing here changes what it computes."""

    out_dir: Path | None = None
    """Folder whose newest checkpoint is continued, and that takes new ones; None for neither."""
    progress: Progress | None = None
    """Called after each step; with frames looked at, of how many, and no metrics, before the first and where a
    calibration follows the last."""
    on_checkpoint: Callable[[Path], None] | None = None
    """Called with the folder of each checkpoint when it is whole; on the first worker only."""
    on_row: Callable[[dict[str, float]], None] | None = None
    """Called with each new row of the history."""
    workers: Workers = field(default_factory=Workers)
    """Who else trains this model."""


class Source(Protocol):
    """Endless batches. `position` is JSON-able and says which batch comes next."""

    position: Any

    def __iter__(self) -> Iterator[Batch]: ...

    def __next__(self) -> Batch: ...


class Objective(Protocol):
    """What is minimised, and what it remembers from batch to batch."""

    def loss(self, model: nn.Module, batch: Batch, device: str) -> tuple[Tensor, dict[str, float]]:
        """The mean loss over the frames of known action, a scalar with a gradient, and figures for the history."""
        ...

    def memory(self) -> list[Tensor]:
        """Tensors to keep in a checkpoint, each with a leading axis over the windows of a batch."""
        ...

    def remember(self, tensors: list[Tensor]) -> None:
        """Take back what `memory` gave."""
        ...
