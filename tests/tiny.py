"""A tiny world for tests of whole flows: recordings, web videos and labelled frames, made in seconds."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stages.runner import run_stage
from stages.settings import Settings
from stages.stage import Context, Recipe
from stages.status import ORDER
from tests.models.game import play, render, write_mp4, write_recording

HELD_OUT = "amber-otter"
FPS = 20
PLAY_S, CARD_S = 8, 2


def recordings(folder: Path, length: int = 96) -> Path:
    """Three recordings from two worlds."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("amber-otter-setter-0000000000aa", "keen-vole-digger-0000000000bb", "keen-vole-digger-0000000000bb")
    for seed, name in enumerate(names):
        write_recording(folder, f"{name}-2026010{seed + 1}-000000", length, seed)
    return folder


def game_frames(seconds: float, seed: int) -> np.ndarray:
    """Pictures of play at 20 Hz: (T, 360, 640, 3)."""
    return render(*play(int(seconds * FPS), seed), seed)


def card_frames(seconds: float, seed: int) -> np.ndarray:
    """Pictures of a title card: flat colour and a line of text."""
    card = np.full((360, 640, 3), np.random.default_rng(seed).integers(40, 200, 3), np.uint8)
    cv2.putText(card, f"EPISODE {seed}", (120, 190), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 5)
    return np.repeat(card[None], int(seconds * FPS), axis=0)


def web(folder: Path, videos: int = 1) -> Path:
    """Videos of play that end in a title card."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(videos):
        frames = np.concatenate([game_frames(PLAY_S, 10 + seed), card_frames(CARD_S, 10 + seed)])
        write_mp4(folder / f"video{seed}.mp4", frames, fps=FPS)
    return folder


def labelled_frames(folder: Path, videos: int = 3, per_video: int = 4) -> Path:
    """Frames of other videos, a folder per class."""
    for label, make in (("clean", game_frames), ("other", card_frames)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for seed in range(videos):
            for i, frame in enumerate(make(per_video / FPS * 8, 50 + seed)[::8]):
                path = folder / label / f"{label}{seed}_{i}.0.jpg"
                cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return folder


def recipe(root: Path, **sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A recipe whose trainings take a few steps; sections are laid over it."""
    base: dict[str, dict[str, Any]] = {
        "ingest": {"recordings": [str(root / "recordings")], "licence": "CC0-1.0"},
        "train_filter": {"frames": str(root / "frames"), "folds": 2, "overlays": 0},
        "train_idm": {"max_steps": 2, "held_out": [HELD_OUT]},
        "scrape": {"sources": [str(root / "web")]},
        "filter": {"min_clean_share": 0.5},
        "train": {"max_steps": 2},
    }
    return {name: {**base.get(name, {}), **sections.get(name, {})} for name in {**base, **sections}}


def make_world(root: Path, videos: int = 1) -> Path:
    """Everything below one folder."""
    recordings(root / "recordings")
    web(root / "web", videos)
    labelled_frames(root / "frames")
    return root


def run(settings: Settings, sections: dict[str, Any], name: str, **options: Any) -> dict[str, Any]:
    """Run one stage in this process, as its command line would with `--ray off`."""
    ctx = Context(settings, Recipe(sections))
    return run_stage(ctx.stage(name), ctx, ray=options.pop("ray", "off"), **options)


FLOW = ORDER
"""Everything, in order."""


def run_flow(settings: Settings, sections: dict[str, Any], names: tuple[str, ...] = FLOW) -> dict[str, dict[str, Any]]:
    """Run stages one after the other; returns their summaries."""
    summaries = {}
    for name in names:
        if name == "shard_truth":
            summaries[name] = run(settings, {**sections, "shard": {"labels": "truth"}}, "shard")
        else:
            summaries[name] = run(settings, sections, name)
    return summaries
