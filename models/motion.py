"""A front end for small budgets: how did the picture move between frame t and frame t+1?

The action of frame t shows in the change to frame t+1. The released model must learn to match patches between frames
from labels alone, which takes very many of them. Here the matching is built in: for each cell of frame t, how well does
each shift of some pixels explain frame t+1 (a local cost volume), and which shift is that on average? These motion maps
are fixed, so they need no backward pass, can be computed once for a whole training, and cannot overfit to a few worlds,
as a network that saw the volumes themselves did. An image stack per frame sees the maps, and not the picture: what a
picture shows could not be learned from ten worlds. Dilated convolutions then mix frames: keys are held for seconds,
and many neighbours say so. The heads see each frame's own features beside what the transformer makes of the mixture:
through it alone, hundreds of steps pass before any of the motion arrives at the camera.

Two volumes: shifts up to the camera's 10 degrees on a coarse picture, and small shifts on a fine one, where the
camera's bins are narrow. Frames are squashed to a square, so both pictures keep twice as many columns as rows.

Shapes: B batch, T time, N = B*T, C channels, G = 16 cells per side, S shifts of a volume, M = 16 maps, E hidsize.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbone import DENSE_WIDTH, NormLayer, pixels

GRID = 16
CHANNELS = ((0.299, 0.587, 0.114), (1.0, -1.0, 0.0), (-0.5, -0.5, 1.0))
"""What is matched, as weights of red, green, blue: brightness, red against green, blue against both."""
CONTRAST_FLOOR = (0.02, 0.03, 0.03)
"""Of full scale, per channel: below it, texture is compression noise."""
CONTRAST_LIMIT = 2.5
"""A single pixel says no more than this."""
FLAT = 0.05
"""Standard deviation over shifts below which a cell has nothing to match."""
SHARPNESS = (2.0, 4.0)
"""Factors on how far a shift stands out, before the softmax that weighs the shifts."""
FLOW_GAIN = 4.0
"""Mean shifts of everyday play are small shares of the largest; this brings them near 1."""
AT_ONCE = 32
"""Frames of an episode whose maps are computed together; more only takes memory."""
CELL_DROPOUT = 0.05
"""Share of the cells whose motion is hidden in a window of training, whatever else is dropped."""


class Scale(NamedTuple):
    """One cost volume: frame pixels per matched pixel, and the largest shift in matched pixels (rows, columns)."""

    pool: tuple[int, int]
    radius: tuple[int, int]

    @property
    def shifts(self) -> int:
        return (2 * self.radius[0] + 1) * (2 * self.radius[1] + 1)


SCALES = (Scale(pool=(4, 2), radius=(5, 10)), Scale(pool=(2, 1), radius=(2, 2)))
MAPS = 4 * len(SCALES) * len(SHARPNESS)
RIGHT = slice(1, None, 4)
"""The maps that change their sign when the picture is mirrored."""


def local_contrast(images: Tensor) -> Tensor:
    """(N, C, H, W) with the mean and the contrast of each pixel's 5x5 surroundings taken out, per channel."""
    floor = images.new_tensor(CONTRAST_FLOOR).view(-1, 1, 1)
    centred = images - _blur(images)
    contrast = (_blur(centred.square()) + floor.square()).sqrt()
    return (centred / contrast).clamp(-CONTRAST_LIMIT, CONTRAST_LIMIT)


def cost_volume(x: Tensor, y: Tensor, radius: tuple[int, int]) -> Tensor:
    """Mean product of each cell of x with y, summed over channels, for each shift of up to `radius` (rows, columns).

    A cell counts half of each neighbour too: small cells alone find many false matches.

    Args:
        x, y: (N, C, H, W) of frames t and t+1, H and W multiples of 32; outside the picture counts as zero.

    Returns:
        (N, S, G, G), vertical shift slowest.
    """
    (rows, columns), (height, width) = radius, x.shape[-2:]
    padded = F.pad(y, (columns, columns, rows, rows))
    cell = (height // GRID, width // GRID)
    margin = (cell[0] // 2, cell[1] // 2)
    window = (cell[0] + 2 * margin[0], cell[1] + 2 * margin[1])
    costs = []
    for down in range(2 * rows + 1):
        for right in range(2 * columns + 1):
            product = (x * padded[..., down : down + height, right : right + width]).sum(1, keepdim=True)
            costs.append(F.avg_pool2d(product, window, cell, margin, count_include_pad=False))
    return torch.cat(costs, dim=1)


@torch.no_grad()
def motion_maps(frames: Tensor) -> Tensor:
    """How each cell moves between each frame and the next: uint8 (B, T, 128, 128, 3) -> (B, T, M, G, G).

    Zero for the last frame of a window: nothing is known of what follows.
    """
    images = pixels(frames).unflatten(0, frames.shape[:2])
    channels = torch.einsum("kc,btchw->btkhw", images.new_tensor(CHANNELS), images)
    maps = []
    for scale in SCALES:
        matched = local_contrast(F.avg_pool2d(channels.flatten(0, 1), scale.pool)).unflatten(0, frames.shape[:2])
        x, y = matched[:, :-1].flatten(0, 1), matched[:, 1:].flatten(0, 1)
        maps.append(flow_maps(standing_out(cost_volume(x, y, scale.radius)), scale))
    return F.pad(torch.cat(maps, dim=1).unflatten(0, (len(frames), -1)), (0,) * 7 + (1,))


def episode_maps(frames: np.ndarray, device: torch.device | str = "cpu") -> np.ndarray:
    """The maps of a whole episode: uint8 (L, 128, 128, 3) -> float16 (L, M, G, G), of which windows may be cut."""
    maps = np.zeros((len(frames), MAPS, GRID, GRID), dtype=np.float16)
    for start in range(0, len(frames) - 1, AT_ONCE):
        part = torch.from_numpy(frames[start : start + AT_ONCE + 1].copy()).to(device)
        found = motion_maps(part[None])[0, :-1]
        maps[start : start + len(found)] = found.cpu().numpy()
    return maps


def mirrored_maps(maps: np.ndarray) -> np.ndarray:
    """The maps (..., M, G, G) of the picture mirrored left to right, a new array."""
    turned = maps[..., ::-1].copy()
    turned[..., RIGHT, :, :] *= -1
    return turned


def _blur(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 5, stride=1, padding=2, count_include_pad=False)


def standing_out(volume: Tensor) -> Tensor:
    """How far each shift stands out among all shifts of its cell: (N, S, G, G) -> the same shape."""
    return (volume - volume.mean(1, keepdim=True)) / (volume.std(1, keepdim=True) + FLAT)


def flow_maps(standing: Tensor, scale: Scale) -> Tensor:
    """Each cell's shift as numbers, from what stands out: (N, S, G, G) -> (N, 4 per sharpness, G, G).

    For each sharpness: the mean shift down and right under a softmax over the shifts, how peaked that softmax is, and
    the mean square of its shifts. Left and right differ here from the first step on; a network that sees volumes alone
    knows for hundreds of steps how far the camera turned, and not which way.
    """
    maps = []
    place = _places(scale).to(standing)
    for sharpness in SHARPNESS:
        chance = torch.softmax(sharpness * standing, dim=1)
        mean, square = (torch.einsum("ks,nsij->nkij", p, chance) for p in (place, place.square().sum(0)[None]))
        maps += [FLOW_GAIN * mean, chance.square().sum(1, keepdim=True).sqrt(), square]
    return torch.cat(maps, dim=1)


def _places(scale: Scale) -> Tensor:
    """(2, shifts): each shift down and right, as a share of the largest."""
    axes = [torch.linspace(-1, 1, 2 * radius + 1) for radius in scale.radius]
    return torch.stack([axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij")])


class Residual(nn.Module):
    """x + ReLU(3x3 convolution of x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.relu(self.conv(x))


class CellFeatures(nn.Module):
    """What the motion maps say about each frame: (N, M, G, G) -> (N, 256)."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.cells = nn.Sequential(
            *_convolution(MAPS, width),
            *_convolution(width, width, stride=2),
            *_convolution(width, width),
            Residual(width),
            *_convolution(width, width, stride=2),
        )
        flat = width * (GRID // 4) ** 2
        self.whole = nn.Sequential(nn.LayerNorm(flat), nn.Dropout(dropout), nn.Linear(flat, DENSE_WIDTH), nn.ReLU())

    def forward(self, cells: Tensor) -> Tensor:
        # narrow convolutions run 1.6 times faster with channels last
        return self.whole(self.cells(cells.contiguous(memory_format=torch.channels_last)).flatten(1))


def _convolution(channels: int, width: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, stride=stride, padding=1), nn.ReLU()]


class OverTime(nn.Module):
    """x + what a convolution over time makes of it: (B, T, E) -> the same shape; `dilation` frames from tap to tap."""

    def __init__(self, width: int, dilation: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.out = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Conv1d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(self.conv(self.norm(x).transpose(1, 2))).transpose(1, 2)


class MotionEncoder(nn.Module):
    """Each frame among its neighbours: uint8 (B, T, 128, 128, 3) -> mixed over time (B, T, E), alone (B, T, 256)."""

    def __init__(self, hidsize: int, *, taps: int, width: int, dilations: Sequence[int], dropout: float):
        super().__init__()
        self.hide = nn.Dropout(CELL_DROPOUT)
        self.frame = CellFeatures(width, dropout)
        self.mix = NormLayer(nn.Conv1d(DENSE_WIDTH, hidsize, taps, padding=taps // 2))
        self.dropout = nn.Dropout(dropout)
        self.over_time = nn.Sequential(*[OverTime(hidsize, dilation, dropout) for dilation in dilations])

    def forward(self, frames: Tensor, maps: Tensor | None = None) -> tuple[Tensor, Tensor]:
        maps = (motion_maps(frames) if maps is None else maps).to(self.mix.layer.weight)
        maps = maps * self.hide(maps.new_ones(len(maps), 1, 1, GRID, GRID))
        frame = self.frame(maps.flatten(0, 1)).unflatten(0, frames.shape[:2])
        mixed = self.mix(frame.transpose(1, 2)).transpose(1, 2)
        return self.over_time(self.dropout(mixed)), frame
