"""Weights in 16 or 8 bits on disk, float32 in memory: more networks in the same room.

8 bits: matrices as whole numbers from -127 to 127 with one step size per row (of the first axis), as is usual for
networks on CPUs (Jacob et al. 2018), vectors as float16. What is loaded gives the same bytes when it is saved again.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

STEP_SUFFIX = "_step"
SMALLEST_STEP = torch.finfo(torch.float16).tiny
BITS = (32, 16, 8)


def packed(tensors: Mapping[str, Tensor], bits: int) -> dict[str, Tensor]:
    """Tensors of floats by name, as they are saved; the step sizes of `X` are called `X_step`."""
    if bits == 32:
        return dict(tensors)
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if bits == 8 and tensor.dim() > 1 and tensor.numel():
            rows = tensor.float().flatten(1)
            steps = (rows.abs().amax(1) / 127).clamp_min(SMALLEST_STEP).half()
            found[name] = (rows / steps[:, None]).round().clamp(-127, 127).to(torch.int8).view(tensor.shape)
            found[name + STEP_SUFFIX] = steps
        else:
            found[name] = tensor.half()
    return found


def unpacked(tensors: Mapping[str, Tensor], where: str | Path = "weights") -> dict[str, Tensor]:
    """The inverse, as float32. ValueError for whole numbers whose step sizes are missing."""
    found = {name: tensor.float() for name, tensor in tensors.items()}
    for name in [name for name, tensor in tensors.items() if tensor.dtype == torch.int8]:
        if (beside := name + STEP_SUFFIX) not in found:
            raise ValueError(f"{where}: {name} has 8 bits, expected its step sizes beside it, {beside}, found none")
        found[name] *= found.pop(beside).view(-1, *[1] * (found[name].dim() - 1))
    return found
