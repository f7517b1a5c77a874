"""The behavioural-cloning policy (VPT, section 4.3 and appendix E): frames so far in, joint actions out.

Single frames pass through the Impala encoder, then through causal transformer blocks that remember the last
`attention_memory_size - timesteps` frames across calls. Two softmax heads predict the joint button action (8,641) and
the joint camera action (121), a scalar head the value (for reinforcement learning; behavioural cloning leaves it
alone, so its parameters carry no gradient).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.actions import MINECRAFT, ActionSchema
from models.attention import MaskStyle, PolicyState, Transformer, check_memory
from models.backbone import CategoricalHead, ImageEncoder, Norms, check_frames, check_temperature, dense, pixels
from models.weights import config_from_dict, config_to_dict, load_model, load_strict, save_model

KIND = "policy"


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """The released net arguments that vary, under their released names."""

    hidsize: int
    """Width of the transformer."""
    attention_heads: int
    """Heads per block; divides `hidsize`."""
    attention_memory_size: int = 256
    """Frames in memory plus `timesteps`, as the release counts: 256 - 128 = 128 frames are seen, oneself included."""
    timesteps: int = 128
    """Frames per training chunk. Any number may be passed to `forward`."""
    attention_mask_style: MaskStyle = "clipped_causal"
    """"clipped_causal": the past and the present; "none": all of memory and chunk, what comes after too."""
    n_recurrence_layers: int = 4
    """Transformer blocks."""
    pointwise_ratio: int = 4
    """Width of the MLP over `hidsize`."""
    impala_width: int = 1
    """Multiplies `impala_chans`."""
    impala_chans: tuple[int, ...] = (16, 32, 32)
    """Channels of the Impala stacks before `impala_width`."""
    group_norm_groups: int | None = 1
    """Groups of the norms before the stacks' convolutions (`init_norm_kwargs`); None for no norms."""
    post_pool_groups: int | None = 1
    """Groups of the norms after the stacks' max-pools (`impala_kwargs`); None for no norms."""
    use_pre_lstm_ln: bool = False
    """A LayerNorm before the transformer. The released models have none."""
    temperature: float = 1.0
    """Logits are divided by it."""
    schema: ActionSchema = MINECRAFT
    """The game's action space, whole: what the outputs mean."""
    n_joint_buttons: int = field(init=False)
    """Size of the button head, by the schema."""
    n_joint_camera: int = field(init=False)
    """Size of the camera head, by the schema."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_joint_buttons", self.schema.n_joint_buttons)
        object.__setattr__(self, "n_joint_camera", self.schema.n_joint_camera)
        if self.hidsize % self.attention_heads:
            raise ValueError(f"expected attention_heads to divide hidsize {self.hidsize}, got {self.attention_heads}")
        check_memory(self.attention_mask_style, self.attention_memory_size, self.timesteps)
        check_temperature(self.temperature)

    @property
    def maxlen(self) -> int:
        """Frames each frame sees, itself included."""
        return self.attention_memory_size - self.timesteps


class PolicyNet(nn.Module):
    """Everything below the heads. `net` in the released weights."""

    def __init__(self, config: PolicyConfig):
        super().__init__()
        channels = [c * config.impala_width for c in config.impala_chans]
        norms = Norms(config.group_norm_groups, config.post_pool_groups)
        self.img_process = ImageEncoder(3, channels, config.hidsize, side=128, first_norm=False, norms=norms)
        self.pre_lstm_ln = nn.LayerNorm(config.hidsize) if config.use_pre_lstm_ln else None
        self.recurrent_layer = Transformer(
            layers=config.n_recurrence_layers,
            hidsize=config.hidsize,
            heads=config.attention_heads,
            maxlen=config.maxlen,
            pointwise_ratio=config.pointwise_ratio,
            mask_style=config.attention_mask_style,
        )
        self.lastlayer = dense(config.hidsize, config.hidsize, normed=config.group_norm_groups is not None)
        self.final_ln = nn.LayerNorm(config.hidsize)

    def forward(self, frames: Tensor, first: Tensor, state: PolicyState) -> tuple[Tensor, PolicyState]:
        x = self.img_process(pixels(frames)).unflatten(0, frames.shape[:2])
        if self.pre_lstm_ln is not None:
            x = self.pre_lstm_ln(x)
        x, state = self.recurrent_layer.remembering(x, first, state)
        return self.final_ln(self.lastlayer(F.relu(x))), state


class ValueNormalizer(nn.Module):
    """Running moments of returns in the released weights; carried along, not used here."""

    def __init__(self) -> None:
        super().__init__()
        self.running_mean = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.running_mean_sq = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.debiasing_term = nn.Parameter(torch.tensor(0.0), requires_grad=False)


class ValueHead(nn.Module):
    """(B, T, E) -> (B, T, 1), in the normalised units of the released training."""

    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Linear(width, 1)
        self.normalizer = ValueNormalizer()
        self.requires_grad_(False)

    def forward(self, latent: Tensor) -> Tensor:
        return self.linear(latent)


class Policy(nn.Module):
    """The policy. `Policy(config)` is random; `Policy.load(directory)` reads a saved one."""

    def __init__(self, config: PolicyConfig):
        super().__init__()
        self.config = config
        self.net = PolicyNet(config)
        self.value_head = ValueHead(config.hidsize)
        self.pi_head = nn.ModuleDict(
            {
                "camera": CategoricalHead(config.hidsize, (config.n_joint_camera,), config.temperature),
                "buttons": CategoricalHead(config.hidsize, (config.n_joint_buttons,), config.temperature),
            }
        )

    def forward(
        self, frames: Tensor, first: Tensor | None = None, state: PolicyState | None = None
    ) -> tuple[dict[str, Tensor], PolicyState]:
        """Log-probabilities of the joint actions.

        Args:
            frames: uint8 (B, T, 128, 128, 3) RGB.
            first: bool (B, T), frame starts an episode: nothing before it is seen. None: no frame does.
            state: what the last call returned for these B sequences; None: an empty memory.

        Returns:
            {"buttons": (B, T, 8641), "camera": (B, T, 121)} and the state for the next call.
        """
        latent, state = self.latent(frames, first, state)
        return {"buttons": self.pi_head["buttons"](latent), "camera": self.pi_head["camera"](latent)}, state

    def latent(
        self, frames: Tensor, first: Tensor | None = None, state: PolicyState | None = None
    ) -> tuple[Tensor, PolicyState]:
        """What the heads read, (B, T, hidsize), and the next state. `value_head(latent)` is the value (B, T, 1)."""
        check_frames(frames)
        batch, length = frames.shape[:2]
        if first is None:
            first = torch.zeros(batch, length, dtype=torch.bool, device=frames.device)
        if first.dtype != torch.bool or first.shape != (batch, length):
            raise ValueError(f"expected first as bool ({batch}, {length}), got {first.dtype} {tuple(first.shape)}")
        if state is None:
            state = self.initial_state(batch, frames.device)
        if len(state) != self.config.n_recurrence_layers or state[0].mask.shape != (batch, self.config.maxlen):
            raise ValueError(
                f"expected a state of {self.config.n_recurrence_layers} blocks for {batch} sequences, got "
                f"{len(state)} blocks for {tuple(state[0].mask.shape)}; pass state=None to start anew"
            )
        return self.net(frames, first, state)

    def initial_state(self, batch: int, device: torch.device | str = "cpu") -> PolicyState:
        """An empty memory for `batch` sequences."""
        return self.net.recurrent_layer.initial_state(batch, device)

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read a saved policy, in evaluation mode on the CPU. ValueError if the files do not fit exactly."""
        values, tensors = load_model(directory, KIND)
        with torch.device("meta"):
            policy = cls(config_from_dict(PolicyConfig, values, directory))
        load_strict(policy, tensors, directory)
        return policy.eval()

    def save(self, directory: str | Path) -> None:
        """Write `model.json` and `weights.safetensors`."""
        save_model(directory, KIND, config_to_dict(self.config), self.state_dict())


def joint_log_prob(
    log_probs: dict[str, Tensor], joint_buttons: Tensor, joint_camera: Tensor, camera_used: Tensor
) -> Tensor:
    """Log-probability (B, T) of joint actions: buttons plus camera, the latter only where the buttons say it moves.

    The camera head is ignored at play when the joint button action says "no camera", so its loss is masked then
    (paper, appendix E.3; the released training script forgets this).

    Args:
        log_probs: what `Policy.forward` returns.
        joint_buttons, joint_camera: int64 (B, T), from `models.actions.to_joint`.
        camera_used: bool (B, T), from `models.actions.camera_is_used`.
    """
    buttons = log_probs["buttons"].gather(-1, joint_buttons[..., None])[..., 0]
    camera = log_probs["camera"].gather(-1, joint_camera[..., None])[..., 0]
    return buttons + torch.where(camera_used, camera, torch.zeros_like(camera))
