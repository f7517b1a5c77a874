"""The transformer of both networks (VPT, appendix D.1 and E.1; lib/xf.py in the release).

Two habits of the release matter for its weights. A block first replaces x by LN(x) and adds attention to *that*, so
there is no outer skip. Logits are scaled by 1 / head width (muP), not by its root.

The policy's attention ("clipped_causal") sees a band of `maxlen` frames, with a key/value cache carried between chunks;
a learned relative bias tells distances apart. The IDM's attention ("none", `maxlen` 0) sees the whole window both ways
and has no positions at all: time order enters it through the layers below. The release also allows "none" with a
cache: then all of cache and chunk is seen, episode starts are not heeded, and an empty cache counts as frames of zeros.

Shapes: B batch, T frames of this call, S = maxlen + T keys, E hidsize, H heads, D = E/H, R = 10 bias basis functions.
"""

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbone import NormLayer, dense, scale_rows

BIAS_BASIS = 10

MaskStyle = Literal["clipped_causal", "none"]
"""Who sees whom, under the released names."""


def check_memory(style: str, memory_size: int, timesteps: int) -> None:
    """Raise ValueError unless this mask works with `memory_size - timesteps` frames of memory."""
    if style not in get_args(MaskStyle):
        raise ValueError(f"expected attention_mask_style to be one of {get_args(MaskStyle)}, got {style!r}")
    if memory_size < timesteps or (style == "clipped_causal" and memory_size == timesteps):
        bound = ">" if style == "clipped_causal" else ">="
        raise ValueError(
            f"expected attention_memory_size {bound} timesteps {timesteps} with the mask {style!r}, got {memory_size}; "
            "their difference is the memory in frames"
        )


class BlockState(NamedTuple):
    """What one block remembers of the past `maxlen` frames."""

    mask: Tensor
    """(B, maxlen) bool: is there a frame of the current episode?"""
    keys: Tensor
    """(B, maxlen, E)."""
    values: Tensor
    """(B, maxlen, E)."""


PolicyState = list[BlockState]


class Visibility(NamedTuple):
    """Which keys each frame may see, the same for all blocks of one call."""

    mask: Tensor
    """(B, T, S) bool."""
    distance: Tensor
    """(T, S) int64: frames between query and key, clamped to the bias table."""
    band: Tensor
    """(T, S) bool: has the bias table an entry for this distance?"""
    carried: Tensor
    """(B, maxlen) bool: the mask of the next state."""


def visibility(first: Tensor, past: Tensor, style: MaskStyle = "clipped_causal") -> Visibility:
    """Band and episode mask.

    Args:
        first: (B, T) bool, frame starts an episode (at any place; the release reads it at t = 0 only).
        past: (B, maxlen) bool, remembered frames.
        style: "none" lets every frame see the whole memory and chunk.
    """
    length, maxlen = first.shape[1], past.shape[1]
    episode = first.long().cumsum(1)
    key_episode = torch.cat([torch.zeros_like(past, dtype=torch.long), episode], dim=1)
    alive = torch.cat([past, torch.ones_like(first)], dim=1)
    query_at = torch.arange(length, device=first.device)[:, None] + maxlen
    distance = query_at - torch.arange(maxlen + length, device=first.device)[None, :]
    band = (distance >= 0) & (distance < maxlen)
    same = episode[:, :, None] == key_episode[:, None, :]
    carried = (alive & (key_episode == episode[:, -1:]))[:, -maxlen:]
    mask = band & same & alive[:, None, :] if style == "clipped_causal" else torch.ones_like(same)
    return Visibility(mask, distance.clamp(0, maxlen - 1), band, carried)


class SelfAttention(nn.Module):
    """Multi-head attention with relative bias; returns x + projection. Named `orc_block` in the released weights."""

    def __init__(self, hidsize: int, heads: int, maxlen: int, init_scale: float, span: int | None = None):
        super().__init__()
        self.heads, self.maxlen, self.span = heads, maxlen, span
        self.q_layer = nn.Linear(hidsize, hidsize)
        self.k_layer = nn.Linear(hidsize, hidsize, bias=False)
        self.v_layer = nn.Linear(hidsize, hidsize, bias=False)
        self.proj_layer = nn.Linear(hidsize, hidsize)
        self.r_layer = nn.Linear(hidsize, BIAS_BASIS * heads)
        self.b_nd = nn.Parameter(torch.randn(BIAS_BASIS, maxlen))
        scales = (self.q_layer, 1.0), (self.k_layer, 1.0), (self.v_layer, 1.0), (self.r_layer, 0.1)
        for layer, scale in (*scales, (self.proj_layer, init_scale)):
            scale_rows(layer, scale)
        if maxlen == 0:  # no positions: these tensors exist in the released file and do nothing
            for parameter in (self.b_nd, *self.r_layer.parameters()):
                parameter.requires_grad_(False)

    def forward(
        self, x: Tensor, state: BlockState | None = None, seen: Visibility | None = None
    ) -> tuple[Tensor, BlockState | None]:
        keys, values, bias = self.k_layer(x), self.v_layer(x), None
        if state is not None and seen is not None:
            keys = torch.cat([state.keys.to(keys.dtype), keys], dim=1)
            values = torch.cat([state.values.to(values.dtype), values], dim=1)
            bias = self._relative_bias(x, seen).to(keys.dtype)
            state = BlockState(seen.carried, keys[:, -self.maxlen :], values[:, -self.maxlen :])
        elif self.span and x.shape[1] > self.span:
            at = torch.arange(x.shape[1], device=x.device)
            bias = (at[:, None] - at).abs() <= self.span // 2
        heads = self._split(self.q_layer(x)), self._split(keys), self._split(values)
        mixed = F.scaled_dot_product_attention(*heads, attn_mask=bias, scale=self.heads / x.shape[-1])
        return x + self.proj_layer(mixed.transpose(1, 2).flatten(2)), state

    def _split(self, x: Tensor) -> Tensor:
        """(B, S, E) -> (B, H, S, D)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _relative_bias(self, x: Tensor, seen: Visibility) -> Tensor:
        """(B, H, T, S): what each head adds for each distance, minus infinity where a frame may not look."""
        basis = self.b_nd[:, seen.distance] * seen.band  # (R, T, S)
        bias = torch.einsum("bhtr,rts->bhts", self._split(self.r_layer(x)), basis.to(x.dtype))
        return bias.masked_fill(~seen.mask[:, None], float("-inf"))


class MaskedAttention(nn.Module):
    """A name in the released weights (`r.orc_block`), nothing more."""

    def __init__(self, orc_block: SelfAttention):
        super().__init__()
        self.orc_block = orc_block


class TransformerBlock(nn.Module):
    """x = LN(x); x = x + attention(x); x = x + MLP(LN(x))."""

    def __init__(
        self, hidsize: int, heads: int, maxlen: int, pointwise_ratio: int, init_scale: float, span: int | None = None
    ):
        super().__init__()
        self.mlp0 = dense(hidsize, hidsize * pointwise_ratio)
        self.mlp1 = NormLayer(nn.Linear(hidsize * pointwise_ratio, hidsize), init_scale=init_scale, relu=False)
        self.pre_r_ln = nn.LayerNorm(hidsize)
        self.r = MaskedAttention(SelfAttention(hidsize, heads, maxlen, init_scale, span))

    def forward(
        self, x: Tensor, state: BlockState | None = None, seen: Visibility | None = None
    ) -> tuple[Tensor, BlockState | None]:
        x, state = self.r.orc_block(self.pre_r_ln(x), state, seen)
        return x + self.mlp1(self.mlp0(x)), state


class Transformer(nn.Module):
    """A stack of blocks. With `maxlen` 0 it is stateless, and unmasked but for `span`.

    `span`, ours and only without memory: in windows longer than this, a frame sees `span` / 2 frames each way, so that
    a model trained on short windows meets no more of them in a long one than it has learnt to weigh.
    """

    def __init__(
        self,
        *,
        layers: int,
        hidsize: int,
        heads: int,
        maxlen: int,
        pointwise_ratio: int,
        mask_style: MaskStyle = "clipped_causal",
        span: int | None = None,
    ):
        super().__init__()
        self.hidsize, self.maxlen, self.mask_style = hidsize, maxlen, mask_style
        self.blocks = nn.ModuleList(
            TransformerBlock(hidsize, heads, maxlen, pointwise_ratio, 1 / math.sqrt(layers), span)
            for _ in range(layers)
        )

    def initial_state(self, batch: int, device: torch.device | str) -> PolicyState:
        """An empty memory for `batch` sequences."""
        empty = torch.zeros(batch, self.maxlen, self.hidsize, device=device)
        mask = torch.zeros(batch, self.maxlen, dtype=torch.bool, device=device)
        return [BlockState(mask, empty, empty) for _ in self.blocks]

    def forward(self, x: Tensor) -> Tensor:
        """A window of its own, nothing before it: (B, T, E) -> (B, T, E)."""
        first = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        return self.remembering(x, first, self.initial_state(len(x), x.device))[0]

    def remembering(self, x: Tensor, first: Tensor, state: PolicyState) -> tuple[Tensor, PolicyState]:
        """With memory: (B, T, E), first (B, T) bool -> (B, T, E) and the next state."""
        if self.maxlen == 0:
            for block in self.blocks:
                x, _ = block(x)
            return x, state
        seen = visibility(first, state[0].mask, self.mask_style)
        after: PolicyState = []
        for block, block_state in zip(self.blocks, state, strict=True):
            x, next_state = block(x, block_state, seen)
            after.append(next_state)
        return x, after
