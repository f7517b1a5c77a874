"""The inverse dynamics model (VPT, section 3 and appendix D): a window of frames in, the action of each frame out.

It sees the past and the future, which makes the task far easier than acting. The released graph is: a temporal
convolution over 5 frames, Impala stacks per frame, transformer blocks without mask, two heads. `front="motion"`
keeps that family and adds what small budgets need, see `models/motion.py`: there the mixed features also skip the
transformer, whose blocks have no outer skip, and each frame's own features go to the heads as they are.

`lastlayer`: the released forward pass computes this layer and throws the result away, so by default it is skipped
here, though its tensors are loaded and saved. `use_lastlayer=True` runs it, as the paper's text has it. The front
"motion" has it only then.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.attention import Transformer
from models.backbone import CategoricalHead, ImageEncoder, NormLayer, check_frames, dense
from models.compact import packed, unpacked
from models.dropout import Dropout
from models.idm_config import IDMConfig
from models.motion import HALF, numbers_of, seen
from models.motion_encoder import MotionEncoder, frame_width
from models.second_opinion import SecondOpinion
from models.walk import UNITS
from models.weights import config_from_dict, config_to_dict, load_model, load_strict, save_model

__all__ = ["KIND", "IDMConfig", "InverseActionNet", "InverseDynamicsModel"]

KIND = "idm"
BESIDE = ("walk", "second_walk", "menu")
"""What is said beside log-probabilities."""
RARELY = -4.0
"""Log odds of a menu before anything is learned."""


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
        if config.front == "conv3d" or config.use_lastlayer:
            last = dense(config.hidsize, config.hidsize, normed=config.group_norm_groups is not None)
            self.lastlayer = last.requires_grad_(config.use_lastlayer)
        self.final_ln = nn.LayerNorm(config.hidsize)
        self.dropout = Dropout(config.dropout)
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

    habits: Tensor
    """(2, K, K) of `models.habits`, zeros until training finds them; only where `camera_habit` asks for it."""

    def __init__(self, config: IDMConfig):
        super().__init__()
        self.config = config
        self.net = InverseActionNet(config)
        if config.front == "motion":
            self.walk_head = nn.Linear(self.net.width, len(UNITS))
        self.pi_head = nn.ModuleDict(_heads(self.net.width, config))
        if config.opinion_width:
            self.second = SecondOpinion(
                config.opinion_width, config.opinion_memory, config.dilations, config.dropout, config.schema
            )
            self.second_walk_head = nn.Linear(self.second.width, len(UNITS))
            self.second_head = nn.ModuleDict(_heads(self.second.width, config))
            self.menu_head = nn.Linear(self.net.width, 1)
            nn.init.zeros_(self.menu_head.weight)
            nn.init.constant_(self.menu_head.bias, RARELY)
        if config.camera_habit:
            self.register_buffer("habits", torch.zeros(2, config.n_camera_bins, config.n_camera_bins))
        alone = replace(config, members=1, camera_habit=0.0)
        self.others = nn.ModuleList(InverseDynamicsModel(alone) for _ in range(config.members - 1))

    @property
    def in_parts(self) -> bool:
        """In training, may a call leave weights unused? Members without a window in it have no part in it."""
        return len(self.others) > 0

    def alone(self, member: int) -> Self:
        """One member, 0 to `members` - 1, as a model that shares its weights and says what the member says."""
        one = copy(self.others[member - 1] if member else self)
        one._modules = {**one._modules, "others": nn.ModuleList()}
        return cast(Self, one)

    def forward(
        self, frames: Tensor, maps: Tensor | None = None, numbers: Sequence[int] | None = None
    ) -> dict[str, Tensor]:
        """Log-probabilities of each frame's action, from the whole window.

        Args:
            frames: uint8 (B, T, 128, 128, 3) RGB, one continuous 20 Hz window per row; beside maps at half size
                (`models.motion.half_size`).
            maps: their motion (`models.motion.motion_maps`) if computed ahead; the front "conv3d" has none.
            numbers: (B,) the windows' numbers in the whole batch, if there is more of it; in training window i is for
                member i modulo `members` alone.

        Returns:
            {"buttons": (B, T, 20, 2), last axis released and pressed; "camera": (B, T, 2, 11), pitch then yaw}. The
            front "motion" also says how the player moves, "walk": (B, T, 4) (`models.walk`), no probability. A second
            opinion stands beside them, each name with "second_", and the log odds that a menu is open, "menu":
            (B, T, 1); `models.predict` weighs the two.
        """
        if maps is None:
            check_frames(frames)
            if self.config.front == "motion":
                frames, maps = seen(frames)
        else:
            check_frames(frames, HALF, "beside motion maps, frames come through models.motion.half_size")
        members = cast(list[Self], [self, *self.others])
        if not self.training:
            return mean_said([member._say(frames, maps) for member in members])
        turns = torch.as_tensor(range(len(frames)) if numbers is None else numbers) % len(members)
        mine = {i: turns == i for i in turns.unique().tolist()}
        said = [members[i]._say(frames[rows], None if maps is None else maps[rows]) for i, rows in mine.items()]
        order = torch.cat([rows.nonzero()[:, 0] for rows in mine.values()]).argsort()
        return {name: torch.cat([one[name] for one in said])[order] for name in said[0]}

    def _say(self, frames: Tensor, maps: Tensor | None = None) -> dict[str, Tensor]:
        """What this member says by itself."""
        latent = self._latent(frames, maps)
        found = {name: head(latent) for name, head in self.pi_head.items()}
        if maps is not None:
            found["walk"] = self.walk_head(latent)
        if maps is not None and self.config.opinion_width:
            second = self.second(numbers_of(maps).to(self.second.mix.weight))
            found |= {f"second_{name}": head(second) for name, head in self.second_head.items()}
            found["second_walk"] = self.second_walk_head(second)
            found["menu"] = self.menu_head(latent)
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
        load_strict(model, unpacked(tensors, directory), directory)
        return model.eval()

    def save(self, directory: str | Path) -> None:
        """Write `model.json` and `weights.safetensors`."""
        tensors = packed(self.state_dict(), self.config.weight_bits)
        save_model(directory, KIND, config_to_dict(self.config), tensors)


def _heads(width: int, config: IDMConfig) -> dict[str, nn.Module]:
    """The action of a frame from its features."""
    return {
        "buttons": CategoricalHead(width, (config.n_buttons, 2), config.temperature),
        "camera": CategoricalHead(width, (2, config.n_camera_bins), config.temperature),
    }


def mean_said(said: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """What several say together: the mean of logits, as log-probabilities, and of what stands beside them."""
    if len(said) == 1:
        return said[0]
    means = {name: torch.stack([one[name] for one in said]).mean(0) for name in said[0]}
    return {name: mean if name in BESIDE else mean.log_softmax(-1) for name, mean in means.items()}
