"""How many pictures are the right ones, by each way of intake, on videos that carry their frame's number.

The right picture for a time is the last one whose time stamp is not later: a player shows it then.
"""

import itertools
import random
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from infra.intake_peers import CLIP_S, exact_clips, pipe
from infra.numbered_video import constant_rate, read_number, write_video
from stages.media import STEPS_PER_S, ClipOptions, cut_clips, decode_clip, pieces, scan

SECONDS = 20
SAMPLE = 256, 455, 3
"""Shape of ffmpeg's sample of a 640x360 video."""


def exactness(folder: Path) -> dict[str, list[str]]:
    """Right pictures of all pictures, by the name of the way: at a constant rate, at a variable one."""
    ways: dict[str, Callable[[Path, list[Fraction]], list[bool]]] = {
        "ffmpeg pipe": of_pipe,
        "segment": of_samples,
        "video2dataset exact": of_exact_clips,
        "segment + cut": of_cut,
    }
    videos = {path: stored_times(path) for path in numbered_videos(folder)}
    found = {name: [way(*item) for item in videos.items()] for name, way in ways.items()}
    return {name: [f"{sum(rights)}/{len(rights)}" for rights in each] for name, each in found.items()}


def numbered_videos(folder: Path) -> list[Path]:
    """29.97 frames a second, and a rate that varies, both with long groups and B-frames."""
    chance, pts = random.Random(0), [0]
    while pts[-1] < SECONDS * 90_000:
        pts.append(pts[-1] + chance.choice([1500, 3000, 9000]))
    size, fps = (640, 360), Fraction(30_000, 1001)
    return [
        constant_rate(folder / "constant.mp4", fps, SECONDS, size=size, gop=250, b_frames=3),
        write_video(folder / "variable.mp4", pts, size=size, gop=250, b_frames=3),
    ]


def stored_times(path: Path) -> list[Fraction]:
    """Seconds from the first frame, by the packets' time stamps, in presentation order."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stamps = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
        return [(stamp - stamps[0]) * Fraction(stream.time_base or 1) for stamp in stamps]


def _shown(times: list[Fraction], at: Fraction) -> int:
    return max(index for index, time in enumerate(times) if time <= at)


def of_pipe(path: Path, times: list[Fraction]) -> list[bool]:
    """Sample j of the pipe stands for j/3 s."""
    data = subprocess.run(pipe(path), check=True, capture_output=True).stdout
    pictures = np.frombuffer(data, np.uint8).reshape(-1, *SAMPLE)
    return [read_number(picture) == _shown(times, Fraction(j, 3)) for j, picture in enumerate(pictures)]


def of_samples(path: Path, times: list[Fraction]) -> list[bool]:
    """A sample of `segment` stands for its step."""
    spool = path.with_suffix(".spool")
    found = scan(path, spool)
    data, edges = spool.read_bytes(), itertools.pairwise([0, *found.sample_ends.tolist()])
    jpegs: list[Any] = [cv2.imdecode(np.frombuffer(data[a:b], np.uint8), cv2.IMREAD_COLOR) for a, b in edges]
    steps = [Fraction(step, STEPS_PER_S) for step in found.sample_steps.tolist()]
    return [read_number(jpeg) == _shown(times, at) for jpeg, at in zip(jpegs, steps, strict=True)]


def of_cut(path: Path, times: list[Fraction]) -> list[bool]:
    """Picture k of a clip stands for its span's k-th step; one per step."""
    found = scan(path, path.with_suffix(".spool"))
    spans = list(pieces(found.candidates, CLIP_S, 0))
    clips = [path.with_name(f"{path.stem}{span.start}.mp4") for span in spans]
    cut_clips(path, found.grid, spans, clips, ClipOptions())
    numbers = [read_number(picture) for clip in clips for picture in decode_clip(clip)]
    steps = [step for span in spans for step in range(*span)]
    return [n == _shown(times, Fraction(k, STEPS_PER_S)) for n, k in zip(numbers, steps, strict=True)]


def of_exact_clips(path: Path, times: list[Fraction]) -> list[bool]:
    """Picture k of a clip should be the k-th source frame of its five seconds: then row k of its labels is right."""
    folder = path.with_suffix("")
    folder.mkdir()
    subprocess.run(exact_clips(path, float(times[-1]) + 1, folder), check=True, capture_output=True)
    rights = []
    for index, clip in enumerate(sorted(folder.glob("clip_*.mp4"))):
        with av.open(str(clip)) as container:
            numbers = [read_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
        due = [n for n, time in enumerate(times) if index * CLIP_S <= time < (index + 1) * CLIP_S]
        rights += [a == b for a, b in itertools.zip_longest(numbers, due)]
    return rights
