"""A front end for small budgets: how did the picture move between frame t and frame t+1?

The action of frame t shows in the change to frame t+1. The released model must learn to match patches between frames
from labels alone, which takes very many of them. Here the matching is built in as a local cost volume: for each cell
of frame t, how well does each shift of a few pixels explain frame t+1? What the shifts mean is still learned. Beside
it stands the released family at a quarter of the pixels: temporal convolution, Impala stacks.

Shapes: B batch, T time, N = B*T, C channels, G = 8 cells per side, S shifts, E hidsize.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbone import DENSE_WIDTH, ImpalaCNN, NormLayer, dense

GRID = 8
SIDE = 32  # the cost volume works on SIDE x SIDE features
CELL = SIDE // GRID
RADIUS = 4  # one feature pixel is 4 frame pixels, so shifts up to 16 of 128 pixels: the camera's 10 degrees
SPAN = 2 * RADIUS + 1


def cost_volume(x: Tensor, y: Tensor) -> Tensor:
    """Mean correlation of each cell of x with y, for each shift of up to RADIUS pixels.

    One matrix product per cell, of its 4x4 pixels with the 12x12 around them, of which the 81 shifted diagonals count:
    several times faster on a CPU than a loop over shifts.

    Args:
        x, y: (N, C, 32, 32) features of frames t and t+1; outside the picture counts as zero.

    Returns:
        (N, 81, 8, 8), vertical shift slowest.
    """
    count, channels = x.shape[:2]
    window = CELL + 2 * RADIUS
    query = x.view(count, channels, GRID, CELL, GRID, CELL).permute(0, 2, 4, 3, 5, 1)
    keys = F.pad(y, (RADIUS,) * 4).unfold(2, window, CELL).unfold(3, window, CELL).permute(0, 2, 3, 1, 4, 5)
    product = query.reshape(-1, CELL * CELL, channels) @ keys.reshape(-1, channels, window * window)
    row = window * window  # query pixel (i, j) meets key pixel (i + dy, j + dx)
    strides = (CELL * CELL * row, CELL * row + window, row + 1, window, 1)
    diagonals = product.as_strided((count * GRID * GRID, CELL, CELL, SPAN, SPAN), strides)
    return diagonals.mean(dim=(1, 2)).view(count, GRID, GRID, SPAN * SPAN).permute(0, 3, 1, 2)


class MotionFeatures(nn.Module):
    """Cost volume of learned shallow features between neighbours: (B, T, 3, 64, 64) -> (B*T, 256)."""

    def __init__(self, channels: int = 8, width: int = 32):
        super().__init__()
        self.features = nn.Conv2d(3, channels, 4, stride=2, padding=1)
        self.decode = nn.Conv2d(SPAN * SPAN, width, 1)
        self.dense = dense(width * GRID * GRID, DENSE_WIDTH, init_scale=1.4)

    def forward(self, images: Tensor) -> Tensor:
        x = self.features(images.flatten(0, 1))
        x = x - F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)  # against changes of light
        x = x / (x.square().mean(dim=(1, 2, 3), keepdim=True) + 1e-4).sqrt()
        by_time = x.unflatten(0, images.shape[:2])
        following = torch.cat([by_time[:, 1:], by_time[:, -1:]], dim=1).flatten(0, 1)
        return self.dense(F.relu(self.decode(cost_volume(x, following))).flatten(1))


class MotionEncoder(nn.Module):
    """Motion and appearance of each frame as one vector: uint8 (B, T, 128, 128, 3) -> (B, T, E)."""

    def __init__(self, channels: Sequence[int], hidsize: int, *, conv3d_outchan: int, taps: int):
        super().__init__()
        self.motion = MotionFeatures()
        self.conv3d_layer = NormLayer(nn.Conv3d(3, conv3d_outchan, (taps, 1, 1), padding=(taps // 2, 0, 0)))
        self.cnn = ImpalaCNN(conv3d_outchan, channels, side=64, first_norm=True)
        self.mix = NormLayer(nn.Conv1d(2 * DENSE_WIDTH, hidsize, taps, padding=taps // 2))

    def forward(self, frames: Tensor) -> Tensor:
        shape = frames.shape[:2]
        x = F.avg_pool2d(frames.flatten(0, 1).permute(0, 3, 1, 2).float() / 255.0, 2).unflatten(0, shape)
        appearance = self.cnn(self.conv3d_layer(x.transpose(1, 2)).transpose(1, 2).flatten(0, 1))
        both = torch.cat([self.motion(x), appearance], dim=1).unflatten(0, shape)
        return self.mix(both.transpose(1, 2)).transpose(1, 2)
