"""Train the inverse dynamics model on recordings with known actions (VPT, section 4.1 and appendix D).

The loss is the sum over all heads (20 buttons, two camera axes) of the negative log-likelihood, on all frames of a
window, without class weights. Null actions stay in: the IDM must say when nothing happens. Frames whose action is
unknown are seen but carry no loss.

    python -m models.train_idm --recordings DIR --held-out PLAYER --calibrate PLAYER --recipe nano_cpu --out DIR
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from models import recipes
from models.actions import MINECRAFT, ActionSchema
from models.augment import AugmentConfig
from models.batches import RandomWindows
from models.calibrate import Calibration, calibrate, said_by_the_absent
from models.compact import packed, unpacked
from models.dataset import Episode, check_schema
from models.folds import folds_of, seen_with
from models.habits import habits_of
from models.idm import IDMConfig, InverseDynamicsModel
from models.idm_objective import IDMObjective
from models.maps_ahead import with_maps
from models.parallel import one_thread
from models.training import Source, Surroundings, TrainConfig, TrainResult, train
from models.weights import config_to_dict


@dataclass(frozen=True, kw_only=True)
class IDMTrainConfig(TrainConfig):
    """Training of the IDM."""

    mirror: bool = False
    """Mirror each window left to right with probability 1/2; keys and camera follow by the schema's `mirror`."""
    precompute: bool = False
    """Compute the motion maps of `models.motion` once, not at every visit: 28 kB of memory per frame. They then see
    none of the augmentation."""
    mean_weight: float = 0.0
    """Weight of a further loss: the squared error of the camera's mean under the probabilities, in units of the width
    of a bin before the mu-law bends it. 0 in the paper: bins alone are learned, and the mean is as coarse as they."""
    walk_weight: float = 0.0
    """Weight of a further lesson, where recordings teach it: how the player moves through the world (`models.walk`).
    0 in the paper; only the front "motion" can learn it."""
    leave_out: bool = False
    """Each of several members never sees some of the worlds, if there are enough (`models.folds`): what it says of them
    tells how sure the model may be, and which of its opinions to trust."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precompute and self.augment and self.augment.moves_pixels:
            raise ValueError(
                "training config: precompute keeps the motion of the frames as they are, but the augmentation moves "
                "pixels; set its rotate_deg, scale, shear_deg and translate_px to 0, or precompute to false"
            )


@dataclass(frozen=True)
class IDMTrainResult(TrainResult):
    """What a training of the IDM did."""

    calibration: Calibration | None = None
    """On the worlds that members left out, if they did."""


def train_nano_cpu() -> IDMTrainConfig:
    """For `recipes.idm_nano_cpu` and less than an hour of play, within the hour on two cores with instructions for
    bfloat16; `max_seconds` ends it sooner.

    Only colours are augmented, since motion is computed once, but strongly: few worlds are soon known by their colours.
    Each of the four members sees a quarter of the windows, so every frame 45 times.
    """
    return IDMTrainConfig(
        learning_rate=2e-3,
        batch=8,
        window=128,
        epochs=180,
        warmup_steps=100,
        clip_norm=20.0,
        weight_decay=0.2,
        decoupled_decay=True,
        augment=AugmentConfig(
            hue=0.5,
            saturation=0.8,
            brightness=0.5,
            contrast=0.5,
            rotate_deg=0,
            scale=0,
            shear_deg=0,
            translate_px=0,
            clip=32,
        ),
        mirror=True,
        precompute=True,
        mean_weight=0.5,
        walk_weight=8.0,
        leave_out=True,
        precision="auto",
    )


def train_vpt_small() -> IDMTrainConfig:
    """For `recipes.idm_vpt_small` on one GPU and tens of hours of play: the paper's recipe at an eighth of its batch.

    The learning rate shrinks by the root of that, and a warm-up and clipping guard the start. Not run to its end yet.
    """
    return replace(train_vpt_released(), learning_rate=0.001, batch=16, warmup_steps=100, clip_norm=1.0)


def train_vpt_released() -> IDMTrainConfig:
    """The paper's values for its 0.5 B model, on 2,000 hours; 4 days on 32 A100 there."""
    return IDMTrainConfig(
        learning_rate=0.003,
        weight_decay=0.01,
        batch=128,
        window=128,
        epochs=20,
        augment=AugmentConfig(),
        precision="auto",
        checkpoint_every=500,
        checkpoint_seconds=1800,
    )


RECIPES: dict[str, tuple[Callable[[], IDMConfig], Callable[[], IDMTrainConfig]]] = {
    "nano_cpu": (recipes.idm_nano_cpu, train_nano_cpu),
    "vpt_small": (recipes.idm_vpt_small, train_vpt_small),
    "vpt_released": (recipes.idm_vpt_released, train_vpt_released),
}


def fine_tuning(config: IDMTrainConfig) -> IDMTrainConfig:
    """The same training made short, for weights that know the game: a twentieth of the length, a fifth of the step
    size, and no world left out, as the weights may know it."""
    steps = max(1, config.max_steps // 20) if config.max_steps else None
    epochs = config.epochs / 20 if config.epochs else None
    return replace(config, learning_rate=config.learning_rate / 5, max_steps=steps, epochs=epochs, leave_out=False)


def configure(
    recipe: str,
    *,
    seed: int = 0,
    max_steps: int | None = None,
    tune: bool = False,
    schema: ActionSchema = MINECRAFT,
) -> tuple[IDMConfig, IDMTrainConfig]:
    """Model and training of a recipe; `tune` makes it a fine-tuning, and `max_steps` has the last word.

    Where the schema cannot be mirrored, the recipe does without. Raises ValueError for a recipe that does not exist.
    """
    if recipe not in RECIPES:
        raise ValueError(f"expected a recipe, one of {', '.join(sorted(RECIPES))}; got {recipe!r}")
    make_model, make_training = RECIPES[recipe]
    training = fine_tuning(make_training()) if tune else make_training()
    model, can_mirror = make_model(), schema.mirror is not None
    mirror, both_ways = training.mirror and can_mirror, model.both_ways and can_mirror
    training = replace(training, seed=seed, max_steps=max_steps or training.max_steps, mirror=mirror)
    shares = recipes.shares_of_motion(schema) if model.opinion_width else ()
    return replace(model, schema=schema, both_ways=both_ways, opinion_shares=shares), training


def train_idm(
    episodes: Sequence[Episode],
    model: InverseDynamicsModel,
    config: IDMTrainConfig,
    where: Surroundings | None = None,
) -> IDMTrainResult:
    """Train an IDM in place. Where its members leave worlds out, what they say of these calibrates it.

    Raises ValueError for nothing to train on or another game's actions, Diverged for a loss that is no number.
    """
    where = where or Surroundings()
    check_schema(episodes, model.config.schema)
    is_small = model.config.front == "motion"
    if config.batch % (members := model.config.members):
        raise ValueError(f"expected a batch that {members} members can share evenly, got {config.batch}; change either")
    if model.config.camera_habit and not model.habits.any():
        model.habits.copy_(torch.from_numpy(habits_of(episodes, model.config.schema)))
    if config.precompute and is_small:
        episodes = with_maps(episodes, where.workers, where.progress)

    folds = folds_of(episodes, members) if config.leave_out else []
    seen = seen_with(folds, members)

    def source(position: Any) -> Source:
        return RandomWindows(episodes, config.window, config.batch, config.seed, position or 0, where.workers, seen)

    steps = config.total_steps(sum(len(episode) for episode in episodes))
    data = {
        "episodes": [[episode.id, len(episode)] for episode in episodes],
        "model": config_to_dict(model.config),
    }
    objective = IDMObjective(config.mirror, model.config.schema, config.mean_weight, config.walk_weight)
    with one_thread(is_small):
        result = train(model, objective, source, config, total_steps=steps, data=data, where=where)
    bits = model.config.weight_bits
    model.load_state_dict(unpacked(packed(model.state_dict(), bits)))  # from here on it is what will be loaded again
    calibration = None
    if folds and where.workers.rank == 0:
        calibration = calibrate(model, episodes, said_by_the_absent(model, episodes, folds, where.progress))
    return IDMTrainResult(**vars(result), calibration=calibration)


def new_model(config: IDMConfig, seed: int) -> InverseDynamicsModel:
    """A random IDM that depends on the seed alone."""
    torch.manual_seed(seed)
    return InverseDynamicsModel(config)


def pretrained_model(config: IDMConfig, folder: Path) -> InverseDynamicsModel:
    """The IDM in a folder, to be trained on. ValueError if its architecture is not that of `config`."""
    model = InverseDynamicsModel.load(folder)
    wanted, found = (vars(c.uncalibrated) for c in (config, model.config))
    if config.schema != model.config.schema:
        names = config.schema.name, model.config.schema.name
        raise ValueError(f"{folder}: expected a model of the schema {names[0]!r}, got one of {names[1]!r}, or changed")
    if differences := [name for name in wanted if wanted[name] != found[name]]:
        expected, got = (", ".join(f"{name} {values[name]}" for name in differences) for values in (wanted, found))
        raise ValueError(
            f"{folder}: expected weights of the recipe's architecture ({expected}), got {got}; "
            "choose the recipe that these weights were made with, or start without weights"
        )
    return model


if __name__ == "__main__":
    from models.train_idm_cli import main

    raise SystemExit(main())
