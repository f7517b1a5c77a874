"""A front end for small budgets: it is built to see motion and change, which the released one must learn to see.

Each frame is seen in three ways. Turns: the camera's turn as aligning the pictures finds it, several answers with
their misfits, and what the flow that they leave says of planes and directions, beside those of the neighbouring frames.
Motion: an image stack over the fixed maps of `models/motion.py`, that say how each cell moves to the next frame apart
from the turn. Change: the picture at half size beside its differences to the frame before and the frame after, and to
the frame after turned back, through convolutions that keep places apart, for bars, hands and menus change where they
always are. What the hotbar tells, and how much of the picture changes, is said beside these features as it is.

Dilated convolutions then mix frames: keys are held for seconds, and many neighbours say so. The heads see each frame's
own features beside what the transformer makes of the mixture: through it alone, hundreds of steps pass before any of
the motion arrives at the camera.

Shapes: B batch, T time, N = B*T, C channels, G = 16 cells per side, M maps, E hidsize, K camera bins.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import ego_motion, floor
from models.action_schema import ActionSchema
from models.actions import bin_centres
from models.backbone import DENSE_WIDTH, NormLayer
from models.dropout import Dropout
from models.ego_motion import TURN_UNIT_DEG
from models.motion import ANSWERS, FLOOR_FROM, FLOW, GRID, HALF, HOTBAR_FROM, MISFIT, NUMBERS, STEP, numbers_of

CHANGE_WIDTH = 108
"""Features of a frame that say what changed."""
TURNS_WIDTH = 64
"""Features of a frame that the turns of three frames make."""
TURNS_HIDDEN = 128
TURNS_DROPOUT = 0.1
SEEN = slice(FLOW.start, MISFIT.stop)
"""The maps that the stack of motion sees."""
PLAIN = slice(HOTBAR_FROM, NUMBERS)
"""The numbers that are features as they are: what the hotbar tells, and how much of the picture changes."""
BLOCKS, BLOCK_SHARE = 3, 0.5
"""Rectangles of cells whose motion may be hidden in a window of training, and how often each is."""
BLOCK_SIDES = (2, 7)
"""Shortest and longest side of such a rectangle, in cells."""
PICTURE_HIDDEN = 0.5
"""Share of the windows of training in which the picture itself is hidden, and only what changes is seen."""
PATCH = 3 * (HALF // GRID) ** 2
"""Numbers of a cell of the picture."""


def frame_width(schema: ActionSchema) -> int:
    """Features of each frame alone."""
    return DENSE_WIDTH + CHANGE_WIDTH + TURNS_WIDTH + 2 * schema.camera.bins + PLAIN.stop - PLAIN.start


class Residual(nn.Module):
    """x + ReLU(3x3 convolution of x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.relu(self.conv(x))


def _convolution(channels: int, width: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, stride=stride, padding=1), nn.ReLU()]


def _whole(width_in: int, width_out: int, dropout: float) -> nn.Sequential:
    """All places of an image to one row of features: (N, C, H, W) -> (N, width_out)."""
    norm = nn.LayerNorm(width_in)
    return nn.Sequential(nn.Flatten(), norm, Dropout(dropout), nn.Linear(width_in, width_out), nn.ReLU())


def shares(degrees: Tensor, centres: Tensor) -> Tensor:
    """What each bin has of a motion: (...) and (K,) -> (..., K).

    The two bins beside it share it so that the mean of their centres is the motion; beyond the last, that has all.
    """
    inside = degrees.clamp(centres[0], centres[-1])[..., None]
    rising = (inside - centres[:-1]) / centres.diff()
    up, down = F.pad(rising, (1, 0), value=1.0), F.pad(1 - rising, (0, 1), value=1.0)
    return torch.minimum(up, down).clamp_min(0)


def turn_bins(numbers: Tensor, centres: Sequence[float]) -> Tensor:
    """What each bin has of the turns that alignment found: numbers (B, T, NUMBERS) -> (B, T, ANSWERS, 2K)."""
    return shares(turned_camera(numbers), numbers.new_tensor(centres)).flatten(-2)


def turned_camera(numbers: Tensor) -> Tensor:
    """The turns as pitch and yaw in degrees, those with a step first, (B, T, ANSWERS, 2)."""
    told = ((FLOOR_FROM, floor.ANSWERS, 6), (0, ego_motion.ANSWERS, 3))
    turns = [numbers[..., at : at + n * each].unflatten(-1, (n, each))[..., :2] for at, n, each in told]
    return torch.cat(turns, dim=-2) * TURN_UNIT_DEG


class Turns(nn.Module):
    """The camera's turn, as aligned: numbers (B, T, NUMBERS) -> features (B, T, 64), the best one's bins (B, T, 2K)."""

    def __init__(self, schema: ActionSchema):
        super().__init__()
        self.centres = bin_centres(schema).tolist()
        seen = NUMBERS + ANSWERS * 2 * len(self.centres)
        self.frames = nn.Sequential(
            nn.Conv1d(seen, TURNS_HIDDEN, 3, padding=1),
            nn.ReLU(),
            Dropout(TURNS_DROPOUT),
            nn.Conv1d(TURNS_HIDDEN, TURNS_WIDTH, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        bins = turn_bins(numbers, self.centres)
        seen = torch.cat([numbers, bins.flatten(2)], dim=-1)
        return self.frames(seen.transpose(1, 2)).transpose(1, 2), bins[:, :, 0]


class Motion(nn.Module):
    """How each frame moves to the next, apart from the turn: maps (N, 14, G, G) -> (N, 256)."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.cells = nn.Sequential(
            *_convolution(SEEN.stop, width),
            *_convolution(width, width, stride=2),
            *_convolution(width, width),
            Residual(width),
            *_convolution(width, width, stride=2),
        )
        self.whole = _whole(width * (GRID // 4) ** 2, DENSE_WIDTH, dropout)

    def forward(self, maps: Tensor) -> Tensor:
        # narrow convolutions run 1.6 times faster with channels last
        return self.whole(self.cells(maps.contiguous(memory_format=torch.channels_last)))


class Change(nn.Module):
    """What each frame shows and what changes around it: uint8 (B, T, 64, 64, 3), maps (B, T, 16, G, G) -> (N, 108)."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.cells = nn.Linear(3 * PATCH + STEP.stop - STEP.start, width)
        self.places = nn.Sequential(nn.ReLU(), Residual(width))
        self.fewer = nn.Sequential(nn.Linear(width, width // 2), nn.ReLU())
        self.whole = _whole(width // 2 * GRID**2, CHANGE_WIDTH, dropout)

    def forward(self, frames: Tensor, steps: Tensor) -> Tensor:
        hidden = torch.rand(len(frames)) < PICTURE_HIDDEN if self.training else torch.zeros(len(frames)).bool()
        seen = self.cells(self.look(frames, hidden, steps)).flatten(0, 1).unflatten(1, (GRID, GRID))
        places = self.places(seen.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # channels last all the way, without copies
        return self.whole(self.fewer(places))

    @staticmethod
    @torch.no_grad()
    def look(frames: Tensor, hidden: Tensor, steps: Tensor) -> Tensor:
        """What a cell has, (B, T, G * G, 160): its pixels, their steps to the next frame and from the one before, both
        as they are, and the step to the next frame turned back.

        Windows that are `hidden`, bool (B,), have a grey picture. Whole grey levels over a power of two are exact in
        bfloat16, in which this takes a third of the time; the steps that are turned back are not.
        """
        device = frames.device.type
        wanted = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else steps.dtype
        cells = frames.unflatten(3, (GRID, -1)).unflatten(2, (GRID, -1)).transpose(3, 4)
        pixels = cells.reshape(*frames.shape[:2], GRID**2, PATCH).to(torch.bfloat16)
        seen = pixels.new_empty(*pixels.shape[:-1], 3 * PATCH + steps.shape[2], dtype=wanted)
        seen[..., :PATCH] = (pixels - 128) / 256
        seen[hidden.to(seen.device), ..., :PATCH] = 0
        seen[:, -1:, :, PATCH : 2 * PATCH] = seen[:, :1, :, 2 * PATCH : 3 * PATCH] = 0
        seen[:, :-1, :, PATCH : 2 * PATCH] = seen[:, 1:, :, 2 * PATCH : 3 * PATCH] = pixels.diff(dim=1) / 128
        seen[..., 3 * PATCH :] = steps.flatten(3).transpose(2, 3)
        return seen


class HideBlocks(nn.Module):
    """In training, rectangles of cells are hidden from all maps of a window ("cutout", DeVries and Taylor 2017)."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.shown(len(maps)).to(maps)[:, None, None] if self.training else maps

    @staticmethod
    def shown(windows: int) -> Tensor:
        """bool (windows, G, G): the cells that are left."""
        sides = torch.randint(BLOCK_SIDES[0], BLOCK_SIDES[1] + 1, (2, windows, BLOCKS, 1))
        starts = (torch.rand(sides.shape) * (GRID - sides + 1)).floor()
        rows, columns = (starts <= torch.arange(GRID)) & (torch.arange(GRID) < starts + sides)  # (windows, BLOCKS, G)
        hidden = rows[..., :, None] & columns[..., None, :] & (torch.rand(windows, BLOCKS, 1, 1) < BLOCK_SHARE)
        return ~hidden.any(dim=1)


class OverTime(nn.Module):
    """x + what a convolution over time makes of it: (B, T, E) -> the same shape; `dilation` frames from tap to tap."""

    def __init__(self, width: int, dilation: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.out = nn.Sequential(nn.ReLU(), Dropout(dropout), nn.Conv1d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(self.conv(self.norm(x).transpose(1, 2))).transpose(1, 2)


class MotionEncoder(nn.Module):
    """Each frame among its neighbours: mixed over time (B, T, E), alone (B, T, 439+2K).

    Of what `models.motion.seen` gives: pictures uint8 (B, T, 64, 64, 3) and maps (B, T, M, G, G).
    """

    def __init__(
        self,
        hidsize: int,
        schema: ActionSchema,
        *,
        taps: int,
        width: int,
        change_width: int,
        dilations: Sequence[int],
        dropout: float,
    ):
        super().__init__()
        self.hide = HideBlocks()
        self.turns = Turns(schema)
        self.motion = Motion(width, dropout)
        self.change = Change(change_width, dropout)
        self.mix = NormLayer(nn.Conv1d(frame_width(schema), hidsize, taps, padding=taps // 2))
        self.dropout = Dropout(dropout)
        self.over_time = nn.Sequential(*[OverTime(hidsize, dilation, dropout) for dilation in dilations])

    def forward(self, frames: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        maps = maps.to(self.mix.layer.weight)
        seen = self.hide(maps[:, :, : STEP.stop])
        motion = self.motion(seen[:, :, SEEN].flatten(0, 1))
        change = self.change(frames, seen[:, :, STEP])
        pictures = (x.unflatten(0, frames.shape[:2]) for x in (motion, change))
        numbers = numbers_of(maps)
        frame = torch.cat([*pictures, *self.turns(numbers), numbers[..., PLAIN]], dim=-1)
        mixed = self.mix(frame.transpose(1, 2)).transpose(1, 2)
        return self.over_time(self.dropout(mixed)), frame
