"""Episodes in memory or memory-mapped, how recordings become some, and splits of them.

Splits are made by world, never by frame: neighbouring frames are nearly equal, so a split by frame would test on what
was trained on. This module knows no object store: callers bring arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.actions import MINECRAFT, ActionSchema
from models.contractor import read_recording
from models.errors import BadRecording


@dataclass(frozen=True)
class Episode:
    """One stretch of continuous play of L frames at 20 Hz."""

    id: str
    world: str
    frames: np.ndarray
    """uint8 (L, 128, 128, 3) RGB, an array or a memory map; at half size beside maps."""
    buttons: np.ndarray
    """bool (L, 20), in the order of the schema's buttons."""
    camera_deg: np.ndarray
    """float (L, 2): pitch, yaw."""
    weight: np.ndarray
    """float32 (L,): weight of each frame's action in the loss; 0 where the action is unknown."""
    gui_open: np.ndarray | None = None
    """bool (L,): is a menu open; None where nobody knows."""
    maps: np.ndarray | None = None
    """(L, 31, 16, 16): the frames' motion (`models.motion`), computed ahead; None to compute it when needed."""
    walk: np.ndarray | None = None
    """float32 (L, 4): how the player moves (`models.walk`), NaN where unknown; None if nothing is known."""
    schema: ActionSchema = MINECRAFT
    """What buttons and camera mean."""

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in ("frames", "buttons", "camera_deg", "weight")}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"episode {self.id}: expected one action per frame, got lengths {lengths}")

    def __len__(self) -> int:
        return len(self.frames)


def part(episode: Episode, start: int, end: int) -> Episode:
    """Frames `start` to `end` of an episode."""
    rows = slice(start, end)
    return replace(
        episode,
        frames=episode.frames[rows],
        buttons=episode.buttons[rows],
        camera_deg=episode.camera_deg[rows],
        weight=episode.weight[rows],
        gui_open=None if episode.gui_open is None else episode.gui_open[rows],
        walk=None if episode.walk is None else episode.walk[rows],
    )


def check_schema(episodes: Sequence[Episode], schema: ActionSchema) -> None:
    """Raises ValueError for an episode whose actions are not of a model's schema."""
    for episode in episodes:
        if episode.schema != schema:
            same = ", a different one of that name" if episode.schema.name == schema.name else ""
            raise ValueError(
                f"episode {episode.id}: expected actions of the model's schema {schema.name!r}, got "
                f"{episode.schema.name!r}{same}; use recordings of the model's game, or a model of theirs"
            )


def load_recordings(directory: Path, schema: ActionSchema = MINECRAFT) -> tuple[list[Episode], dict[str, BadRecording]]:
    """Read every `NAME.mp4` + `NAME.jsonl` below a folder, in order of name; the bad ones come back with their reason.

    Raises ValueError if the folder holds no such pair.
    """
    pairs = [(p.with_suffix(".mp4"), p) for p in sorted(directory.rglob("*.jsonl")) if p.with_suffix(".mp4").exists()]
    if not pairs:
        raise ValueError(f"expected recordings as NAME.mp4 + NAME.jsonl in {directory}, found no pair")
    episodes, refused = [], {}
    for mp4, jsonl in pairs:
        try:
            frames, recording = read_recording(mp4, jsonl, schema=schema)
        except BadRecording as error:
            refused[jsonl.stem] = error
            continue
        weight = recording.known.astype(np.float32)
        arrays = (frames, recording.buttons, recording.camera_deg, weight, recording.gui_open)
        episodes.append(Episode(recording.name, recording.player, *arrays, walk=recording.walk, schema=schema))
    return episodes, refused


def load_usable(directory: Path, schema: ActionSchema = MINECRAFT) -> tuple[list[Episode], dict[str, BadRecording]]:
    """As `load_recordings`. Raises ValueError if not one recording is usable; the message says why."""
    episodes, refused = load_recordings(directory, schema)
    if not episodes:
        reasons = "; ".join(f"{name}: {error}" for name, error in refused.items())
        raise ValueError(f"expected at least one usable recording in {directory}, all were refused: {reasons[:800]}")
    return episodes, refused


def split_by_world(episodes: Sequence[Episode], held_out: Sequence[str]) -> tuple[list[Episode], list[Episode]]:
    """(training, held-out) episodes. A name in `held_out` is a world or the beginning of one or several worlds' names.

    Raises ValueError if a name matches nothing or a side is left empty.
    """
    worlds = sorted({episode.world for episode in episodes})
    for name in held_out:
        if not any(world.startswith(name) for world in worlds):
            raise ValueError(f"held-out world {name!r} is not among the recordings; there are {', '.join(worlds)}")
    test = [e for e in episodes if e.world.startswith(tuple(held_out))] if held_out else []
    train = [e for e in episodes if not e.world.startswith(tuple(held_out))] if held_out else list(episodes)
    if not train or (held_out and not test):
        raise ValueError(f"the split leaves {len(train)} training and {len(test)} held-out episodes; both need one")
    return train, test


def split_three_ways(
    episodes: Sequence[Episode], held_out: Sequence[str], calibrate: Sequence[str]
) -> tuple[list[Episode], list[Episode], list[Episode]]:
    """(training, calibration, held-out) episodes, as `split_by_world`; a world of both lists fits the confidence.

    Raises ValueError as that does, and if nothing is left to test on.
    """
    training, rest = split_by_world(episodes, [*held_out, *calibrate])
    parts: dict[bool, list[Episode]] = {True: [], False: []}
    for episode in rest:
        parts[episode.world.startswith(tuple(calibrate))].append(episode)
    if held_out and not parts[False]:
        names = ", ".join(sorted({episode.world for episode in rest}))
        raise ValueError(f"expected worlds to test on beside those that fit the confidence, got {names} for both")
    return training, parts[True], parts[False]
