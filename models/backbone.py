"""The image encoder shared by the inverse dynamics model and the policy (VPT, appendix D.1 and E.1; Impala ResNet).

Parameter names equal the released ones, so that conversion is by name.

Shapes: B batch, T time, N = B*T, C channels, H height, W width, E hidsize.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DENSE_WIDTH = 256  # the released encoders all pass through 256 features
FRAME_PX = 128

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


class NormLayer(nn.Module):
    """Norm, then a convolution or a linear map, then ReLU: the brick of both networks.

    Args:
        layer: a convolution or a linear map; its rows are rescaled to norm `init_scale`, its bias to 0.
        norm: GroupNorm or LayerNorm over the layer's input, or None.
    """

    def __init__(self, layer: Layer, norm: nn.Module | None = None, *, init_scale: float = 1.0, relu: bool = True):
        super().__init__()
        if norm is not None:
            self.norm = norm
        self.has_norm = norm is not None
        self.layer = scale_rows(layer, init_scale)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        if self.has_norm:
            x = self.norm(x)
        x = self.layer(x)
        return F.relu(x) if self.relu else x


def scale_rows(layer: Layer, scale: float) -> Layer:
    """Rescale each output row of `layer.weight` to norm `scale` and set the bias to zero, as in the release."""
    weight = layer.weight
    if weight.is_meta:  # a model about to be filled from a file
        return layer
    with torch.no_grad():
        rows = weight.flatten(1).norm(dim=1).clamp_min(1e-12)
        weight.mul_((scale / rows).view(-1, *[1] * (weight.dim() - 1)))
        if layer.bias is not None:
            layer.bias.zero_()
    return layer


def conv3x3(c_in: int, c_out: int, *, init_scale: float = 1.0, groups: int | None = 1) -> NormLayer:
    """GroupNorm, 3x3 convolution without bias, ReLU; with `groups` None no norm, but a bias."""
    layer = nn.Conv2d(c_in, c_out, 3, padding=1, bias=groups is None)
    return NormLayer(layer, nn.GroupNorm(groups, c_in) if groups else None, init_scale=init_scale)


def dense(width_in: int, width_out: int, *, init_scale: float = 1.0, normed: bool = True) -> NormLayer:
    """LayerNorm, linear map without bias, ReLU; or, not normed, the same with a bias."""
    layer = nn.Linear(width_in, width_out, bias=not normed)
    return NormLayer(layer, nn.LayerNorm(width_in) if normed else None, init_scale=init_scale)


class Norms(NamedTuple):
    """Groups of the encoder's GroupNorms; None for no norm. The released models have one group everywhere."""

    conv_groups: int | None = 1
    """Before each convolution; None also takes the LayerNorm from the dense layers."""
    pool_groups: int | None = 1
    """After each max-pool."""


RELEASED_NORMS = Norms()


class ResidualBlock(nn.Module):
    """x + conv(conv(x))."""

    def __init__(self, channels: int, init_scale: float, groups: int | None):
        super().__init__()
        self.conv0 = conv3x3(channels, channels, init_scale=math.sqrt(init_scale), groups=groups)
        self.conv1 = conv3x3(channels, channels, init_scale=math.sqrt(init_scale), groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv1(self.conv0(x))


class DownStack(nn.Module):
    """3x3 convolution, max-pool by 2, GroupNorm, two residual blocks: (N, C, H, W) -> (N, C', H/2, W/2)."""

    def __init__(self, c_in: int, c_out: int, *, first_norm: bool, init_scale: float, norms: Norms):
        super().__init__()
        self.firstconv = conv3x3(c_in, c_out, groups=norms.conv_groups if first_norm else None)
        if norms.pool_groups is not None:
            self.n = nn.GroupNorm(norms.pool_groups, c_out)
        self.has_norm = norms.pool_groups is not None
        scale = init_scale / math.sqrt(2)
        self.blocks = nn.ModuleList(ResidualBlock(c_out, scale, norms.conv_groups) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.firstconv(x), kernel_size=3, stride=2, padding=1)
        x = self.n(x) if self.has_norm else x
        for block in self.blocks:
            x = block(x)
        return x


class ImpalaCNN(nn.Module):
    """Down-stacks and a dense layer: (N, C, H, W) -> (N, 256).

    Args:
        in_channels: C.
        channels: width of each stack; each halves height and width.
        side: H = W, a multiple of 2 ** len(channels).
        first_norm: normalise the input of the first convolution (the IDM does, the policy sees raw pixels).
        norms: groups of the norms.

    Raises:
        ValueError: groups that do not divide the channels.
    """

    def __init__(
        self, in_channels: int, channels: Sequence[int], *, side: int, first_norm: bool, norms: Norms = RELEASED_NORMS
    ):
        super().__init__()
        scale = 1 / math.sqrt(len(channels))
        widths = [in_channels, *channels]
        _check_groups(widths if first_norm else channels, norms)
        self.stacks = nn.ModuleList(
            DownStack(c_in, c_out, first_norm=first_norm or i > 0, init_scale=scale, norms=norms)
            for i, (c_in, c_out) in enumerate(pairwise(widths))
        )
        side //= 2 ** len(channels)
        normed = norms.conv_groups is not None
        self.dense = dense(channels[-1] * side * side, DENSE_WIDTH, init_scale=1.4, normed=normed)

    def forward(self, x: Tensor) -> Tensor:
        for stack in self.stacks:
            x = stack(x)
        return self.dense(x.flatten(1))


def _check_groups(widths: Sequence[int], norms: Norms) -> None:
    for groups in norms:
        if groups is not None and any(width % groups for width in widths):
            raise ValueError(f"expected {groups} norm groups to divide each of the channels {list(widths)}; fewer will")


class ImageEncoder(nn.Module):
    """Impala CNN and the projection to the transformer's width: (N, C, H, W) -> (N, E)."""

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        hidsize: int,
        *,
        side: int,
        first_norm: bool,
        norms: Norms = RELEASED_NORMS,
    ):
        super().__init__()
        self.cnn = ImpalaCNN(in_channels, channels, side=side, first_norm=first_norm, norms=norms)
        self.linear = dense(DENSE_WIDTH, hidsize, normed=norms.conv_groups is not None)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.cnn(x))


class CategoricalHead(nn.Module):
    """Independent softmax choices over one latent: (B, T, E) -> (B, T, *shape) log-probabilities in float32.

    Args:
        shape: choices last, for example (20, 2) for 20 two-way choices.
        temperature: logits are divided by it, in training and in inference alike.
    """

    def __init__(self, width: int, shape: tuple[int, ...], temperature: float):
        super().__init__()
        self.shape, self.temperature = shape, temperature
        self.linear_layer = nn.Linear(width, math.prod(shape))
        scale_rows(self.linear_layer, 0.01)  # nearly uniform at the start

    def forward(self, latent: Tensor) -> Tensor:
        logits = self.linear_layer(latent).float() / self.temperature
        return F.log_softmax(logits.unflatten(-1, self.shape), dim=-1)


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless logits can be divided by it."""
    if not 0 < temperature < math.inf:
        raise ValueError(f"expected a finite temperature > 0, got {temperature}")


def check_frames(
    frames: Tensor, side: int = FRAME_PX, mend: str = "resize with cv2.INTER_LINEAR and stack as uint8"
) -> None:
    """Raise ValueError unless frames are uint8 (B, T, side, side, 3) RGB; `mend` says how they become so."""
    if frames.dtype != torch.uint8 or frames.dim() != 5 or tuple(frames.shape[2:]) != (side, side, 3):
        raise ValueError(
            f"expected uint8 frames (B, T, {side}, {side}, 3) in RGB, got {str(frames.dtype).removeprefix('torch.')} "
            f"{tuple(frames.shape)}; {mend}"
        )


def pixels(frames: Tensor) -> Tensor:
    """uint8 (B, T, H, W, 3) to float32 (B*T, 3, H, W) in 0..1."""
    return frames.flatten(0, 1).permute(0, 3, 1, 2).float() / 255.0
