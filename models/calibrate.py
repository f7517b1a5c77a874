"""Fit what a trained IDM cannot learn from its own worlds: how sure it may be, and which of its opinions to trust.

The confidence is the product over 22 heads, and trained heads are surer of themselves than they should be on worlds
they never saw. One temperature for all heads mends most of it, and no label changes. Where the model has a second
opinion (`models.second_opinion`), first its share in each button and in the camera is chosen. Fit both on worlds that
are neither trained on nor tested on; a training whose members leave worlds out (`models.folds`) does it by itself.

    python -m models.calibrate --idm DIR --recordings DIR --worlds PLAYER [PLAYER ...] --out DIR
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.actions import camera_to_bins, mirror_of
from models.backbone import CategoricalHead
from models.dataset import Episode, check_schema, load_usable, split_by_world
from models.idm import InverseDynamicsModel
from models.idm_config import IDMConfig
from models.metrics import calibration_error
from models.predict import Opinions, chosen_buttons, opinions, play, weighed
from models.second_opinion import mean_opinion
from models.train_types import Progress

TEMPERATURES = np.geomspace(0.25, 8.0, 241)
"""Factors that are tried on the present temperature; neighbours differ by 1.5 %."""

SHARES = (0.0, 0.25, 0.5, 0.75)
"""How much the second opinion may count."""
EVIDENCE = 50.0
"""Nats of all frames together that another share than the present one must save: two for each frame that says
something of its own, but keys are held for 24 frames on average. Of keys that nobody presses, nothing is learned."""

_Heads = tuple[Tensor, Tensor]
"""Log-probabilities (N, heads, options), and the label's option (N, heads)."""


@dataclass(frozen=True)
class Calibration:
    """What a fit found."""

    temperature: float
    """The config's new temperature."""
    factor: float
    """New over old temperature: above 1, the model was too sure of itself."""
    shares: dict[str, float]
    """How much the second opinion counts, by button and for the camera; the others are the first's alone."""
    frames: int
    """Frames with a known action that it was fitted on."""
    error_before: float
    """Expected calibration error on these frames."""
    error_after: float
    worlds: list[str]
    """Whose frames these are."""


def calibrate(
    model: InverseDynamicsModel, episodes: Sequence[Episode], said: Sequence[Opinions] | None = None
) -> Calibration:
    """Set the shares and the temperature of `model` to those that make what was played, and its confidence, likeliest.

    `said`: what is to be weighed, if it is not what the model says of the episodes now.

    Raises:
        ValueError: no frame has a known action, or the episodes are of another schema.
    """
    check_schema(episodes, model.config.schema)
    if not any(episode.weight.any() for episode in episodes):
        raise ValueError("expected frames with a known action to calibrate on, got none; name other worlds")
    said = said or [opinions(model, episode.frames) for episode in episodes]
    if model.config.opinion_width:
        shares, camera = best_shares(model.config, episodes, said)
        model.config = replace(model.config, opinion_shares=tuple(shares.tolist()), camera_share=camera)
    heads, correct = _predictions(model, episodes, said)
    losses = [_cross_entropy(_confidence(heads, factor), correct) for factor in TEMPERATURES]
    factor = float(TEMPERATURES[int(np.argmin(losses))])
    before, after = (calibration_error(_confidence(heads, f), correct) for f in (1.0, factor))
    set_temperature(model, model.config.temperature * factor)
    by_button = dict(zip(model.config.schema.buttons, model.config.opinion_shares, strict=False))
    counted = {name: share for name, share in (by_button | {"camera": model.config.camera_share}).items() if share}
    worlds = sorted({episode.world for episode in episodes})
    return Calibration(model.config.temperature, factor, counted, len(correct), before, after, worlds)


def said_by_the_absent(
    model: InverseDynamicsModel, episodes: Sequence[Episode], folds: Sequence[int], progress: Progress | None = None
) -> list[Opinions]:
    """Of each episode, what the member says that never saw its world; one member is as sure of itself as several."""
    said, done, total = [], 0, sum(map(len, episodes))
    for episode, fold in zip(episodes, folds, strict=True):
        said.append(opinions(model.alone(fold), episode.frames, maps=episode.maps))
        done += len(episode)
        if progress:
            progress(done, total, {})
    return said


def set_temperature(model: InverseDynamicsModel, temperature: float) -> None:
    """Change the temperature of all heads, and the config that says so."""
    model.config = replace(model.config, temperature=temperature)
    for head in model.modules():
        if isinstance(head, CategoricalHead):
            head.temperature = temperature


def best_shares(config: IDMConfig, episodes: Sequence[Episode], said: Sequence[Opinions]) -> tuple[Tensor, float]:
    """Of `SHARES`, each button's, (20,), and the camera's that make what was played likeliest; the config's as long as
    there is no `EVIDENCE`. Mirrored buttons share theirs."""
    schema, tried = config.schema, torch.tensor(SHARES)
    present = torch.tensor(config.opinion_shares or [0.0] * len(schema.buttons))
    sizes = {"buttons": len(schema.buttons), "camera": 2}
    losses = {name: torch.zeros(len(SHARES), n, dtype=torch.float64) for name, n in sizes.items()}
    for episode, heads in zip(episodes, said, strict=True):
        played = {"buttons": episode.buttons, "camera": camera_to_bins(episode.camera_deg, schema)}
        known = torch.from_numpy(episode.weight > 0)
        for name, options in played.items():
            when = play(heads) if name == "camera" else torch.ones(1)
            found = _losses(heads[name], heads[f"second_{name}"], torch.from_numpy(options).long(), when)
            losses[name] += found[:, known].sum(1)
    buttons, camera = losses["buttons"], losses["camera"].sum(-1)
    buttons += EVIDENCE * (tried[:, None] != present)
    camera += EVIDENCE * (tried != config.camera_share)
    if schema.mirror is not None:
        buttons = buttons + buttons[:, mirror_of(schema)[0]]
    return tried[buttons.argmin(0)], SHARES[int(camera.argmin())]


def _losses(first: Tensor, second: Tensor, played: Tensor, when: Tensor) -> Tensor:
    """Negative log-likelihood of what was played, for each of `SHARES`: (T, heads, options) -> (SHARES, T, heads).
    The second opinion counts in so far as `when` says, (1,) or (T, 1)."""
    both = [mean_opinion(first, second, share * when) for share in SHARES]
    return -torch.stack(both).gather(-1, played.expand(len(SHARES), -1, -1)[..., None])[..., 0]


def _predictions(
    model: InverseDynamicsModel, episodes: Sequence[Episode], said: Sequence[Opinions]
) -> tuple[list[_Heads], np.ndarray]:
    """Buttons and camera of the known frames, and whether the whole label is right."""
    buttons, camera, pressed, bins, correct = [], [], [], [], []
    for episode, heads_said in zip(episodes, said, strict=True):
        known = episode.weight > 0
        log_buttons, log_camera = weighed(heads_said, model)
        buttons.append(log_buttons[known])
        camera.append(log_camera[known])
        pressed.append(chosen_buttons(log_buttons, model.config)[known])
        bins.append(log_camera[known].argmax(-1).numpy())
        right = (pressed[-1] == episode.buttons[known]).all(-1)
        correct.append(right & (bins[-1] == camera_to_bins(episode.camera_deg[known], episode.schema)).all(-1))
    pairs = (buttons, pressed), (camera, bins)
    heads = [(torch.cat(found), torch.from_numpy(np.concatenate(chosen)).long()) for found, chosen in pairs]
    return heads, np.concatenate(correct)


def _confidence(heads: list[_Heads], factor: float) -> np.ndarray:
    """Product over the heads of the label's probability, at a temperature `factor` times the present one."""
    parts = [torch.log_softmax(p / factor, dim=-1).gather(-1, label[..., None]).sum((-1, -2)) for p, label in heads]
    return torch.stack(parts).sum(0).exp().numpy()


def _cross_entropy(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Mean negative log-likelihood, in nats, of being right or wrong."""
    p = np.clip(confidence, 1e-6, 1 - 1e-6)
    return float(-np.where(correct, np.log(p), np.log1p(-p)).mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Calibrate a saved model; the last line on standard output is one JSON summary."""
    parser = argparse.ArgumentParser(prog="python -m models.calibrate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--idm", type=Path, required=True, help="model folder of an IDM")
    parser.add_argument("--recordings", type=Path, required=True, help="folder of NAME.mp4 + NAME.jsonl")
    parser.add_argument("--worlds", nargs="*", default=[], help="only these players, or the beginning of their names")
    parser.add_argument("--out", type=Path, required=True, help="folder for the calibrated model")
    options = parser.parse_args(arguments)
    try:
        model = InverseDynamicsModel.load(options.idm)
        episodes, _ = load_usable(options.recordings, model.config.schema)
        found = calibrate(model, split_by_world(episodes, options.worlds)[1] if options.worlds else episodes)
    except ValueError as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 2
    model.save(options.out)
    print(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
