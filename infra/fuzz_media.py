"""Break thousands of videos and show them to the decoder: `python -m infra.fuzz_media --count 3000 [--seconds 600]`.

Each file must end in a consistent result (every step of the grid has its frame in the clip) or in one reason slug; the
run itself must never end. Files are examined in batches, so that a child process starts once for many. When a child
dies, the files of its batch are examined again, each in a child of its own, and only the guilty one bears the reason.
Exit status 1 if any file had an `unexpected` outcome; such files are kept in `--keep`.
"""

import argparse
import hashlib
import json
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from infra.mutate import mutate, write_seeds
from stages.errors import BadInput
from stages.media import ClipOptions, Grid, Scan, Span, Way, cut_clips, scan
from stages.sandbox import Limits, run_limited

OK, OK_REDRAWN, UNEXPECTED = "ok", "ok_redrawn", "unexpected"
"""Consistent; consistent, but a damaged picture looks different when it is decoded again; a fault of ours.

Some decoders leave in a damaged picture what was in memory, so one file, cut twice the same way, may give two clips."""
LIMITS = Limits(memory_bytes=2 * 2**30, cpu_seconds=300, wall_seconds=600, stall_seconds=60)
BATCH = 25
CLIP_STEPS = 20


def examine(path: Path) -> str:
    """Scan a file and cut its first and last second; what became of it."""
    try:
        with tempfile.TemporaryDirectory(prefix="smelter-fuzz-") as folder:
            found = scan(path, Path(folder) / "spool")
            _check_scan(found, Path(folder) / "spool")
            return _check_clips(path, found, Path(folder))
    except BadInput as bad:
        return bad.reason
    except MemoryError:
        return f"{LIMITS.what}_memory"
    except Exception:
        return f"{UNEXPECTED}: {traceback.format_exc()}"


def examine_all(paths: list[Path]) -> list[str]:
    """`examine` for a batch, in one child process."""
    return [examine(path) for path in paths]


def _check_scan(found: Scan, spool: Path) -> None:
    grid, steps = found.grid, len(found.grid)
    assert steps > 0, "an empty grid"
    assert (np.diff(grid.frame) >= 0).all() and grid.frame[0] == 0 and grid.frame[-1] < found.frames, "frames"  # noqa: PT018
    assert (np.diff(grid.pts_us) >= 0).all() and (grid.pts_us <= np.arange(steps) * 50_000).all(), "times"  # noqa: PT018
    assert all(0 <= a < b <= steps for a, b in found.candidates), "candidates"
    assert (np.diff(found.sample_steps) > 0).all(), "samples"
    assert len(found.sample_ends) == 0 or found.sample_ends[-1] <= spool.stat().st_size, "spool"


def _check_clips(path: Path, found: Scan, folder: Path) -> str:
    steps = len(found.grid)
    spans = [Span(0, min(CLIP_STEPS, steps))]
    if steps >= 2 * CLIP_STEPS:
        spans.append(Span(steps - CLIP_STEPS, steps))
    clips = _cut(path, found.grid, spans, folder, tuple(Way))
    try:
        counted = _cut(path, found.grid, spans, folder, (Way.COUNTED,))
    except BadInput:  # as it may: what cannot be counted has been found by its time
        return OK
    return OK if clips == counted else OK_REDRAWN


def _cut(path: Path, grid: Grid, spans: list[Span], folder: Path, ways: tuple[Way, ...]) -> list[str]:
    clips = [folder / f"{span.start}.mp4" for span in spans]
    frames = cut_clips(path, grid, spans, clips, ClipOptions(preset="ultrafast"), ways)
    assert frames == [end - start for start, end in spans]
    return [hashlib.sha256(clip.read_bytes()).hexdigest() for clip in clips]


def outcomes(paths: list[Path], limits: Limits = LIMITS) -> list[str]:
    """What became of each file; a child that dies takes no other file with it."""
    try:
        return run_limited(examine_all, paths, limits=limits)
    except BadInput as bad:
        if len(paths) == 1:
            return [bad.reason]
        return [outcome for path in paths for outcome in outcomes([path], limits)]


def broken_files(folder: Path, count: int, seed: int) -> Iterator[Path]:
    """Mutated files, one after the other; the caller removes them."""
    seeds = write_seeds(folder / "seeds")
    contents = [path.read_bytes() for path in seeds]
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        which = chance.randrange(len(seeds))
        path = folder / f"{number:06d}{seeds[which].suffix}"
        path.write_bytes(mutate(contents[which], chance.choice(contents), chance))
        yield path


def run(count: int, seconds: float, seed: int, keep: Path | None = None) -> Counter[str]:
    """Examine up to `count` files, for about `seconds`; files by outcome."""
    counts: Counter[str] = Counter()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="smelter-fuzz-") as folder:
        batch: list[Path] = []
        for path in broken_files(Path(folder), count, seed):
            batch.append(path)
            if len(batch) == BATCH:
                counts.update(_finish(batch, keep))
                batch = []
                print(f"{counts.total()} files, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            if time.monotonic() - started > seconds:
                break
        counts.update(_finish(batch, keep) if batch else [])
    return counts


def _finish(batch: list[Path], keep: Path | None) -> list[str]:
    """Outcomes of a batch; the files go, except those to keep."""
    results = outcomes(batch)
    for path, outcome in zip(batch, results, strict=True):
        if outcome.startswith(UNEXPECTED):
            print(f"{path.name}: {outcome}", file=sys.stderr)
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / path.name).write_bytes(path.read_bytes())
        path.unlink()
    return [outcome.split(":")[0] for outcome in results]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=3000, help="files to break")
    parser.add_argument("--seconds", type=float, default=600, help="stop after about this long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files with an unexpected outcome")
    options = parser.parse_args()
    counts = run(options.count, options.seconds, options.seed, options.keep)
    print(json.dumps({"files": counts.total(), "outcomes": dict(counts.most_common())}))
    return int(counts[UNEXPECTED] > 0)


if __name__ == "__main__":
    from infra.fuzz_media import main as imported  # the child imports this module by its name, not as __main__

    raise SystemExit(imported())
