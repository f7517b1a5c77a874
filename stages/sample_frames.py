"""Draw frames for a person to label, and write the page on which to label them (paper, Appendix A.2: 8,800 of them).

    python -m stages.sample_frames --store URI --out DIR [--count 200] [--draw unbiased|uncertain] [--exclude CSV]

In: samples of segmented videos and, for `uncertain`, their scores. Out: DIR/label.html, a page without any network on
which the keyboard labels, and DIR/frames/<video>_<seconds>.jpg. The page downloads labels.csv; put it into DIR and
train on it: `python -m stages.train_filter --config '{"frames": "DIR/labels.csv"}'`. Nothing is written to the store.

`unbiased` gives every sample of the store the same chance: label such frames to measure a filter. `uncertain` takes the
frames whose score is nearest to the threshold, spread over time and videos: label such frames to improve a filter.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.errors import ConfigError, SmelterError
from stages.records import Record
from stages.settings import load_settings
from stages.stage import Context, Recipe

if TYPE_CHECKING:
    import numpy as np

PAGE = Path(__file__).with_name("label_page.html")
PLACE = "/*FRAMES*/"
"""Where the template takes its data."""
SPACING_S = 2.0
"""Uncertain frames of one video lie at least this far apart: neighbours say the same."""
MAX_SCORED = 1000
"""Videos whose scores are read to find uncertain frames, drawn at random where a store has more."""


@dataclass(frozen=True, order=True)
class Drawn:
    """One frame to label."""

    video: str
    sample: int
    time_s: float
    score: float | None = None
    """Clean score, 0 to 1, where a filter has given one."""

    @property
    def name(self) -> str:
        """The file name that `stages/labelled_frames.py` reads."""
        return f"{self.video}_{self.time_s:.2f}.jpg"


def draw_unbiased(records: Sequence[Record], count: int, rng: "np.random.Generator") -> list[Drawn]:
    """`count` samples, each sample of all segmented videos with the same chance, in random order."""
    import numpy as np

    sizes = np.array([record.info["samples"] for record in records], np.int64)
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    picked = rng.choice(total, min(count, total), replace=False) if total else np.empty(0, np.int64)
    videos = np.searchsorted(ends, picked, side="right")
    samples = picked - (ends - sizes)[videos] if total else picked
    return [
        Drawn(records[v].info["video_id"], s, sample_time(s))
        for v, s in zip(videos.tolist(), samples.tolist(), strict=True)
    ]


def sample_time(sample: int) -> float:
    """Seconds at which `segment` takes a sample: on the 20 Hz grid, three in a second."""
    from models.sampling import SAMPLES_PER_S
    from models.spans import STEPS_PER_S

    return sample * STEPS_PER_S // SAMPLES_PER_S / STEPS_PER_S


def draw_uncertain(
    ctx: Context, records: Sequence[Record], count: int, rng: "np.random.Generator", threshold: float
) -> list[Drawn]:
    """The `count` samples nearest to the threshold, `SPACING_S` apart within a video."""
    chosen = [records[i] for i in rng.permutation(len(records))[:MAX_SCORED].tolist()]
    scored = [row for record in chosen for row in _scores(ctx, record)]
    scored.sort(key=lambda row: (abs((row.score or 0.0) - threshold), row))
    taken: dict[str, list[float]] = {}
    found = []
    for row in scored:
        times = taken.setdefault(row.video, [])
        if all(abs(row.time_s - other) >= SPACING_S for other in times):
            times.append(row.time_s)
            found.append(row)
        if len(found) == count:
            break
    return found


def _scores(ctx: Context, record: Record) -> list[Drawn]:
    import io

    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(ctx.store.get(record.output("scores.parquet").key)))
    columns = (table[name].to_pylist() for name in ("sample", "time_s", "score"))
    return [Drawn(record.info["video_id"], *row) for row in zip(*columns, strict=True)]


def read_labelled(table: Path | None) -> set[tuple[str, float]]:
    """(video, time) of the rows of a table of labels: those need no second label."""
    from stages.labelled_frames import read_rows

    rows = read_rows(table) if table else []
    return {(str(row.get("video")), round(float(str(row.get("time"))), 2)) for row in rows}


def read_pictures(ctx: Context, records: Iterable[Record], frames: Sequence[Drawn]) -> dict[Drawn, bytes]:
    """The JPEG of each frame; one download per video, one row group in memory at a time."""
    import pyarrow.parquet as pq

    wanted: dict[str, dict[int, Drawn]] = {}
    for frame in frames:
        wanted.setdefault(frame.video, {})[frame.sample] = frame
    found: dict[Drawn, bytes] = {}
    for record in records:
        mine = wanted.get(record.info["video_id"], {})
        if not mine:
            continue
        with tempfile.TemporaryDirectory(prefix="smelter-") as folder:
            local = Path(folder) / "samples.parquet"
            ctx.store.get_file(record.output("samples.parquet").key, local)
            with pq.ParquetFile(local) as file:
                for batch in file.iter_batches(256, columns=["sample", "jpeg"]):
                    rows = zip(batch["sample"].to_pylist(), batch["jpeg"].to_pylist(), strict=True)
                    found |= {mine[sample]: jpeg for sample, jpeg in rows if sample in mine}
    return found


def render_page(frames: Sequence[Drawn], pictures: dict[Drawn, bytes], title: str) -> str:
    """The page: the template with the frames inside, pictures as data URLs."""
    import base64

    rows = [
        {
            "video": frame.video,
            "time": f"{frame.time_s:.2f}",
            "score": None if frame.score is None else round(frame.score, 3),
            "jpeg": base64.b64encode(pictures[frame]).decode(),
        }
        for frame in frames
    ]
    names = "\n".join(frame.name for frame in frames)
    data = {"set": hashlib.sha256(names.encode()).hexdigest()[:16], "title": title, "frames": rows}
    text = json.dumps(data).replace("<", "\\u003c")  # a video's name must not end the script
    return PAGE.read_text(encoding="utf-8").replace(PLACE, f"const DATA = {text};")


def draw(ctx: Context, how: str, count: int, seed: int, labelled: set[tuple[str, float]]) -> list[Drawn]:
    """Frames to label, without those that are already.

    Raises:
        ConfigError: nothing is segmented, or nothing is scored where scores are needed.
    """
    import numpy as np

    rng, needed = np.random.default_rng(seed), count + len(labelled)
    stage = "segment" if how == "unbiased" else "filter"
    records = sorted(ctx.committed(stage), key=lambda record: record.unit)
    if not any(record.info["samples"] for record in records):
        raise ConfigError(f"expected videos with samples, got none; run `python -m stages.{stage}` on this store first")
    if how == "unbiased":
        frames = draw_unbiased(records, needed, rng)
    else:
        frames = draw_uncertain(ctx, records, needed, rng, ctx.recipe.config("filter").threshold)
    return [frame for frame in frames if (frame.video, round(frame.time_s, 2)) not in labelled][:count]


def write(ctx: Context, frames: Sequence[Drawn], out: Path, how: str) -> dict[str, Any]:
    """Write the page and the pictures; returns the summary.

    Raises:
        ConfigError: no frame is left to label.
    """
    pictures = read_pictures(ctx, ctx.committed("segment"), frames)
    kept = [frame for frame in frames if frame in pictures]
    if not kept:
        raise ConfigError("expected frames to label, got none: --exclude names all of them, or their samples are gone")
    (out / "frames").mkdir(parents=True, exist_ok=True)
    for frame in kept:
        (out / "frames" / frame.name).write_bytes(pictures[frame])
    (out / "label.html").write_text(render_page(kept, pictures, f"{len(kept)} frames, {how}"), encoding="utf-8")
    return {"page": str(out / "label.html"), "frames": len(kept), "videos": len({f.video for f in kept}), "draw": how}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 on success, 1 for the user's mistakes."""
    args = _parser().parse_args(argv)
    try:
        ctx = Context(load_settings(store=args.store), Recipe.parse(args.config, "filter"))
        ctx.settings.require_store()
        frames = draw(ctx, args.draw, args.count, args.seed, read_labelled(args.exclude))
        summary = write(ctx, frames, args.out, args.draw)
    except SmelterError as error:
        print(f"sample_frames: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(summary))
    return 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stages.sample_frames", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add: Callable[..., Any] = parser.add_argument
    add("--store", help="file:///path or s3://bucket/prefix (SMELTER_STORE)")
    add("--out", type=Path, required=True, help="folder for the page and its frames")
    add("--count", type=_positive, default=200, help="frames to draw (default: 200)")
    add("--draw", choices=("unbiased", "uncertain"), default="unbiased", help="how to choose (default: unbiased)")
    add("--exclude", type=Path, help="CSV or Parquet of frames that are labelled already")
    add("--seed", type=int, default=0, help="of the draw (default: 0)")
    add("--config", default="", help="JSON or a JSON file with sections by stage, as given to the run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
