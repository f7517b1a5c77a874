"""Train the inverse dynamics model on recordings with known actions (VPT, section 4.1 and appendix D).

The loss is the sum over all heads (20 buttons, two camera axes) of the negative log-likelihood, on all frames of a
window, without class weights. Null actions stay in: the IDM must say when nothing happens. Frames whose action is
unknown are seen but carry no loss.

    python -m models.train_idm --recordings DIR --held-out PLAYER [PLAYER ...] --recipe nano_cpu --out DIR
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models import recipes
from models.actions import BUTTONS, camera_to_bins
from models.augment import AugmentConfig
from models.dataset import Batch, Episode, RandomWindows, load_recordings, split_by_world
from models.errors import BadRecording
from models.idm import IDMConfig, InverseDynamicsModel
from models.training import Progress, Source, TrainConfig, TrainResult, train


@dataclass(frozen=True, kw_only=True)
class IDMTrainConfig(TrainConfig):
    """Training of the IDM."""

    mirror: bool = False
    """Mirror each window left to right with probability 1/2; the left and right keys and yaw turn round with it."""


def train_nano_cpu() -> IDMTrainConfig:
    """For `recipes.idm_nano_cpu`: 128,000 frames seen, minutes on two idle cores; `max_seconds` ends it sooner."""
    return IDMTrainConfig(
        learning_rate=2e-3, batch=4, window=32, max_steps=1000, warmup_steps=20, clip_norm=1.0, mirror=True
    )


def train_released() -> IDMTrainConfig:
    """The paper's values for its 0.5 B model, on 2,000 hours; 4 days on 32 A100 there."""
    return IDMTrainConfig(
        learning_rate=0.003,
        weight_decay=0.01,
        batch=128,
        window=128,
        epochs=20,
        augment=AugmentConfig(),
        device="cuda",
        precision="bfloat16",
        checkpoint_every=500,
    )


RECIPES: dict[str, tuple[Callable[[], IDMConfig], Callable[[], IDMTrainConfig]]] = {
    "nano_cpu": (recipes.idm_nano_cpu, train_nano_cpu),
    "released": (recipes.idm_released, train_released),
}


def mirrored(batch: Batch, chosen: np.ndarray) -> Batch:
    """The batch with the windows in `chosen`, bool (B,), mirrored left to right. Keys and yaw follow the picture."""
    frames, buttons, camera_deg = batch.frames.copy(), batch.buttons.copy(), batch.camera_deg.copy()
    frames[chosen] = batch.frames[chosen, :, :, ::-1]
    left, right = BUTTONS.index("left"), BUTTONS.index("right")
    buttons[chosen, :, left] = batch.buttons[chosen, :, right]
    buttons[chosen, :, right] = batch.buttons[chosen, :, left]
    camera_deg[chosen, :, 1] *= -1
    return replace(batch, frames=frames, buttons=buttons, camera_deg=camera_deg)


class IDMObjective:
    """Sum over heads of the negative log-likelihood, mean over the frames with a known action."""

    def __init__(self, mirror: bool = False) -> None:
        self.mirror = mirror

    def loss(self, model: nn.Module, batch: Batch, device: str) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch of windows; what is mirrored depends on torch's seed."""
        if self.mirror:
            batch = mirrored(batch, (torch.rand(len(batch.frames)) < 0.5).numpy())
        buttons = torch.from_numpy(batch.buttons).to(device).long()
        shape = batch.camera_deg.shape
        bins = torch.from_numpy(camera_to_bins(batch.camera_deg.reshape(-1, 2)).reshape(shape)).to(device).long()
        weight = torch.from_numpy(batch.weight).to(device)
        log_probs = model(torch.from_numpy(batch.frames).to(device))
        total = weight.sum().clamp_min(1e-6)
        button_loss = -(_chosen(log_probs["buttons"], buttons) * weight).sum() / total
        camera_loss = -(_chosen(log_probs["camera"], bins) * weight).sum() / total
        figures = {"button_loss": float(button_loss.detach()), "camera_loss": float(camera_loss.detach())}
        return button_loss + camera_loss, figures

    def memory(self) -> list[Tensor]:
        """Windows are independent: nothing to remember."""
        return []

    def remember(self, tensors: list[Tensor]) -> None:
        """Nothing to take back."""


def _chosen(log_probs: Tensor, choice: Tensor) -> Tensor:
    """Log-probability of the true choices, summed over heads: (B, T, heads, n), (B, T, heads) -> (B, T)."""
    return log_probs.float().gather(-1, choice[..., None])[..., 0].sum(-1)


def train_idm(
    episodes: Sequence[Episode],
    model: InverseDynamicsModel,
    config: IDMTrainConfig,
    out_dir: Path | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train an IDM in place; `out_dir` takes the checkpoints. Raises ValueError if there is nothing to train on."""

    def source(position: Any) -> Source:
        return RandomWindows(episodes, config.window, config.batch, config.seed, position or 0)

    steps = config.total_steps(sum(len(episode) for episode in episodes))
    objective = IDMObjective(config.mirror)
    return train(model, objective, source, config, total_steps=steps, out_dir=out_dir, progress=progress)


def new_model(config: IDMConfig, seed: int) -> InverseDynamicsModel:
    """A random IDM that depends on the seed alone."""
    torch.manual_seed(seed)
    return InverseDynamicsModel(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, save and evaluate on the held-out worlds; the last line on standard output is one JSON summary."""
    options = _parser().parse_args(arguments)
    make_model_config, make_train_config = RECIPES[options.recipe]
    config = replace(make_train_config(), max_seconds=options.max_seconds, seed=options.seed)
    if options.max_steps:
        config = replace(config, max_steps=options.max_steps)
    try:
        episodes, refused = load_recordings(options.recordings)
        training, held_out = split_by_world(episodes, options.held_out)
        model = new_model(make_model_config(), options.seed)
        with _progress_bar() as progress:
            result = train_idm(training, model, config, options.out, progress)
    except ValueError as error:
        print(f"train_idm: {error}", file=sys.stderr)
        return 2
    model.save(options.out)
    summary = _write_results(options.out, model, held_out, refused, config, result)
    print(json.dumps(summary))
    return 0


def _write_results(
    out: Path,
    model: InverseDynamicsModel,
    held_out: list[Episode],
    refused: dict[str, BadRecording],
    config: IDMTrainConfig,
    result: TrainResult,
) -> dict[str, Any]:
    """`training.json` and, with held-out worlds, `report.json` + `report.png` beside the model."""
    from models.evaluate import evaluate_episodes, write_report  # imported late: plots are not needed for training

    training = {"config": asdict(config), "steps": result.steps, "seconds": result.seconds, "history": result.history}
    (out / "training.json").write_text(json.dumps(training, indent=1))
    summary: dict[str, Any] = {"steps": result.steps, "seconds": round(result.seconds, 1), "loss": result.final_loss}
    summary["refused"] = {name: error.reason for name, error in refused.items()}
    if held_out:
        report = evaluate_episodes(model, held_out)
        write_report(report, out / "report.json")
        overall = report["overall"]
        summary |= {
            "camera_r2": overall["camera"]["r2"]["mean"],
            "event_f1": overall["event_f1"],
            "joint_accuracy": overall["keypress_accuracy"]["joint"],
        }
    return summary


class _progress_bar:
    """A rich progress bar on standard error, as a `Progress` callback."""

    def __enter__(self) -> Progress:
        from rich.console import Console
        from rich.progress import Progress as Bar
        from rich.progress import TextColumn, TimeElapsedColumn

        columns = (*Bar.get_default_columns(), TimeElapsedColumn(), TextColumn("loss {task.fields[loss]:.3f}"))
        self.bar = Bar(*columns, console=Console(stderr=True))
        self.bar.start()
        task = self.bar.add_task("train_idm", total=None, loss=float("nan"))
        return lambda step, total, m: self.bar.update(task, completed=step, total=total, loss=m["loss"])

    def __exit__(self, *_: object) -> None:
        self.bar.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.train_idm", description=__doc__.split("\n")[0])
    parser.add_argument("--recordings", type=Path, required=True, help="folder of NAME.mp4 + NAME.jsonl")
    parser.add_argument("--held-out", nargs="*", default=[], help="players (worlds), or the beginning of their names")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="nano_cpu")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model, checkpoints and report")
    parser.add_argument("--max-seconds", type=float, help="stop after this long, whatever the step")
    parser.add_argument("--max-steps", type=int, help="steps of the run, instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
