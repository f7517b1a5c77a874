"""Keys and camera, judged once more by a small network that sees no picture: only the numbers of the motion.

With few worlds to learn from, whoever sees them learns them by heart: the loss of a long training on worlds it never
saw is well above that of a short one. The numbers that `models/motion.py` tells look alike in all worlds. What they say
of walking and of the camera is as good as what the whole model says, and wrong elsewhere (they see no cursor in menus),
so that the mean of the two (of logits) is better than both. It learns by a loss of its own: taught together, the
pictures would explain the training worlds, and nothing would be left to learn for the numbers.

A recurrent layer lets it remember seconds: how fast this player walks and sprints, what he did when he last stood
like this.

Shapes: B batch, T time, E width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.action_schema import ActionSchema
from models.actions import bin_centres
from models.dropout import Dropout
from models.motion import ANSWERS, NUMBERS
from models.motion_encoder import OverTime, turn_bins

TAPS = 5
"""Frames that the first convolution sees."""
NUMBERS_HIDDEN = 0.1
"""Share of the numbers that are hidden in a window of training."""


class SecondOpinion(nn.Module):
    """Each frame's numbers among its neighbours', what is remembered, and the bins of the turn that fits best: (B, T,
    NUMBERS) -> (B, T, `width`)."""

    def __init__(self, width: int, memory: int, dilations: Sequence[int], dropout: float, schema: ActionSchema):
        super().__init__()
        self.centres = bin_centres(schema).tolist()
        bins = 2 * len(self.centres)
        self.hide = nn.Dropout1d(NUMBERS_HIDDEN)
        self.mix = nn.Conv1d(NUMBERS + ANSWERS * bins, width, TAPS, padding=TAPS // 2)
        self.over_time = nn.Sequential(*[OverTime(width, dilation, dropout) for dilation in (1, *dilations)])
        self.memory = nn.GRU(width, memory, batch_first=True, bidirectional=True) if memory else None
        self.dropout = Dropout(dropout)
        self.width = width + 2 * memory + bins

    def forward(self, numbers: Tensor) -> Tensor:
        with torch.autocast(numbers.device.type, enabled=False):  # it is small, and recurrence is slow in bfloat16
            bins = turn_bins(numbers, self.centres)
            told = torch.cat([numbers, bins.flatten(2)], dim=-1)
            x = self.over_time(self.mix(self.hide(told.transpose(1, 2))).transpose(1, 2))
            remembered = [] if self.memory is None else [self.dropout(self.memory(x)[0])]
            return torch.cat([x, *remembered, bins[:, :, 0]], dim=-1)


def mean_opinion(first: Tensor, second: Tensor, shares: Tensor) -> Tensor:
    """What two say together: log-probabilities (T, heads, options) of both; how much the second counts, (heads,), or
    (T, heads) for each frame."""
    return ((1 - shares[..., None]) * first + shares[..., None] * second).log_softmax(-1)
