"""Named complete model configs: a run names one of these instead of a row of flags.

`idm_vpt_released` and `policy_1x`, `2x`, `3x` are OpenAI's sizes (482,330,046; 70,998,654; 248,495,294; 532,504,318
parameters; the 1x and 3x configs are inferred from their counts). The others are ours.
"""

from models.actions import MINECRAFT, ActionSchema
from models.idm import IDMConfig
from models.policy import PolicyConfig

SHARE_OF_MOTION = 0.5
"""How much the second opinion of a nano IDM counts for the camera and for..."""
MOVING = ("forward", "back", "left", "right", "jump", "sneak", "sprint")
"""...the buttons that move the player, until `models.calibrate` knows better. The other buttons it cannot see."""


def shares_of_motion(schema: ActionSchema = MINECRAFT) -> tuple[float, ...]:
    """`IDMConfig.opinion_shares`; none for a game that knows other buttons."""
    if not set(MOVING) <= set(schema.buttons):
        return ()
    return tuple(SHARE_OF_MOTION if button in MOVING else 0.0 for button in schema.buttons)


def idm_nano_cpu() -> IDMConfig:
    """Ours, for a laptop: trains on two CPU cores within the hour. Motion front end, four members of 2.4 M each."""
    return IDMConfig(
        front="motion",
        both_ways=True,
        hidsize=192,
        attention_heads=4,
        timesteps=32,
        n_recurrence_layers=1,
        pointwise_ratio=2,
        conv3d_taps=3,
        dilations=(2, 4, 8),
        dropout=0.3,
        change_price=0.5,
        camera_habit=0.33,
        opinion_width=80,
        opinion_memory=64,
        opinion_shares=shares_of_motion(),
        camera_share=SHARE_OF_MOTION,
        members=4,
        weight_bits=8,
    )


def idm_vpt_small() -> IDMConfig:
    """The released graph at the paper's written widths (stacks 64, 128, 128), half the hidden size. 116 M."""
    return IDMConfig(hidsize=2048, attention_heads=16, impala_width=4)


def idm_vpt_released() -> IDMConfig:
    """OpenAI's 4x_idm."""
    return IDMConfig(hidsize=4096, attention_heads=32, impala_width=16, temperature=4.0)


def policy_nano_cpu() -> PolicyConfig:
    """Ours, for a laptop: the released graph, small in every direction. It learns, it does not play well."""
    return PolicyConfig(
        hidsize=128,
        attention_heads=4,
        attention_memory_size=64,
        timesteps=32,
        n_recurrence_layers=2,
        impala_chans=(8, 16, 16),
    )


def policy_1x() -> PolicyConfig:
    """OpenAI's foundation-model-1x, 71 M."""
    return PolicyConfig(hidsize=1024, attention_heads=8, impala_width=4)


def policy_2x() -> PolicyConfig:
    """OpenAI's foundation-model-2x, 248 M: the one of the paper's RL runs (temperature 2 there)."""
    return PolicyConfig(hidsize=2048, attention_heads=16, impala_width=8)


def policy_3x() -> PolicyConfig:
    """OpenAI's foundation-model-3x, 0.5 B: the paper's main foundation model."""
    return PolicyConfig(hidsize=3072, attention_heads=24, impala_width=12)
