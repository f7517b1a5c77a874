"""Intake against its peers: `python -m infra.bench_intake [--repeats N] [--videos DIR]` (`make bench-intake`).

Side by side, on the same videos: the whole of `python -m stages.segment` against a bare ffmpeg pipe that decodes and
scales the same, and `segment` plus `cut` against video2dataset's exact mode, which encodes every clip at source size.
CPU seconds of all processes, median of the repeats; ratios depend little on the machine. The column `exact` says how
many pictures were the right ones, on videos that carry their frame's number. No figure is asserted anywhere.
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

import av

from infra.intake_exactness import exactness
from infra.intake_peers import CLIP_S, exact_clips, ffmpeg_version, pipe
from stages.cut import Cut, CutConfig
from stages.records import Record
from stages.runner import run_stage
from stages.scrape import Scrape, ScrapeConfig
from stages.settings import load_settings
from stages.stage import Context, Recipe

SAMPLE = Path("data/sample/web")
PIPE, SEGMENT, EXACT, BOTH = "ffmpeg pipe", "segment", "video2dataset exact", "segment + cut"
EXACT_S = 20
"""Seconds of each video that video2dataset's way is given: at its rate, all of them would take too long."""
CUT = CutConfig(max_clip_s=CLIP_S, min_tail_s=0)


class AllClean(Context):
    """A context whose filter calls every candidate clip clean, so that no model is needed."""

    def committed(self, name: str) -> list[Record]:
        if name != "filter":
            return super().committed(name)
        infos = [record.info for record in super().committed("segment")]
        spans = [{"video_id": info["video_id"], "spans": info["candidates"]} for info in infos]
        return [Record("filter", info["video_id"], "bench", {}, (), info) for info in spans]


def cut_store(store: Path) -> Context:
    """Run `cut` over all that is segmented in a store."""
    ctx = AllClean(load_settings(store=f"file://{store}"), Recipe({}))
    run_stage(Cut(CUT), ctx, ray="off")
    return ctx


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


def measure(videos: Path, work: Path) -> dict[str, float]:
    """Frames per CPU second of each way, once; `work` is an empty folder beside a store with the scraped videos."""
    store = work / "store"
    shutil.copytree(work.parent / "scraped", store)
    paths = sorted(videos.glob("*.mp4"))
    total, of_exact = sum(map(frames, paths)), sum(frames(path, EXACT_S) for path in paths)
    segment = cpu_seconds([segment_command(store, videos)])
    cut = cpu_seconds([[sys.executable, "-m", "infra.bench_intake", "--cut", str(store)]])
    return {
        PIPE: total / cpu_seconds([pipe(path) for path in paths]),
        SEGMENT: total / segment,
        EXACT: of_exact / cpu_seconds([exact_clips(path, EXACT_S, work) for path in paths]),
        BOTH: total / (segment + cut),
    }


def frames(path: Path, seconds: float = float("inf")) -> int:
    """Frames of a video, or of its first seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return min(stream.frames, round(min(seconds, 1e6) * (stream.average_rate or 0)))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--videos", type=Path, default=SAMPLE, help="a folder of mp4 files")
    parser.add_argument("--cut", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cut:
        cut_store(options.cut)
        return 0
    print_table(options.videos, options.repeats)
    return 0


def print_table(videos: Path, repeats: int) -> None:
    """Measure and print; each repeat goes to standard error as it ends."""
    with tempfile.TemporaryDirectory(prefix="smelter-bench-") as folder:
        exact = exactness(Path(folder) / "exactness")
        scraped(videos, Path(folder) / "scraped")
        runs = []
        for repeat in range(repeats):
            work = Path(folder) / str(repeat)
            work.mkdir()
            runs.append(measure(videos, work))
            print({way: round(rate) for way, rate in runs[-1].items()}, file=sys.stderr, flush=True)
    print(f"median of {repeats}; {ffmpeg_version()}; PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}")
    print(f"{'way':<22}{'frames/CPU-s':>13}{'against its peer':>21}{'right: constant rate':>23}{'variable':>12}")
    for way, peer in ((PIPE, ""), (SEGMENT, PIPE), (EXACT, ""), (BOTH, EXACT)):
        rate = statistics.median(run[way] for run in runs)
        # Within a repeat the two shared what else the machine did.
        ratio = f"{statistics.median(run[way] / run[peer] for run in runs):.2f}" if peer else ""
        print(f"{way:<22}{rate:>13.0f}{ratio:>21}{exact[way][0]:>23}{exact[way][1]:>12}")


if __name__ == "__main__":
    raise SystemExit(main())
