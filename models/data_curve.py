"""Accuracy by hours of data: train one recipe on nested parts of the recordings, test each on the same unseen worlds.

    python -m models.data_curve --recordings DIR --held-out PLAYER [PLAYER ...] --minutes 5 10 20 40 --out DIR

A part takes whole recordings, world by world in an order drawn from the seed, and the beginning of the one that
overshoots; each part holds the one before. All parts train for the same number of steps, so that the curve shows data
and not compute, and where the recipe has several members (`IDMConfig.members`), one alone, on its share of the batch:
what data changes shows in one as it does in all. `curve.json` goes to `models.evaluate --curve`; a point that is there
already is not trained again.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models import checkpoint
from models.action_schema import DEFAULT, load_schema, schema_content
from models.dataset import Episode, load_usable, part, split_by_world
from models.evaluate import evaluate_episodes
from models.idm_card import FRAMES_PER_MINUTE
from models.progress import progress_bar
from models.train_idm import RECIPES, configure, new_model, train_idm
from models.training import Surroundings


def subset(episodes: Sequence[Episode], minutes: float, seed: int) -> list[Episode]:
    """The first `minutes` of play in the seed's order of worlds. ValueError if there is less."""
    worlds = sorted({episode.world for episode in episodes})
    rank = {worlds[i]: place for place, i in enumerate(np.random.default_rng(seed).permutation(len(worlds)))}
    left, chosen = round(minutes * FRAMES_PER_MINUTE), []
    for episode in sorted(episodes, key=lambda episode: (rank[episode.world], episode.id)):
        if left > 0:
            chosen.append(part(episode, 0, left))
            left -= len(chosen[-1])
    if left > 0:
        there = sum(map(len, episodes)) / FRAMES_PER_MINUTE
        raise ValueError(f"--minutes: expected at most the {there:.1f} minutes that are not held out, got {minutes:g}")
    return chosen


def measure(
    training: Sequence[Episode], held_out: Sequence[Episode], options: argparse.Namespace, minutes: float
) -> dict[str, Any]:
    """One point: train on a part, test on the held-out worlds."""
    schema, steps = training[0].schema, options.max_steps
    recipe, config = configure(options.recipe, seed=options.seed, max_steps=steps, schema=schema)
    model_config, epochs = replace(recipe, members=1), config.epochs and config.epochs / recipe.members
    config = replace(config, max_seconds=options.max_seconds, batch=config.batch // recipe.members, epochs=epochs)
    chosen, model = subset(training, minutes, options.seed), new_model(model_config, options.seed)
    with progress_bar(f"{minutes:g} minutes") as progress:
        folder = options.out / f"{minutes:g}"
        result = train_idm(chosen, model, config, Surroundings(out_dir=folder, progress=progress))
    model.save(folder)
    checkpoint.clear(folder)
    found = evaluate_episodes(model, held_out)["headline"]
    outside = found.get("outside_menus", found["overall"])
    return {
        "minutes": minutes,
        "worlds": len({episode.world for episode in chosen}),
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
        "overall": found["overall"]["model"],
        "outside_menus": outside["model"],
        "always_released": outside["always_released"],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the points that are missing; the last line on standard output is one JSON summary."""
    options = _parser().parse_args(arguments)
    path = options.out / "curve.json"
    setting = {name: getattr(options, name) for name in ("recipe", "held_out", "seed", "max_steps", "max_seconds")}
    try:
        schema = load_schema(options.schema)
        setting |= {"schema": content} if (content := schema_content(schema)) else {}
        points = _known(path, setting)
        training, held_out = split_by_world(load_usable(options.recordings, schema)[0], options.held_out)
        for minutes in sorted(options.minutes):
            subset(training, minutes, options.seed)  # a size that cannot be had is told before hours of training
        for minutes in sorted(set(options.minutes) - {point["minutes"] for point in points}):
            points = sorted([*points, measure(training, held_out, options, minutes)], key=lambda p: p["minutes"])
            path.write_text(json.dumps({"setting": setting, "points": points}, indent=1) + "\n")
    except ValueError as error:
        print(f"data_curve: {error}", file=sys.stderr)
        return 2
    print(json.dumps({"curve": str(path), **{f"{p['minutes']:g}": p["outside_menus"]["camera_r2"] for p in points}}))
    return 0


def _known(path: Path, setting: dict[str, Any]) -> list[dict[str, Any]]:
    """Points of an earlier run of the same setting."""
    if not path.is_file():
        return []
    found = json.loads(path.read_text())
    if found["setting"] != setting:
        raise ValueError(f"{path} was made with {found['setting']}, this run has {setting}; use another --out")
    return found["points"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.data_curve", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--recordings", type=Path, required=True, help="folder of NAME.mp4 + NAME.jsonl")
    parser.add_argument("--held-out", nargs="+", required=True, help="players (worlds) that test all points")
    parser.add_argument("--minutes", nargs="+", type=float, default=[5, 10, 20, 40], help="sizes of the parts")
    parser.add_argument("--schema", default=DEFAULT, help="the game's buttons, keys and camera: a name or a .json file")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="nano_cpu")
    parser.add_argument("--max-steps", type=int, help="steps of each point, instead of the recipe's")
    parser.add_argument("--max-seconds", type=float, help="stop each point after this long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder for curve.json")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
