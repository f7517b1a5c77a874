"""The IDM's config: the released net arguments that vary, under their released names, and what we add to them."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from models.actions import MINECRAFT, ActionSchema, mirror_of
from models.attention import MaskStyle, check_memory
from models.backbone import Norms, check_temperature
from models.compact import BITS
from models.motion import EDITION


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
    """Width of the second opinion (`models.second_opinion`); 0 for none. Only with the front "motion"."""
    opinion_memory: int = 0
    """Width, each way, of what the second opinion remembers of the whole window; 0 for nothing."""
    opinion_shares: tuple[float, ...] = ()
    """In labels and their confidence, how much the second opinion counts for each button, 0 to 1; () is 0 for all.
    `models.calibrate` chooses them. Neither training nor `forward` knows of it."""
    camera_share: float = 0.0
    """The same, for the camera, where no menu is open: a cursor is no turn."""
    camera_habit: float = 0.0
    """In labels and their confidence, how much it counts how players turn from one frame to the next
    (`models.habits`, learned from the recordings of the training), 0 to 1."""
    members: int = 1
    """Networks of this form that learn apart and are heard together, as the mean of their logits; 1 in the release.
    In training each sees windows of its own: a batch is shared out among them. Labelling asks them all, and what takes
    its time, the motion maps, is the same for all."""
    weight_bits: int = 32
    """Bits of a saved weight, 32, 16 or 8 (`models.compact`). They are loaded as float32."""
    schema: ActionSchema = MINECRAFT
    """The game's action space, whole: what the outputs mean."""
    n_buttons: int = field(init=False)
    """Two-way choices, by the schema."""
    n_camera_bins: int = field(init=False)
    """Choices per camera axis, by the schema."""
    maps: int = field(init=False, default=0)
    """The edition of the motion maps that the weights know; 0 for the front "conv3d", which sees none."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_buttons", len(self.schema.buttons))
        object.__setattr__(self, "n_camera_bins", self.schema.camera.bins)
        object.__setattr__(self, "maps", EDITION if self.front == "motion" else 0)
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
        for name in ("opinion_shares", "camera_share", "opinion_memory"):
            if getattr(self, name) and not self.opinion_width:
                raise ValueError(f"expected no {name} without a second opinion; set opinion_width or leave it out")
        if len(self.opinion_shares) not in (0, self.n_buttons) or not all(0 <= s <= 1 for s in self.opinion_shares):
            raise ValueError(f"expected {self.n_buttons} opinion_shares from 0 to 1 or none, got {self.opinion_shares}")
        for name in ("camera_share", "camera_habit"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"expected a {name} from 0 to 1, got {getattr(self, name)}")
        if self.members < 1:
            raise ValueError(f"expected 1 or more members, got {self.members}")
        if self.weight_bits not in BITS:
            raise ValueError(f"expected weight_bits, one of {', '.join(map(str, BITS))}; got {self.weight_bits}")
        if not 0 <= self.change_price < math.inf:
            raise ValueError(f"expected a change_price of 0 or more, got {self.change_price}")

    @property
    def maxlen(self) -> int:
        """Frames that the attention's cache and bias table hold; 0 in the release."""
        return 0 if self.attention_memory_size is None else self.attention_memory_size - self.timesteps

    @property
    def uncalibrated(self) -> Self:
        """Without what `models.calibrate` finds: the architecture, and how labels are chosen."""
        return replace(self, temperature=1.0, opinion_shares=(), camera_share=0.0)

    @property
    def norms(self) -> Norms:
        """Groups of the encoder's norms."""
        return Norms(self.group_norm_groups, self.post_pool_groups)
