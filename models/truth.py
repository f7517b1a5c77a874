"""Videos with known truth: what they show at every step, and what a filter says of their samples.

Videos lie as NAME.mp4, truth as NAME.truth.json: {"intervals": [{"start", "end", "label", "what"?}]} in seconds, label
`clean` or anything else. Videos are sampled and encoded as `segment` does it, so the figures hold for the pipeline.
"""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.clean_filter import CleanFilter
from models.embedding import Embedder
from models.sampling import SAMPLE_SIDE, SAMPLES_PER_S, frames_at, through_jpeg, video_duration
from models.spans import STEPS_PER_S

BATCH = 64
"""Images embedded at a time."""
TRUTH_SUFFIX = ".truth.json"
DENSE_S = 0.5
"""Labelled samples at most this far apart make a video whose spans can be judged."""


@dataclass(frozen=True)
class Judged:
    """One video with scores and truth, N samples."""

    name: str
    steps: int
    sample_steps: np.ndarray
    scores: np.ndarray
    """(N,) float64, 0 to 1."""
    truth: np.ndarray
    """(steps,) bool: clean at that 20 Hz step."""
    what: list[str]
    """(N,) the truth's finest name for what each sample shows."""

    @property
    def is_clean(self) -> np.ndarray:
        """(N,) truth at the samples."""
        return self.truth[self.sample_steps]


def find_pairs(videos_dir: Path, truth_dir: Path) -> list[tuple[Path, Path]]:
    """(video, truth) of every truth file.

    Raises:
        ValueError: there is none, or its video is missing.
    """
    pairs = [(videos_dir / (t.name.removesuffix(TRUTH_SUFFIX) + ".mp4"), t) for t in _truths(truth_dir)]
    missing = [video.name for video, _ in pairs if not video.is_file()]
    if not pairs or missing:
        raise ValueError(
            f"expected NAME{TRUTH_SUFFIX} in {truth_dir} and NAME.mp4 in {videos_dir}, "
            f"got {len(pairs)} truth files{', no video for ' + ', '.join(missing) if missing else ''}"
        )
    return pairs


def _truths(truth_dir: Path) -> list[Path]:
    return sorted(truth_dir.glob(f"*{TRUTH_SUFFIX}"))


def judge(video: Path, truth: Path, clean_filter: CleanFilter, embedder: Embedder) -> Judged:
    """Sample and score one video."""
    duration_s = video_duration(video)
    steps = int(duration_s * STEPS_PER_S + 1e-6)
    sample_steps = np.arange(0, int(duration_s * SAMPLES_PER_S) + 1) * STEPS_PER_S // SAMPLES_PER_S
    sample_steps = sample_steps[sample_steps < steps]
    images = frames_at(video, (sample_steps / STEPS_PER_S).tolist(), SAMPLE_SIDE)
    observed = []
    while batch := list(itertools.islice(images, BATCH)):
        observed.append(clean_filter.observe(embedder.embed([through_jpeg(image) for image in batch])))
    if not observed:
        raise ValueError(f"{video}: expected a video with at least one sample, got none")
    rows = np.concatenate(observed)
    sample_steps = sample_steps[: len(rows)]
    found = clean_filter.score(rows, sample_steps / STEPS_PER_S)
    intervals = read_intervals(truth)
    is_clean = np.zeros(steps, bool)
    for entry in intervals:
        is_clean[_step(entry["start"]) : _step(entry["end"])] = entry["label"] == "clean"
    what = [_what(intervals, step / STEPS_PER_S) for step in sample_steps.tolist()]
    return Judged(video.stem, steps, sample_steps, found, is_clean, what)


def dense_video(name: str, rows: list[tuple[float, bool, float]]) -> Judged | None:
    """A video from labelled samples (time in seconds, is clean, score), if they lie as densely as `segment` samples."""
    rows = sorted(rows)
    times_s, truth, scores = (np.array(column) for column in zip(*rows, strict=True))
    if len(rows) < 2 or np.diff(times_s).max() > DENSE_S:
        return None
    start = _step(float(times_s[0]))
    sample_steps = np.array([_step(t) - start for t in times_s.tolist()])
    steps = int(sample_steps[-1]) + 1
    nearest = np.searchsorted((sample_steps[1:] + sample_steps[:-1] + 1) // 2, np.arange(steps), side="right")
    what = ["clean" if is_clean else "unclean" for is_clean in truth.tolist()]
    return Judged(name, steps, sample_steps, scores, truth.astype(bool)[nearest], what)


def _step(seconds: float) -> int:
    return round(seconds * STEPS_PER_S)


def _what(intervals: list[dict[str, Any]], time_s: float) -> str:
    for entry in intervals:
        if entry["start"] - 1e-6 <= time_s < entry["end"]:
            return str(entry.get("what", entry["label"]))
    return "unlabelled"


def read_intervals(truth: Path) -> list[dict[str, Any]]:
    """The intervals of a truth file.

    Raises:
        ValueError: not of this form.
    """
    try:
        intervals = json.loads(truth.read_text())["intervals"]
        return [{**entry, "start": float(entry["start"]), "end": float(entry["end"])} for entry in intervals]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{truth}: expected intervals with start, end and label, got {error!r}") from error
