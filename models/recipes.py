"""Named complete model configs: a run names one of these instead of a row of flags.

Released sizes are exact (vpt.md figures: 482,330,046; 70,998,654; 248,495,294; 532,504,318 parameters). The nano
models are ours, for a laptop's CPU.
"""

from models.idm import IDMConfig
from models.policy import PolicyConfig


def idm_nano_cpu() -> IDMConfig:
    """Trains on two CPU cores in minutes."""
    return IDMConfig(
        front="correlation", hidsize=128, attention_heads=4, timesteps=32, n_recurrence_layers=1, pointwise_ratio=2,
        impala_chans=(8, 16, 16), conv3d_outchan=8, use_lastlayer=True,
    )
