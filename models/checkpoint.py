"""Checkpoints of a training run: a folder that appears whole, or not at all.

`checkpoints/step-N/` holds the weights and the optimiser as safetensors and everything else as JSON; nothing in it can
run code. It is written beside and renamed; a run that dies while writing leaves only a hidden folder.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

KEPT = 2
"""Newest checkpoints that are kept."""


def newest(out_dir: Path) -> Path | None:
    """The checkpoint with the highest step, None if there is none."""
    found = sorted((out_dir / "checkpoints").glob("step-*"))
    return found[-1] if found else None


def clear(out_dir: Path) -> None:
    """Remove all checkpoints, when the model that came of them is saved."""
    shutil.rmtree(out_dir / "checkpoints", ignore_errors=True)


def write(
    out_dir: Path,
    step: int,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    memory: list[Tensor],
    state: dict[str, Any],
) -> Path:
    """Write `checkpoints/step-N` and drop all but the newest few; returns its folder. `state` must be JSON-able."""
    folder = out_dir / "checkpoints"
    target, temporary = folder / f"step-{step:08d}", folder / f".step-{step:08d}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(_plain(model.state_dict()), temporary / "weights.safetensors")
    moments = {
        f"{index}.{name}": value
        for index, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
    }
    remembered = {f"memory.{i:04d}": tensor for i, tensor in enumerate(memory)}
    save_file(_plain(moments | remembered), temporary / "optimiser.safetensors")
    (temporary / "state.json").write_text(json.dumps(state))
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    for old in sorted(folder.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old)
    return target


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU that share no memory, as safetensors wants them."""
    return {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}


def read_state(folder: Path) -> dict[str, Any]:
    """The JSON state of a checkpoint."""
    return json.loads((folder / "state.json").read_text())


def restore(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer, device: str) -> list[Tensor]:
    """Fill model and optimiser from a checkpoint; returns the objective's memory."""
    model.load_state_dict(load_file(folder / "weights.safetensors", device=device))
    tensors = load_file(folder / "optimiser.safetensors")
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        if index != "memory":
            moments.setdefault(int(index), {})[key] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": moments, "param_groups": groups})
    return [tensors[name].to(device) for name in sorted(tensors) if name.startswith("memory.")]
