"""Dropout (Srivastava et al. 2014) whose draws cost little on a CPU.

PyTorch's draws one number per value, one after the other, which took a tenth of the training of a small network. Here
one draw of 64 bits decides on eight values, so shares are rounded to 1/256.
"""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """In training, `share` of the values are 0 and the others grow so that the mean stays; else nothing changes."""

    def __init__(self, share: float):
        super().__init__()
        self.kept_of_256 = round(256 * (1 - share))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.kept_of_256 == 256:
            return x
        draws = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = draws.view(torch.uint8)[: x.numel()].view(x.shape) < self.kept_of_256
        return x * (kept * (256 / self.kept_of_256)).to(x.dtype)
