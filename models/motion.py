"""Fixed motion maps: how did the picture move between frame t and frame t+1?

The action of frame t shows in the change to frame t+1. The released model must learn to match patches between frames
from labels alone, which takes very many of them. Here the matching is built in, in two ways that fail differently:

- For each cell of frame t, how well does each shift of some pixels explain frame t+1 (a local cost volume), and which
  shift is that on average? Two volumes: shifts up to the camera's 10 degrees on a coarse picture, and small shifts on a
  fine one, where the camera's bins are narrow. Each cell is on its own: a horizon may slide along itself.
- Dense optical flow (OpenCV's DIS, Kroeger et al. 2016), which is smooth from cell to cell: forward and backward, and
  how far the two disagree.

The maps hold no parameters, so they need no backward pass, can be computed once for a whole training, and cannot
overfit to a few worlds, as a network that saw the volumes themselves did. Frames are squashed to a square, so the
pictures of the volumes keep twice as many columns as rows.

Shapes: B batch, T time, N = B*T, C channels, G = 16 cells per side, S shifts of a volume, M = 19 maps.
"""

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.backbone import pixels

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
FLOW_UNIT_PX = 4.0
"""Pixels of optical flow that count as 1."""
DISAGREEMENT_PX = 8.0
"""Forward and backward flow may differ by more; it says no more."""


class Scale(NamedTuple):
    """One cost volume: frame pixels per matched pixel, and the largest shift in matched pixels (rows, columns)."""

    pool: tuple[int, int]
    radius: tuple[int, int]

    @property
    def shifts(self) -> int:
        return (2 * self.radius[0] + 1) * (2 * self.radius[1] + 1)


SCALES = (Scale(pool=(4, 2), radius=(5, 10)), Scale(pool=(2, 1), radius=(2, 2)))
SHIFT_MAPS = 4 * len(SCALES) * len(SHARPNESS)
MAPS = SHIFT_MAPS + 3
RIGHT = (*range(1, SHIFT_MAPS, 4), SHIFT_MAPS)
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
    maps.append(optical_flow_maps(frames).to(frames.device))
    return F.pad(torch.cat(maps, dim=1).unflatten(0, (len(frames), -1)), (0,) * 7 + (1,))


def optical_flow_maps(frames: Tensor) -> Tensor:
    """Each cell's optical flow to the next frame: uint8 (B, T, 128, 128, 3) -> (B * (T - 1), 3, G, G).

    Right and down, the mean of the forward and the reversed backward flow, then how far these two disagree.
    """
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = []
    for window in frames.cpu().numpy():
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in window]
        found += [_flow_both_ways(solver, *pair) for pair in pairwise(grey)]
    side = frames.shape[2] // GRID
    flows = torch.from_numpy(np.array(found, np.float32).reshape(len(found), *frames.shape[2:4], 3))
    return F.avg_pool2d(flows.permute(0, 3, 1, 2), side) / FLOW_UNIT_PX


def _flow_both_ways(solver: cv2.DISOpticalFlow, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(H, W, 3): flow right and down, disagreement, in pixels."""
    forward, backward = (solver.calc(*pair, None) for pair in ((before, after), (after, before)))  # type: ignore[call-overload]
    rows, columns = np.indices(before.shape, dtype=np.float32)
    there = cv2.remap(backward, columns + forward[..., 0], rows + forward[..., 1], cv2.INTER_LINEAR)
    apart = np.abs(forward + there).sum(-1, keepdims=True).clip(max=DISAGREEMENT_PX)
    return np.concatenate([(forward - there) / 2, apart], axis=-1)


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
    turned[..., list(RIGHT), :, :] *= -1
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
