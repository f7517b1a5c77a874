"""One training on several workers: what they must agree on. Knows torch.distributed, and nothing of who started them.

Each worker takes every `size`-th window of a batch, so the total batch, and with it the run, is the same for any number
of workers. Gradients are averaged by DistributedDataParallel; the figures that steer a run (loss, clock) are summed, so
that all workers take the same decision at the same step.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Compute in the calling thread alone, for networks of small steps; as before if not `wanted`.

    Several threads wait for one another at each step, and beside other work twenty times longer than they compute.
    """
    before = torch.get_num_threads(), cv2.getNumThreads()
    if wanted:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


class Workers:
    """A single worker: there is nobody to agree with."""

    rank = 0
    size = 1

    def part_of(self, batch: int) -> range:
        """Which windows of a batch fall to this worker. ValueError if they cannot be shared out evenly."""
        if batch % self.size:
            raise ValueError(f"expected a batch that {self.size} workers can share evenly, got {batch}; change either")
        return range(self.rank, batch, self.size)

    def wrapped(self, model: nn.Module, in_parts: bool = False) -> nn.Module:
        """The model to call in training; `in_parts` if a call may use only some of its weights."""
        return model

    def total(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over all workers."""
        return list(values)

    def gathered(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Tensors with a leading lane axis, (B / size, ...) here, as (B, ...) of all workers."""
        return list(tensors)

    def own(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The inverse of `gathered`."""
        return list(tensors)

    def send_around(self, tensor: Tensor, rank: int) -> Tensor:
        """The tensor that worker `rank` has; the others bring one of its shape and type, whatever it holds."""
        return tensor


def launched(device: str) -> Workers:
    """The workers that `torchrun` started together, their process group set up; without it, a single worker."""
    if not dist.is_torchelastic_launched():
        return Workers()
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    return Distributed(device)


class Distributed(Workers):
    """This process is one of a torch.distributed group that has been set up (`init_process_group`)."""

    def __init__(self, device: str) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._device = device

    def wrapped(self, model: nn.Module, in_parts: bool = False) -> nn.Module:
        return DistributedDataParallel(
            model, forward_sync_buffers=False, find_unused_parameters=in_parts, gradient_as_bucket_view=True
        )

    def total(self, values: Sequence[float]) -> list[float]:
        summed = torch.tensor(values, dtype=torch.float64, device=self._device)
        dist.all_reduce(summed)
        return summed.tolist()

    def gathered(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return [self._gather(tensor) for tensor in tensors]

    def _gather(self, tensor: Tensor) -> Tensor:
        sent = tensor.byte() if tensor.dtype == torch.bool else tensor.contiguous()
        parts = [torch.empty_like(sent) for _ in range(self.size)]
        dist.all_gather(parts, sent)
        return torch.stack(parts, dim=1).flatten(0, 1).to(tensor.dtype)  # lane i of worker r is lane i * size + r

    def own(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return [tensor[self.rank :: self.size].clone() for tensor in tensors]

    def send_around(self, tensor: Tensor, rank: int) -> Tensor:
        sent = tensor.contiguous().view(torch.uint8).to(self._device)
        dist.broadcast(sent, rank)
        return sent.view(tensor.dtype).to(tensor.device)
