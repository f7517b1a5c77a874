"""Labelled frames from videos with known truth and from contractor recordings, to train the shipped filter on.

    python -m stages.frames_from_truth --videos DIR --recordings DIR --out DIR [--every S] [--recordings-every S]

In: NAME.mp4 with NAME.truth.json (`models/truth.py`), and recordings, which are clean from end to end. Out:
DIR/frames/<video>_<seconds>.jpg and DIR/labels.csv with video, time, label, as `train_filter` reads them. Frames within
`MARGIN_S` of a boundary are left out: which side they show is a matter of rounding.
"""

import argparse
import csv
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from models.sampling import JPEG_QUALITY, SAMPLE_SIDE, frames_at, video_duration
from models.truth import find_pairs, read_intervals
from stages.labelled_frames import CLASSES

MARGIN_S = 0.2


def labelled_times(truth: Path, every_s: float) -> Iterator[tuple[float, str]]:
    """(seconds, label) every `every_s` inside the intervals of a truth file.

    Raises:
        ValueError: not a truth file, or a label that is none of the classes.
    """
    for entry in read_intervals(truth):
        if entry["label"] not in CLASSES:
            raise ValueError(f"{truth}: expected a label of {', '.join(CLASSES)}, got {entry['label']!r}")
        for index in itertools.count():
            time_s = round(entry["start"] + MARGIN_S + index * every_s, 2)
            if time_s > entry["end"] - MARGIN_S:
                break
            yield time_s, entry["label"]


def write_frames(video: Path, rows: Sequence[tuple[float, str]], out: Path) -> list[tuple[str, str, str]]:
    """Write the frames of one video; returns rows of labels.csv."""
    done = []
    images = frames_at(video, [time_s for time_s, _ in rows], SAMPLE_SIDE)
    for image, (time_s, label) in zip(images, rows, strict=False):
        name = f"{video.stem}_{time_s:.2f}.jpg"
        cv2.imwrite(str(out / "frames" / name), image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        done.append((video.stem, f"{time_s:.2f}", label))
    return done


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 on success, 1 for the user's mistakes."""
    args = _parser().parse_args(argv)
    (args.out / "frames").mkdir(parents=True, exist_ok=True)
    rows = []
    try:
        for video, truth in find_pairs(args.videos, args.videos):
            rows += write_frames(video, list(labelled_times(truth, args.every)), args.out)
        for number, video in enumerate(sorted(args.recordings.glob("*.mp4")) if args.recordings else []):
            first = number % max(1, int(args.recordings_every))  # not the same second of every recording
            count = int((video_duration(video) - first) // args.recordings_every)
            times = [(first + index * args.recordings_every, "clean") for index in range(count)]
            rows += write_frames(video, times, args.out)
    except ValueError as error:
        print(f"frames_from_truth: {error}", file=sys.stderr)
        return 1
    with open(args.out / "labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("video", "time", "label"), *rows])
    print(json.dumps({"labels": str(args.out / "labels.csv"), "frames": len(rows)}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stages.frames_from_truth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--videos", type=Path, required=True, help="folder of NAME.mp4 + NAME.truth.json")
    parser.add_argument("--recordings", type=Path, help="folder of contractor recordings, NAME.mp4")
    parser.add_argument("--out", type=Path, required=True, help="folder for frames/ and labels.csv")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between frames of a video (default: 2)")
    parser.add_argument("--recordings-every", type=float, default=8.0, help="the same of a recording (default: 8)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
