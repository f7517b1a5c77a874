"""IDM training: a real fit on a tiny game, what it refuses, and motion computed ahead."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.action_schema import load_schema
from models.actions import BUTTONS
from models.augment import AugmentConfig
from models.batches import Batch, RandomWindows
from models.dataset import Episode
from models.evaluate import evaluate_episodes
from models.habits import habits_of
from models.idm import IDMConfig, InverseDynamicsModel
from models.idm_objective import IDMObjective
from models.motion import episode_maps
from models.parallel import Workers
from models.train_idm import IDMTrainConfig, configure, fine_tuning, new_model, train_idm
from models.train_types import Surroundings
from tests.models.game import episode

TINY = IDMConfig(
    hidsize=32,
    attention_heads=2,
    timesteps=16,
    n_recurrence_layers=1,
    pointwise_ratio=1,
    impala_chans=(4, 4, 4),
    conv3d_outchan=4,
)


def coloured(length: int) -> Episode:
    """Each colour is a button held for 2 to 5 frames: the picture says all, and an event every few frames."""
    rng = np.random.default_rng(0)
    choice = np.repeat(rng.permutation(np.arange(length) % 3), rng.integers(2, 6, length))[:length]
    frames, buttons = np.zeros((length, 128, 128, 3), np.uint8), np.zeros((length, 20), bool)
    for t, colour in enumerate(choice):
        frames[t, ..., colour] = 255
        buttons[t, BUTTONS.index(("attack", "jump", "use")[colour])] = True
    return Episode("e", "w", frames, buttons, np.zeros((length, 2)), np.ones(length, np.float32))


def test_a_tiny_model_learns_the_keys_and_beats_both_baselines() -> None:
    """The baselines look at no picture and time no event; the model must."""
    training = [coloured(48)]
    config = IDMTrainConfig(learning_rate=8e-3, batch=1, window=16, max_steps=80, clip_norm=1.0, log_every=5)
    model = new_model(TINY, seed=0)
    result = train_idm(training, model, config)
    assert result.final_loss < 0.1 * result.history[0]["loss"]
    report = evaluate_episodes(model, training)
    for baseline in report["baselines"].values():
        assert report["overall"]["event_f1_pooled"] > baseline["event_f1_pooled"] + 0.3


def test_maps_computed_ahead_are_those_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the windows are mirrored, and still all maps are computed once; nor does it change the loss."""
    calls: list[int] = []
    for module in ("motion", "maps_ahead"):
        monkeypatch.setattr(f"models.{module}.episode_maps", lambda frames: calls.append(1) or episode_maps(frames))
    config = replace(TINY, front="motion")
    episodes = [episode("w", 16, seed=1)]  # one window is the whole episode: nothing follows its last frame
    first = []
    for precompute, times in ((True, 1), (False, 4)):  # once for the episode, or for each window of two steps
        calls.clear()
        training = IDMTrainConfig(
            learning_rate=1e-3, batch=2, window=16, max_steps=2, log_every=1, mirror=True, precompute=precompute
        )
        first.append(train_idm(episodes, new_model(config, 0).train(), training).history[0]["loss"])
        assert len(calls) == times
    assert first[0] == pytest.approx(first[1], rel=1e-2)  # float16, and the flow of a mirrored picture is not exact


def test_the_walk_is_learned_by_its_weight() -> None:
    """The same two steps from the same start: the head that says the walk moves only where the config asks."""
    known = replace(episode("w", 16, seed=1), walk=np.ones((16, 4), np.float32))
    start = new_model(replace(TINY, front="motion"), 0).walk_head.bias.detach().clone()
    moved = []
    for weight in (0.0, 5.0):
        model = new_model(replace(TINY, front="motion"), 0)
        training = IDMTrainConfig(learning_rate=1e-3, batch=1, window=16, max_steps=2, walk_weight=weight)
        assert train_idm([known], model, training).history[-1]["walk_loss"] > 0
        moved.append(not torch.equal(model.walk_head.bias, start))
    assert moved == [False, True]


def test_motion_ahead_of_an_augmentation_that_moves_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="moves pixels"):
        IDMTrainConfig(learning_rate=1e-3, batch=1, max_steps=1, precompute=True, augment=AugmentConfig())


def test_nothing_to_train_on_is_an_error() -> None:
    config = IDMTrainConfig(learning_rate=1e-3, batch=2, window=16, max_steps=1)
    with pytest.raises(ValueError, match="known actions"):
        train_idm([], new_model(TINY, 0), config)


def test_a_batch_that_members_cannot_share_is_refused() -> None:
    config = IDMTrainConfig(learning_rate=1e-3, batch=3, window=16, max_steps=1)
    model = new_model(replace(TINY, members=2), 0)
    with pytest.raises(ValueError, match="a batch that 2 members can share evenly, got 3; change either"):
        train_idm([episode("w", 16, seed=1)], model, config)


@pytest.mark.parametrize("size", [1, 2, 8])
def test_nano_cpu_has_work_for_eight_workers_and_for_every_member(size: int) -> None:
    model, config = configure("nano_cpu")
    play, workers = [episode("w", 400, seed=1)], [Workers() for _ in range(size)]
    for rank, one in enumerate(workers):
        one.rank, one.size = rank, size
    shares = [next(RandomWindows(play, 32, config.batch, 0, workers=one)).number for one in workers]
    assert [len(share) for share in shares] == [config.batch // size] * size
    asked = np.concatenate(shares) % model.members
    assert np.bincount(asked).tolist() == [config.batch // model.members] * model.members


def test_members_are_calibrated_on_the_worlds_that_they_never_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four worlds, known by their grey, for two members."""
    play = [replace(one, frames=np.full_like(one.frames, 50 * i)) for i, one in enumerate(four_worlds())]
    seen: dict[int, set[int]] = {0: set(), 1: set()}
    asked: dict[int, set[int]] = {0: set(), 1: set()}

    def loss(of: IDMObjective, model: torch.nn.Module, batch: Batch, device: str) -> Any:
        for number, window in zip(batch.number, batch.frames, strict=True):
            seen[number % 2].add(int(window[0, 0, 0, 0]) // 50)
        return whole_loss(of, model, batch, device)

    def say(one: InverseDynamicsModel, frames: torch.Tensor, maps: Any = None) -> Any:
        if not one.training:
            asked[0 if one.net is model.net else 1].add(int(frames[0, 0, 0, 0, 0]) // 50)
        return whole_say(one, frames, maps)

    whole_loss, whole_say = IDMObjective.loss, InverseDynamicsModel._say
    monkeypatch.setattr(IDMObjective, "loss", loss)
    monkeypatch.setattr(InverseDynamicsModel, "_say", say)
    config = IDMTrainConfig(learning_rate=1e-3, batch=4, window=8, max_steps=12, leave_out=True)
    model = new_model(replace(TINY, members=2), 0)
    told: list[tuple[int, int, dict[str, float]]] = []
    found = train_idm(play, model, config, Surroundings(progress=lambda *step: told.append(step))).calibration
    assert found is not None
    assert [step[:2] for step in told if not step[2]] == [(16, 88), (36, 88), (60, 88), (88, 88)]
    assert (found.frames, found.worlds) == (sum(map(len, play)), ["0", "1", "2", "3"])
    assert model.config.temperature == found.temperature
    for member in (0, 1):
        assert len(asked[member]) == 2
        assert seen[member] == {0, 1, 2, 3} - asked[member]


def test_too_few_worlds_are_seen_by_all_members() -> None:
    config = IDMTrainConfig(learning_rate=1e-3, batch=2, window=8, max_steps=1, leave_out=True)
    model = new_model(replace(TINY, members=2), 0)
    assert train_idm(four_worlds()[:3], model, config).calibration is None
    assert model.config.temperature == 1.0


def four_worlds() -> list[Episode]:
    return [episode(str(seed), 16 + 4 * seed, seed=seed) for seed in range(4)]


@pytest.mark.parametrize("bits", [32, 16, 8])
def test_weights_are_rounded_when_training_ends(bits: int, tmp_path: Path) -> None:
    """So that what is measured then is what will be loaded again."""
    config = IDMTrainConfig(learning_rate=1e-3, batch=2, window=16, max_steps=1)
    model = new_model(replace(TINY, members=2, weight_bits=bits), 0)
    train_idm([episode("w", 16, seed=1)], model, config)
    assert all(torch.equal(p, p.half().float()) for p in model.parameters()) == (bits == 16)
    model.save(tmp_path)
    loaded = InverseDynamicsModel.load(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items())


def test_a_fine_tuning_is_a_twentieth_with_a_fifth_of_the_step_size() -> None:
    (model, whole), (_, short) = (configure("nano_cpu", tune=tune) for tune in (False, True))
    assert whole.epochs is not None
    assert short.epochs is not None
    assert whole.epochs == 45 * model.members, "every member sees every frame 45 times"
    assert (whole.epochs / short.epochs, whole.learning_rate / short.learning_rate) == pytest.approx((20, 5))
    assert (short.batch, short.window, short.augment) == (whole.batch, whole.window, whole.augment)
    assert (whole.leave_out, short.leave_out) == (True, False)
    assert [fine_tuning(replace(whole, max_steps=steps)).max_steps for steps in (1000, 3)] == [50, 1]
    assert configure("nano_cpu", max_steps=1000, tune=True)[1].max_steps == 1000, "what is asked for has the last word"


def test_habits_of_turning_are_those_of_the_play_and_stay_in_a_fine_tuning() -> None:
    config = IDMTrainConfig(learning_rate=1e-3, batch=1, window=16, max_steps=1)
    model, play = new_model(replace(TINY, camera_habit=0.5), 0), [episode("w", 60, seed=1)]
    assert not model.habits.any()
    train_idm(play, model, config)
    habits = model.habits.clone()
    assert torch.equal(habits, torch.from_numpy(habits_of(play, model.config.schema)))
    train_idm([episode("w", 60, seed=2)], model, config)
    assert torch.equal(model.habits, habits)
    assert not hasattr(new_model(TINY, 0), "habits"), "the release has none"


def test_a_game_that_cannot_be_mirrored_says_so_and_recipes_do_without() -> None:
    desktop = load_schema("desktop")
    with pytest.raises(ValueError, match="schema desktop: its pictures cannot be mirrored"):
        IDMObjective(mirror=True, schema=desktop)
    model, training = configure("nano_cpu", schema=desktop)
    assert (model.n_buttons, model.n_camera_bins, model.both_ways, training.mirror) == (52, 15, False, False)
    model, training = configure("nano_cpu")
    assert (model.both_ways, training.mirror) == (True, True)
    with pytest.raises(ValueError, match="schema desktop: its pictures cannot be mirrored"):
        replace(model, schema=desktop)


def test_actions_of_another_game_are_refused() -> None:
    config = IDMTrainConfig(learning_rate=1e-3, batch=2, window=16, max_steps=1)
    model = new_model(replace(TINY, schema=load_schema("desktop")), 0)
    with pytest.raises(ValueError, match="actions of the model's schema 'desktop', got 'minecraft'; use recordings"):
        train_idm([episode("w", 20, seed=1)], model, config)


@pytest.mark.parametrize(("front", "threads"), [("motion", 1), ("conv3d", 2)])
def test_small_models_train_in_one_thread_and_others_as_they_were(front: str, threads: int) -> None:
    before, seen = torch.get_num_threads(), []
    model = new_model(replace(TINY, front=front), 0)
    model.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    try:
        train_idm(
            [episode("w", 16, seed=1)], model, IDMTrainConfig(learning_rate=1e-3, batch=1, window=16, max_steps=2)
        )
        assert (seen, torch.get_num_threads()) == ([threads] * 2, 2)
    finally:
        torch.set_num_threads(before)
