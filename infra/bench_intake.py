"""Intake against its peers: `python -m infra.bench_intake [--rounds N] [--videos DIR] [--minutes M]`, by `make` too.

Side by side, on the same videos: the whole of `python -m stages.segment` against a bare ffmpeg pipe that decodes and
scales the same, and `segment` plus `cut` against video2dataset's exact mode, which encodes every clip at source size.
All source frames count that went through, whether they were cut or not: once with everything clean, and once with the
share of the paper, where `cut` has less to do and the peer, which has no filter, still encodes everything.

First on the videos repeated to ten minutes, as production has them, then on the videos as they are: in short ones the
start of two commands, and of a child for each video, weighs most.

CPU seconds of a process and its children. The ways take turns, in the other order every other round; a ratio is taken
within a round, where both shared what else the machine did, and the median of the rounds is shown with its spread. The
column `right` says how many pictures were the right ones, on videos that carry their frame's number.
No figure is asserted anywhere.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import av

from infra.intake_exactness import exactness
from infra.intake_peers import CLIP_S, exact_clips, ffmpeg_version, lengthened, pipe
from stages.cut import Cut, CutConfig
from stages.records import Record
from stages.runner import run_stage
from stages.scrape import Scrape, ScrapeConfig
from stages.settings import load_settings
from stages.stage import Context, Recipe

SAMPLE = Path("data/sample/web")
PIPE, SEGMENT, EXACT = "ffmpeg pipe", "segment", "video2dataset exact"
BOTH, SHARE = "segment + cut", "segment + cut of 0.26"
CLEAN_SHARE = 70 / 270
"""About 70,000 of the 270,000 hours that the paper's authors found were clean (section 4.2)."""
PEERS = {PIPE: "", SEGMENT: PIPE, EXACT: "", BOTH: EXACT, SHARE: EXACT}
EXACT_S = 20
"""Seconds of each video that video2dataset's way is given: at its rate, all of them would take too long."""
CUT = CutConfig(max_clip_s=CLIP_S, min_tail_s=0)


class PartlyClean(Context):
    """A context whose filter calls the middle of every candidate clip clean, so that no model is needed."""

    share = 1.0

    def committed(self, name: str) -> list[Record]:
        if name != "filter":
            return super().committed(name)
        return [self._verdict(record.info) for record in super().committed("segment")]

    def _verdict(self, info: dict[str, Any]) -> Record:
        spans = [_middle(span["start"], span["end"], self.share) for span in info["candidates"]]
        return Record("filter", info["video_id"], "bench", {}, (), {"video_id": info["video_id"], "spans": spans})


def _middle(start: int, end: int, share: float) -> dict[str, int]:
    aside = round((end - start) * (1 - share) / 2)
    return {"start": start + aside, "end": end - aside}


def cut_store(store: Path, share: float) -> None:
    """Run `cut` over a share of all that is segmented in a store."""
    ctx = PartlyClean(load_settings(store=f"file://{store}"), Recipe({}))
    ctx.share = share
    run_stage(Cut(CUT), ctx, ray="off")


def scraped(videos: Path, store: Path) -> None:
    """Put the videos of a folder in a store."""
    config = ScrapeConfig(sources=(str(videos.resolve()),))
    run_stage(Scrape(config), Context(load_settings(store=f"file://{store}"), Recipe({})), ray="off")


def segment_command(store: Path, videos: Path) -> list[str]:
    recipe = {"scrape": {"sources": [str(videos.resolve())]}, "segment": {}}
    options = ["--store", f"file://{store}", "--config", json.dumps(recipe), "--ray", "off"]
    return [sys.executable, "-m", "stages.segment", *options]


def cpu_seconds(commands: list[list[str]]) -> float:
    """CPU seconds of some commands, one after the other, with all their children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(videos: Path, work: Path, is_reversed: bool) -> dict[str, float]:
    """Frames per CPU second of each way, once; `work` is an empty folder beside a store with the scraped videos."""
    whole, part, paths = work / "whole", work / "part", sorted(videos.glob("*.mp4"))
    for store in (whole, part):
        shutil.copytree(work.parent / "scraped", store)
    cpu_seconds([segment_command(part, videos)])  # so that no turn depends on another's order; also warms the disk
    turns = {
        PIPE: lambda: cpu_seconds([pipe(path) for path in paths]),
        SEGMENT: lambda: cpu_seconds([segment_command(whole, videos)]),
        EXACT: lambda: cpu_seconds([exact_clips(path, EXACT_S, work) for path in paths]),
        BOTH: lambda: cpu_seconds([cut_command(part, 1.0)]),
        SHARE: lambda: cpu_seconds([cut_command(part, CLEAN_SHARE)]),
    }
    spent = {way: turns[way]() for way in (reversed(turns) if is_reversed else turns)}
    spent[BOTH], spent[SHARE] = spent[BOTH] + spent[SEGMENT], spent[SHARE] + spent[SEGMENT]
    total, of_exact = sum(map(frames, paths)), sum(frames(path, EXACT_S) for path in paths)
    return {way: (of_exact if way == EXACT else total) / seconds for way, seconds in spent.items()}


def cut_command(store: Path, share: float) -> list[str]:
    return [sys.executable, "-m", "infra.bench_intake", "--cut", str(store), "--share", str(share)]


def frames(path: Path, seconds: float = float("inf")) -> int:
    """Frames of a video, or of its first seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return min(stream.frames, round(min(seconds, 1e6) * (stream.average_rate or 0)))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--videos", type=Path, default=SAMPLE, help="a folder of mp4 files")
    parser.add_argument("--minutes", type=float, default=10, help="length to which each is repeated; 0: only as it is")
    parser.add_argument("--cut", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--share", type=float, default=1.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cut:
        cut_store(options.cut, options.share)
        return 0
    with tempfile.TemporaryDirectory(prefix="smelter-bench-") as folder:
        exact = exactness(Path(folder) / "exactness")
        for minutes in (options.minutes, 0) if options.minutes else (0,):
            work = Path(folder) / f"{minutes:g}-minutes"
            videos = repeated(options.videos, minutes, work)
            print(f"\n{options.videos}, {f'each repeated to {minutes:g} minutes' if minutes else 'as they are'}")
            print_table(rounds(videos, options.rounds, work), exact)
    return 0


def repeated(videos: Path, minutes: float, work: Path) -> Path:
    """A folder of the same videos, longer; the folder itself for 0 minutes."""
    work.mkdir()
    if not minutes:
        return videos
    longer = work / "videos"
    longer.mkdir()
    for path in videos.glob("*.mp4"):
        lengthened(path, minutes * 60, longer)
    return longer


def rounds(videos: Path, count: int, folder: Path) -> list[dict[str, float]]:
    """Frames per CPU second of each way, round by round; each goes to standard error as it ends."""
    scraped(videos, folder / "scraped")
    found = []
    for number in range(count):
        work = folder / str(number)
        work.mkdir()
        found.append(measure(videos, work, is_reversed=number % 2 == 1))
        shutil.rmtree(work)
        print({way: round(rate) for way, rate in found[-1].items()}, file=sys.stderr, flush=True)
    return found


def print_table(found: list[dict[str, float]], exact: dict[str, list[str]]) -> None:
    print(f"{len(found)} rounds; {ffmpeg_version()}; PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}")
    print(f"{'way':<22}{'frames/CPU-s':>20}{'against its peer':>24}{'right: constant rate':>23}{'variable':>12}")
    for way, peer in PEERS.items():
        rate = spread([turn[way] for turn in found], 0)
        ratio = spread([turn[way] / turn[peer] for turn in found], 2) if peer else ""
        right = exact.get(way, exact[BOTH])
        print(f"{way:<22}{rate:>20}{ratio:>24}{right[0]:>23}{right[1]:>12}")


def spread(values: list[float], digits: int) -> str:
    """Median (least to largest)."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    raise SystemExit(main())
