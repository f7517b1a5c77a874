"""Train the policy by behavioural cloning on a snapshot (paper, section 4.3, equation 1).

In: a snapshot of action shards and the working clips it names. Out: 7_policies/<digest>/ with weights, metrics, loss
curve, TensorBoard events and card, and the `policy` pointer if the new policy predicts held-out play better than the
champion. Null actions are dropped, as in the paper. Whole videos are held out; of a single video, the last tenth of
each clip. A run that was killed goes on from its last checkpoint.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stages.errors import ConfigError
from stages.records import digest
from stages.registry import decide, key_of, promote, register
from stages.snapshot import load_snapshot, read_episodes
from stages.stage import Context, Resources, Result, Unit
from stages.training import MEASURED, TrainingStage, origin_of, same_game, user_errors

if TYPE_CHECKING:
    from models.action_schema import ActionSchema
    from models.dataset import Episode
    from models.parallel import Workers
    from models.policy import Policy, PolicyConfig
    from models.train_bc import BCConfig
    from models.training import TrainResult

METRIC = "minus held-out loss, nats per frame"


@dataclass(frozen=True, kw_only=True)
class TrainStageConfig:
    """What is trained, on what, and for how long. The work key holds the values that a recipe stands for."""

    labels: Literal["idm", "truth"] = "idm"
    """`idm`: the newest snapshot of IDM labels; `truth`: contractor ground truth."""
    snapshot: str = field(default="latest", metadata={"key": False})
    """Digest of the snapshot, or `latest`; its content enters the work key either way."""
    recipe: Literal["nano_cpu", "1x", "2x", "3x"] = field(default="nano_cpu", metadata={"key": False})
    """Named model and training configuration (`models/recipes.py`, `models/train_bc.py`)."""
    max_steps: int = field(default=0, metadata={"key": False})
    """Steps of the run; 0 means the recipe's."""
    held_out_share: float = 0.1
    """Share of the videos held out, 0 to 0.5, at least one."""
    seed: int = 0
    """Seed of the weights and of the order of windows."""

    def __post_init__(self) -> None:
        if not 0 < self.held_out_share <= 0.5:
            raise ConfigError(f"train.held_out_share: expected above 0 and at most 0.5, got {self.held_out_share}")


@dataclass(frozen=True)
class Trained:
    """A training that came to its end."""

    policy: "Policy"
    config: "BCConfig"
    result: "TrainResult"
    before: dict[str, float]
    training: "list[Episode]"
    held_out: "list[Episode]"
    how_split: str


class Train(TrainingStage[TrainStageConfig]):
    """One unit is one training run."""

    name = "train"
    version = 2
    Config = TrainStageConfig
    resources = Resources(cpus=2, gpus=1, leads=True)

    def units(self, ctx: Context) -> Iterator[Unit]:
        from models.weights import config_to_dict

        snapshot = load_snapshot(ctx, self.config.labels, self.config.snapshot)
        if not snapshot.totals["rows"]:
            raise ConfigError(f"expected a snapshot with rows, got the empty {snapshot.digest[:16]}; label some videos")
        model, training = configure(self.config, snapshot.schema)
        key = self.work_key(snapshot.digest, config_to_dict(model), training.content())
        yield Unit(digest("policy", key)[:20], key, {"snapshot": snapshot.digest})

    def fit(self, unit: Unit, ctx: Context, workers: "Workers") -> Trained:
        import torch

        from models.held_out import evaluate_policy
        from models.policy import Policy
        from models.train_bc import train_bc

        snapshot = load_snapshot(ctx, self.config.labels, unit.inputs["snapshot"])
        episodes = list(read_episodes(ctx, snapshot))
        training, held_out, how = split_episodes(episodes, self.config.held_out_share)
        model_config, config = configure(self.config, snapshot.schema)
        torch.manual_seed(config.seed)
        policy = Policy(model_config)
        before = evaluate_policy(policy, held_out) if workers.size == 1 else {}
        with self.surroundings(unit, ctx, workers) as where:
            return Trained(policy, config, train_bc(training, policy, config, where), before, training, held_out, how)

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        from models.held_out import evaluate_policy

        with user_errors(self.name):
            rival = _champion(ctx, load_snapshot(ctx, self.config.labels, unit.inputs["snapshot"]).schema)
            done = self.trained(unit, ctx)
            after = evaluate_policy(done.policy, done.held_out)
            rival_score = -evaluate_policy(rival, done.held_out)["loss"] if rival else None
            test = {"test": digest(sorted((episode.id, len(episode)) for episode in done.held_out))[:16]}
            comparison = decide(-after["loss"], ctx.ledger.pointer("policy"), rival_score, METRIC, **test)
            metrics = {
                "before": done.before,
                "after": after,
                "split": done.how_split,
                "steps": done.result.steps,
                "train_loss": done.result.final_loss,
            }
            with ctx.workspace() as name:
                folder = Path(name)
                done.policy.save(folder)
                self._write_files(ctx, unit, done, metrics, comparison, folder)
                model, outputs = register(ctx, "policy", folder, MEASURED)
        info = {"model": model, "snapshot": unit.inputs["snapshot"], "metrics": metrics, "comparison": comparison}
        return Result(outputs, info)

    def _write_files(
        self,
        ctx: Context,
        unit: Unit,
        done: Trained,
        metrics: dict[str, Any],
        comparison: dict[str, Any],
        folder: Path,
    ) -> None:
        from models.card import write_card
        from models.logbook import write_events
        from models.plots import plot_history
        from models.policy_card import policy_card

        data = origin_of(ctx, load_snapshot(ctx, self.config.labels, unit.inputs["snapshot"]))
        data |= {"held_out": done.how_split, "tested_on": sorted({episode.world for episode in done.held_out})}
        more: dict[str, Any] = {"data": data, "comparison": comparison, "command": self.command()}
        card = policy_card(done.policy, done.config, done.result, metrics, recipe=self.config.recipe, **more)
        write_card(folder, card)
        (folder / "metrics.json").write_text(json.dumps(metrics, indent=1))
        (folder / "history.json").write_text(json.dumps(done.result.history, indent=1))
        plot_history(done.result.history, folder / "loss.png", "behavioural cloning")
        write_events(done.result.history, folder)

    def unkeyed(self) -> dict[str, Any]:
        return {name: getattr(self.config, name) for name in ("recipe", "max_steps")}

    def finish(self, ctx: Context, counts: dict[str, int]) -> dict[str, Any]:
        records = self.committed(ctx)
        self.clean_up(ctx, records)
        metrics = records[-1].info["metrics"] if records else {}
        losses = {when: round(metrics[when]["loss"], 4) for when in ("before", "after") if metrics}
        return {**promote(ctx, "policy", records), "loss": losses}


def split_episodes(episodes: "list[Episode]", share: float) -> "tuple[list[Episode], list[Episode], str]":
    """(training, held out, how): whole videos by the hash of their id; of a single video the last part of each clip."""
    from models.dataset import part

    worlds = sorted({episode.world for episode in episodes}, key=digest)
    if len(worlds) > 1:
        out = set(worlds[: max(1, round(share * len(worlds)))])
        return [e for e in episodes if e.world not in out], [e for e in episodes if e.world in out], "videos"
    cuts = [(e, int(len(e) * (1 - share))) for e in episodes]
    training, held_out = [part(e, 0, cut) for e, cut in cuts if cut], [part(e, cut, len(e)) for e, cut in cuts]
    if not training:
        raise ConfigError(
            f"expected play to train on beside what is held out, got {len(episodes)} clips too short for it"
        )
    return training, held_out, "tails of clips"


def configure(config: TrainStageConfig, schema: "ActionSchema") -> "tuple[PolicyConfig, BCConfig]":
    """Model and training of the stage's recipe, for a snapshot's action schema."""
    from models import recipes, train_bc

    settings = train_bc.bc_nano_cpu() if config.recipe == "nano_cpu" else train_bc.bc_foundation()
    training = replace(settings, seed=config.seed, max_steps=config.max_steps or settings.max_steps)
    return replace(getattr(recipes, f"policy_{config.recipe}")(), schema=schema), training


def _champion(ctx: Context, schema: "ActionSchema") -> "Policy | None":
    """The present champion; None when there is none or a takedown removed it.

    Raises:
        ConfigError: its files are there and cannot be read, or it plays another game.
    """
    from models.policy import Policy

    champion = ctx.ledger.pointer("policy")
    if champion is None or not ctx.store.exists(key_of("policy", champion.target, "model.json")):
        return None
    with ctx.workspace() as folder:
        for name in ("weights.safetensors", "model.json"):
            ctx.store.get_file(key_of("policy", champion.target, name), Path(folder) / name)
        try:
            policy = Policy.load(folder)
        except ValueError as error:
            raise ConfigError(
                f"expected a champion policy that can be compared with, got one that cannot be read: {error}; "
                "move the pointer to another with `python -m stages.promote --kind policy --to VERSION`"
            ) from error
    same_game("policy", policy.config.schema, schema)
    return policy


STAGE = Train

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("train"))
