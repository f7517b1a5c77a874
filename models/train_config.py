"""What every training is configured with, and what the machine makes of `auto`."""

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import torch

from models.augment import AugmentConfig

HARDWARE = ("device", "precision", "max_seconds", "checkpoint_every", "checkpoint_seconds", "log_every")
"""Fields that say where and how long a run runs, not what it computes; never part of a work key."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What both trainings share. `train_idm` and `train_bc` have recipes with the paper's values."""

    learning_rate: float
    """Adam's step size at its highest; decays linearly to 0."""
    batch: int
    """Windows per step, of all workers together."""
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
    """Decay of the weights: coupled L2 (Adam, not AdamW), as in the paper."""
    decoupled_decay: bool = False
    """AdamW instead: only of weights with two axes or more, and not scaled by Adam."""
    clip_norm: float | None = None
    """Largest norm of the gradient; None for no clipping."""
    augment: AugmentConfig | None = None
    """Augmentation, one draw per clip (by default a whole window); None for none."""
    seed: int = 0
    """Seed of the order of windows and of the augmentation."""
    log_every: int = 10
    """Steps per row of the history; a row holds means over them."""
    checkpoint_every: int = 0
    """Steps between checkpoints; 0 leaves them to the clock. Needs an output folder."""
    checkpoint_seconds: float = 60.0
    """Seconds between checkpoints, beside those by steps; 0 for none."""
    device: str = "auto"
    """torch device; `auto` takes a GPU where there is one."""
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    """Type of the forward pass; weights and losses stay float32. `auto`: bfloat16 where the device computes in it."""

    def __post_init__(self) -> None:
        if self.max_steps is None and self.epochs is None:
            raise ValueError("training needs max_steps or epochs, got neither; set one in the config")
        positive = ("learning_rate", "batch", "window", "max_steps", "epochs", "max_seconds", "clip_norm", "log_every")
        for name in positive:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"training config: {name} must be above 0, got {value}")
        for name in ("warmup_steps", "weight_decay", "checkpoint_every", "checkpoint_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"training config: {name} must be 0 or more, got {getattr(self, name)}")

    def total_steps(self, frames: int) -> int:
        """Steps of the whole run over `frames` training frames."""
        if self.max_steps is not None:
            return self.max_steps
        return max(1, math.ceil((self.epochs or 0) * frames / (self.batch * self.window)))

    def on_this_machine(self) -> Self:
        """The same config without `auto`."""
        device = best_device() if self.device == "auto" else self.device
        return replace(self, device=device, precision=resolve_precision(self.precision, device))

    def content(self) -> dict[str, Any]:
        """The fields that determine what is computed, JSON-able: what a work key holds."""
        values = {name: value for name, value in asdict(self).items() if name not in HARDWARE}
        return json.loads(json.dumps(values))


def best_device() -> str:
    """`cuda` where there is a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def resolve_precision(precision: str, device: str) -> Literal["float32", "bfloat16"]:
    """`auto` becomes bfloat16 on a GPU or CPU with instructions for it, and float32 elsewhere.

    Emulated bfloat16 is slower than float32, so a CPU must have AVX512-BF16 or AMX.
    """
    if precision == "auto":
        return "bfloat16" if _has_bfloat16(device) else "float32"
    return "bfloat16" if precision == "bfloat16" else "float32"


def _has_bfloat16(device: str) -> bool:
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return device == "cpu" and bool(found.get("avx512_bf16") or found.get("amx_bf16"))
