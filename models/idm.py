"""The inverse dynamics model (VPT, section 3 and appendix D): a window of frames in, the action of each frame out.

It sees the past and the future, which makes the task far easier than acting. The released graph is: a temporal
convolution over 5 frames, Impala stacks per frame, transformer blocks without mask, two heads. `front="motion"`
keeps that family and adds what small budgets need, see `models/motion.py`: there the mixed features also skip the
transformer, whose blocks have no outer skip, and each frame's own features go to the heads as they are.

`lastlayer`: the released forward pass computes this layer and throws the result away, so by default it is skipped
here, though its tensors are loaded and saved. `use_lastlayer=True` runs it, as the paper's text has it.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.actions import MINECRAFT, ActionSchema, mirror_of
from models.attention import MaskStyle, Transformer, check_memory
from models.backbone import (
    CategoricalHead,
    ImageEncoder,
    NormLayer,
    Norms,
    check_frames,
    check_temperature,
    dense,
)
from models.motion import HALF, numbers_of, seen
from models.motion_encoder import MotionEncoder, frame_width
from models.second_opinion import SecondOpinion
from models.walk import UNITS
from models.weights import config_from_dict, config_to_dict, load_model, load_strict, save_model

KIND = "idm"


@dataclass(frozen=True, kw_only=True)
class IDMConfig:
    """The released net arguments that vary, under their released names, and the choice of front end."""

    hidsize: int
    """Width of the transformer."""
    attention_heads: int
    """Heads per block; divides `hidsize`."""
    timesteps: int = 128
    """Frames per window in training, and in labelling but for the front "motion": longer windows are cut into pieces
    of these in training, and its frames see no more of them in labelling. A second opinion sees the whole window.
    Any number may be passed to `forward`."""
    attention_memory_size: int | None = None
    """Frames in memory plus `timesteps`, as the release counts; None for `timesteps`, so no memory and no positions."""
    attention_mask_style: MaskStyle = "none"
    """"none": all of the window is seen, both ways; "clipped_causal": the past only, which needs a memory."""
    n_recurrence_layers: int = 2
    """Transformer blocks."""
    pointwise_ratio: int = 4
    """Width of the MLP over `hidsize`."""
    impala_width: int = 1
    """Multiplies `impala_chans`."""
    impala_chans: tuple[int, ...] = (16, 32, 32)
    """Channels of the Impala stacks before `impala_width`."""
    conv3d_outchan: int = 128
    """Channels of the temporal convolution (`conv3d_params.outchan`); only with the front "conv3d"."""
    conv3d_taps: int = 5
    """Frames the temporal convolution sees, centred; an odd number (`conv3d_params.kernel_size[0]`)."""
    conv3d_side: int = 1
    """Its height and width in pixels, an odd number (`kernel_size[1:]`); only with the front "conv3d"."""
    group_norm_groups: int | None = 1
    """Groups of the norms before the stacks' convolutions (`init_norm_kwargs`); None for no norms."""
    post_pool_groups: int | None = 1
    """Groups of the norms after the stacks' max-pools (`impala_kwargs`); None for no norms."""
    use_pre_lstm_ln: bool = False
    """Hold the tensors of a norm before the transformer. The released IDM has none, and its code would skip it."""
    temperature: float = 1.0
    """Logits are divided by it."""
    change_price: float = 0.0
    """In labels, what each press or release of a button costs, in nats at temperature 1; 0 takes the likelier of
    pressed and released on each frame by itself, as released. Log-probabilities do not know of it."""
    both_ways: bool = False
    """In labels, the mean (of logits) of what is said of the picture and of its mirror image, which weighs the same."""
    use_lastlayer: bool = False
    """Run `lastlayer` between transformer and heads. The released code does not."""
    front: Literal["conv3d", "motion"] = "conv3d"
    """"conv3d": the released model. "motion": turns and motion found by alignment, skips to the heads."""
    motion_width: int = 64
    """Channels of the stack that sees motion; only with the front "motion", which has no Impala stacks."""
    change_width: int = 32
    """Channels of the stack that sees what changes; only with the front "motion"."""
    dilations: tuple[int, ...] = ()
    """Convolutions over time before the transformer: frames from tap to tap; only with the front "motion"."""
    dropout: float = 0.0
    """Share of the features hidden in training; only with the front "motion"."""
    opinion_width: int = 0
    """Width of the second opinion on the buttons (`models.second_opinion`); 0 for none. Only with the front
    "motion"."""
    opinion_memory: int = 0
    """Width, each way, of what the second opinion remembers of the whole window; 0 for nothing."""
    opinion_shares: tuple[float, ...] = ()
    """In labels and their confidence, how much the second opinion counts for each button, 0 to 1; () is 0 for all,
    until `models.calibrate` knows better. Neither training nor `forward` knows of it."""
    schema: ActionSchema = MINECRAFT
    """The game's action space, whole: what the outputs mean."""
    n_buttons: int = field(init=False)
    """Two-way choices, by the schema."""
    n_camera_bins: int = field(init=False)
    """Choices per camera axis, by the schema."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_buttons", len(self.schema.buttons))
        object.__setattr__(self, "n_camera_bins", self.schema.camera.bins)
        if self.hidsize % self.attention_heads:
            raise ValueError(f"expected attention_heads to divide hidsize {self.hidsize}, got {self.attention_heads}")
        if self.front not in ("conv3d", "motion"):
            raise ValueError(f"expected front 'conv3d' or 'motion', got {self.front!r}")
        if self.conv3d_taps % 2 == 0 or self.conv3d_side % 2 == 0:
            raise ValueError(f"expected odd conv3d_taps and conv3d_side, got {self.conv3d_taps} and {self.conv3d_side}")
        check_memory(self.attention_mask_style, self.timesteps + self.maxlen, self.timesteps)
        check_temperature(self.temperature)
        if self.both_ways:
            mirror_of(self.schema)  # a schema that cannot be mirrored is told here
        if self.opinion_width and self.front != "motion":
            raise ValueError(
                f"expected front 'motion' for a second opinion, got {self.front!r}; set opinion_width to 0"
            )
        for name in ("opinion_shares", "opinion_memory"):
            if getattr(self, name) and not self.opinion_width:
                raise ValueError(f"expected no {name} without a second opinion; set opinion_width or leave it out")
        if len(self.opinion_shares) not in (0, self.n_buttons) or not all(0 <= s <= 1 for s in self.opinion_shares):
            raise ValueError(f"expected {self.n_buttons} opinion_shares from 0 to 1 or none, got {self.opinion_shares}")
        if not 0 <= self.change_price < math.inf:
            raise ValueError(f"expected a change_price of 0 or more, got {self.change_price}")

    @property
    def maxlen(self) -> int:
        """Frames that the attention's cache and bias table hold; 0 in the release."""
        return 0 if self.attention_memory_size is None else self.attention_memory_size - self.timesteps

    @property
    def norms(self) -> Norms:
        """Groups of the encoder's norms."""
        return Norms(self.group_norm_groups, self.post_pool_groups)


class InverseActionNet(nn.Module):
    """Everything below the heads. `net` in the released weights. uint8 (B, T, H, W, 3) -> (B, T, `width`)."""

    def __init__(self, config: IDMConfig):
        super().__init__()
        self.use_lastlayer = config.use_lastlayer
        if config.front == "conv3d":
            channels = [c * config.impala_width for c in config.impala_chans]
            kernel, width = (config.conv3d_taps, config.conv3d_side, config.conv3d_side), config.conv3d_outchan
            self.conv3d_layer = NormLayer(nn.Conv3d(3, width, kernel, padding="same"))
            self.img_process = ImageEncoder(
                width, channels, config.hidsize, side=128, first_norm=True, norms=config.norms
            )
        else:
            self.motion_process = MotionEncoder(
                config.hidsize,
                config.schema,
                taps=config.conv3d_taps,
                width=config.motion_width,
                change_width=config.change_width,
                dilations=config.dilations,
                dropout=config.dropout,
            )
        self.recurrent_layer = Transformer(
            layers=config.n_recurrence_layers,
            hidsize=config.hidsize,
            heads=config.attention_heads,
            maxlen=config.maxlen,
            pointwise_ratio=config.pointwise_ratio,
            mask_style=config.attention_mask_style,
            span=config.timesteps if config.front == "motion" else None,
        )
        if config.use_pre_lstm_ln:
            self.pre_lstm_ln = nn.LayerNorm(config.hidsize).requires_grad_(False)
        last = dense(config.hidsize, config.hidsize, normed=config.group_norm_groups is not None)
        self.lastlayer = last.requires_grad_(config.use_lastlayer)
        self.final_ln = nn.LayerNorm(config.hidsize)
        self.dropout = nn.Dropout(config.dropout)
        self.front = config.front
        self.width = config.hidsize + (frame_width(config.schema) if config.front == "motion" else 0)

    def forward(self, frames: Tensor, maps: Tensor | None = None) -> Tensor:
        if self.front == "conv3d":
            return self.final_ln(self._over_time(self._released_front(frames)))
        assert maps is not None
        x, motion = self.motion_process(frames, maps)
        return torch.cat([self.final_ln(self.dropout(self._over_time(x)) + x), motion], dim=-1)

    def _over_time(self, x: Tensor) -> Tensor:
        """(B, T, E) -> (B, T, E): the transformer and, where it is used, the last layer."""
        x = F.relu(self.recurrent_layer(x))
        return self.lastlayer(x) if self.use_lastlayer else x

    def _released_front(self, frames: Tensor) -> Tensor:
        """(B, T, H, W, 3) -> (B, T, E). One sequence at a time: its 128 channels take 1 GiB.

        The release's reshape leaves batches of sequences with channels last, and on a CPU the group norm rounds
        otherwise there, by up to 1e-3 in the log-probabilities. The layout is kept, so that the numbers agree.
        """
        layout = torch.channels_last if min(frames.shape[:2]) > 1 else torch.preserve_format
        encoded = []
        for sequence in frames:
            x = self.conv3d_layer(sequence.permute(3, 0, 1, 2).float() / 255.0)  # (C, T, H, W)
            encoded.append(self.img_process(x.transpose(0, 1).to(memory_format=layout)))
        return torch.stack(encoded)


class InverseDynamicsModel(nn.Module):
    """The IDM. `InverseDynamicsModel(config)` is random; `InverseDynamicsModel.load(directory)` reads a saved one."""

    def __init__(self, config: IDMConfig):
        super().__init__()
        self.config = config
        self.net = InverseActionNet(config)
        if config.front == "motion":
            self.walk_head = nn.Linear(self.net.width, len(UNITS))
        self.pi_head = nn.ModuleDict(
            {
                "buttons": CategoricalHead(self.net.width, (config.n_buttons, 2), config.temperature),
                "camera": CategoricalHead(self.net.width, (2, config.n_camera_bins), config.temperature),
            }
        )
        if config.opinion_width:
            self.second = SecondOpinion(config.opinion_width, config.opinion_memory, config.dilations, config.dropout)
            self.second_walk_head = nn.Linear(self.second.width, len(UNITS))
            self.second_head = CategoricalHead(self.second.width, (config.n_buttons, 2), config.temperature)

    def forward(self, frames: Tensor, maps: Tensor | None = None) -> dict[str, Tensor]:
        """Log-probabilities of each frame's action, from the whole window.

        Args:
            frames: uint8 (B, T, 128, 128, 3) RGB, one continuous 20 Hz window per row; beside maps at half size
                (`models.motion.half_size`).
            maps: their motion (`models.motion.motion_maps`) if computed ahead; the front "conv3d" has none.

        Returns:
            {"buttons": (B, T, 20, 2), last axis released and pressed; "camera": (B, T, 2, 11), pitch then yaw}. The
            front "motion" also says how the player moves, "walk": (B, T, 4) (`models.walk`), no probability. A second
            opinion stands beside them, "second_buttons" and "second_walk"; `models.predict` weighs the two.
        """
        if maps is None:
            check_frames(frames)
            if self.config.front == "motion":
                frames, maps = seen(frames)
        else:
            check_frames(frames, HALF, "beside motion maps, frames come through models.motion.half_size")
        latent = self._latent(frames, maps)
        found = {name: head(latent) for name, head in self.pi_head.items()}
        if maps is not None:
            found["walk"] = self.walk_head(latent)
        if maps is not None and self.config.opinion_width:
            second = self.second(numbers_of(maps).to(self.second.mix.weight))
            found |= {"second_buttons": self.second_head(second), "second_walk": self.second_walk_head(second)}
        return found

    def _latent(self, frames: Tensor, maps: Tensor | None) -> Tensor:
        """What the net makes of windows. In training, longer ones are cut for it into pieces of `timesteps` frames."""
        length = self.config.timesteps
        if maps is None or not self.training or frames.shape[1] % length:
            return self.net(frames, maps)
        pieces = (x.unflatten(1, (-1, length)).flatten(0, 1) for x in (frames, maps))
        return self.net(*pieces).unflatten(0, (len(frames), -1)).flatten(1, 2)

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read a saved model, in evaluation mode on the CPU. ValueError if the files do not fit exactly."""
        values, tensors = load_model(directory, KIND)
        with torch.device("meta"):
            model = cls(config_from_dict(IDMConfig, values, directory))
        load_strict(model, tensors, directory)
        return model.eval()

    def save(self, directory: str | Path) -> None:
        """Write `model.json` and `weights.safetensors`."""
        save_model(directory, KIND, config_to_dict(self.config), self.state_dict())
