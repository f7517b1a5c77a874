"""Train the policy by behavioural cloning on a snapshot (paper, section 4.3, equation 1).

In: a snapshot of action shards and the working clips it names. Out: 7_policies/<digest>/ with weights, metrics, loss
curve and card, and the `policy` pointer if the new policy predicts held-out play better than the champion. Null actions
are dropped, as in the paper. Whole videos are held out; of a single video, the last tenth of each clip.
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
from stages.stage import Context, Resources, Result, Stage, Unit

if TYPE_CHECKING:
    from models.dataset import Episode
    from models.policy import Policy


@dataclass(frozen=True, kw_only=True)
class TrainStageConfig:
    """What is trained, on what, and for how long."""

    labels: Literal["idm", "truth"] = "idm"
    """`idm`: the newest snapshot of IDM labels; `truth`: contractor ground truth."""
    snapshot: str = field(default="latest", metadata={"key": False})
    """Digest of the snapshot, or `latest`; its content enters the work key either way."""
    recipe: Literal["nano_cpu", "1x", "2x", "3x"] = "nano_cpu"
    """Named model and training configuration (`models/recipes.py`, `models/train_bc.py`)."""
    max_steps: int = 0
    """Steps of the run; 0 means the recipe's."""
    held_out_share: float = 0.1
    """Share of the videos held out, 0 to 0.5, at least one."""
    seed: int = 0
    """Seed of the weights and of the order of windows."""

    def __post_init__(self) -> None:
        if not 0 < self.held_out_share <= 0.5:
            raise ConfigError(f"train.held_out_share: expected above 0 and at most 0.5, got {self.held_out_share}")


class Train(Stage[TrainStageConfig]):
    """One unit is one training run."""

    name = "train"
    version = 1
    Config = TrainStageConfig
    resources = Resources(cpus=2, gpus=1)

    def units(self, ctx: Context) -> Iterator[Unit]:
        snapshot = load_snapshot(ctx, self.config.labels, self.config.snapshot)
        if not snapshot.totals["rows"]:
            raise ConfigError(f"expected a snapshot with rows, got the empty {snapshot.digest[:16]}; label some videos")
        key = self.work_key(snapshot.digest)
        yield Unit(digest("policy", key)[:20], key, {"snapshot": snapshot.digest})

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        from models.held_out import evaluate_policy

        episodes = list(read_episodes(ctx, load_snapshot(ctx, self.config.labels, unit.inputs["snapshot"])))
        training, held_out, split = split_episodes(episodes, self.config.held_out_share)
        policy, config = _build(self.config)
        before = evaluate_policy(policy, held_out)
        result = _fit(policy, config, training)
        after = evaluate_policy(policy, held_out)
        champion = ctx.ledger.pointer("policy")
        rival = _champion_score(ctx, held_out)
        comparison = decide(-after["loss"], champion, rival, "minus held-out loss, nats per frame")
        metrics = {
            "before": before,
            "after": after,
            "split": split,
            "steps": result.steps,
            "train_loss": result.final_loss,
        }
        with ctx.workspace() as folder:
            policy.save(folder)
            _write_files(Path(folder), unit, metrics, result.history)
            model, outputs = register(ctx, "policy", Path(folder))
        info = {"model": model, "snapshot": unit.inputs["snapshot"], "metrics": metrics, "comparison": comparison}
        return Result(outputs, info)

    def finish(self, ctx: Context, counts: dict[str, int]) -> dict[str, Any]:
        records = self.committed(ctx)
        metrics = records[-1].info["metrics"] if records else {}
        losses = {when: round(metrics[when]["loss"], 4) for when in ("before", "after") if metrics}
        return {**promote(ctx, "policy", records), "loss": losses}


def split_episodes(episodes: "list[Episode]", share: float) -> "tuple[list[Episode], list[Episode], str]":
    """(training, held out, how): whole videos by the hash of their id; of a single video the last part of each clip."""
    worlds = sorted({episode.world for episode in episodes}, key=digest)
    if len(worlds) > 1:
        out = set(worlds[: max(1, round(share * len(worlds)))])
        return [e for e in episodes if e.world not in out], [e for e in episodes if e.world in out], "videos"
    cuts = [(e, int(len(e) * (1 - share))) for e in episodes]
    return [_part(e, 0, cut) for e, cut in cuts if cut], [_part(e, cut, len(e)) for e, cut in cuts], "tails of clips"


def _part(episode: "Episode", start: int, end: int) -> "Episode":
    rows = slice(start, end)
    return replace(
        episode,
        frames=episode.frames[rows],
        buttons=episode.buttons[rows],
        camera_deg=episode.camera_deg[rows],
        weight=episode.weight[rows],
        gui_open=None if episode.gui_open is None else episode.gui_open[rows],
    )


def _build(config: TrainStageConfig) -> "tuple[Policy, Any]":
    import torch

    from models import recipes, train_bc
    from models.policy import Policy

    torch.manual_seed(config.seed)
    policy = Policy(getattr(recipes, f"policy_{config.recipe}")())
    settings = train_bc.bc_nano_cpu() if config.recipe == "nano_cpu" else train_bc.bc_foundation()
    return policy, replace(settings, seed=config.seed, max_steps=config.max_steps or settings.max_steps)


def _fit(policy: "Policy", config: Any, training: "list[Episode]") -> Any:
    from models.train_bc import train_bc
    from stages.progress import StepReporter

    return train_bc(training, policy, config, progress=StepReporter("train", "steps"))


def _champion_score(ctx: Context, held_out: "list[Episode]") -> float | None:
    """The champion's score on the same held-out play; None when there is none or it cannot be loaded any more."""
    from models.held_out import evaluate_policy
    from models.policy import Policy

    champion = ctx.ledger.pointer("policy")
    if champion is None or not ctx.store.exists(key_of("policy", champion.target, "model.json")):
        return None
    with ctx.workspace() as folder:
        for name in ("weights.safetensors", "model.json"):
            ctx.store.get_file(key_of("policy", champion.target, name), Path(folder) / name)
        return -evaluate_policy(Policy.load(folder), held_out)["loss"]


def _write_files(folder: Path, unit: Unit, metrics: dict[str, Any], history: list[dict[str, float]]) -> None:
    from models.plots import plot_history

    (folder / "metrics.json").write_text(json.dumps({**metrics, "history": history}, indent=1))
    plot_history(history, folder / "loss.png", "behavioural cloning")
    before, after = metrics["before"], metrics["after"]
    (folder / "card.md").write_text(
        f"# Policy\n\nBehavioural cloning on snapshot `{unit.inputs['snapshot']}`.\n\n"
        f"| held out: {metrics['split']} | before | after |\n|---|---|---|\n"
        f"| loss, nats per frame | {before['loss']:.3f} | {after['loss']:.3f} |\n"
        f"| button accuracy | {before['button_accuracy']:.3f} | {after['button_accuracy']:.3f} |\n"
        f"| camera accuracy | {before['camera_accuracy']:.3f} | {after['camera_accuracy']:.3f} |\n\n"
        f"{metrics['steps']} steps; last training loss {metrics['train_loss']:.3f}.\n"
    )


STAGE = Train

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("train"))
