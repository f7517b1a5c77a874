"""The training stages' own decisions: what is held out, and what cannot be trained on."""

import numpy as np
import pytest

from models.dataset import Episode
from stages.errors import ConfigError
from stages.settings import Settings
from stages.stage import Context
from stages.train import Train, TrainStageConfig, split_episodes
from stages.train_idm import TrainIdm, TrainIdmConfig, split


def clip(world: str, name: str, length: int = 100) -> Episode:
    frames = np.zeros((length, 128, 128, 3), np.uint8)
    actions = np.zeros((length, 20), bool), np.zeros((length, 2), np.float32), np.ones(length, np.float32)
    return Episode(name, world, frames, *actions)


def test_whole_videos_are_held_out() -> None:
    clips = [clip(f"video{i % 10}", f"clip{i}") for i in range(30)]
    training, held_out, how = split_episodes(clips, share=0.2)
    assert how == "videos"
    assert len({c.world for c in held_out}) == 2
    assert {c.world for c in held_out}.isdisjoint({c.world for c in training})
    assert len(training) + len(held_out) == 30
    assert split_episodes(clips[::-1], share=0.2)[1][0].world in {c.world for c in held_out}, "order does not matter"


def test_of_one_video_the_last_part_of_each_clip() -> None:
    training, held_out, how = split_episodes([clip("v", "a", 100), clip("v", "b", 50)], share=0.1)
    assert how == "tails of clips"
    assert ([len(c) for c in training], [len(c) for c in held_out]) == ([90, 45], [10, 5])


def test_nothing_to_train_on_says_what_to_run(file_settings: Settings) -> None:
    with pytest.raises(
        ConfigError, match=r"expected a snapshot of idm labels, got none; run `python -m stages\.shard`"
    ):
        list(Train(TrainStageConfig()).units(Context(file_settings)))
    with pytest.raises(ConfigError, match="expected a snapshot of truth labels, got none"):
        list(TrainIdm(TrainIdmConfig()).units(Context(file_settings)))


def test_a_held_out_share_must_leave_something() -> None:
    with pytest.raises(ConfigError, match=r"above 0 and at most 0\.5, got 0\.9"):
        TrainStageConfig(held_out_share=0.9)


def test_idm_worlds() -> None:
    clips = [clip(world, world) for world in ("amber-otter", "keen-vole", "lucky-wren")]
    training, calibration, held_out = split(clips, ("keen",))
    assert calibration == []
    assert [c.world for c in held_out] == ["keen-vole"]
    assert len(training) == 2
    assert len(split(clips, ())[2]) == 1, "a fifth of the worlds, at least one"
    with pytest.raises(ConfigError, match=r"nobody. is not among the recordings"):
        split(clips, ("nobody",))
    with pytest.raises(ConfigError, match="leaves 0 training and 1 held-out episodes; both need one"):
        split(clips[:1], ())
