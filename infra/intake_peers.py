"""What intake is measured against: ffmpeg alone, and ffmpeg as video2dataset's exact mode calls it."""

import subprocess
from math import ceil
from pathlib import Path

import imageio_ffmpeg

CLIP_S = 5
"""Length of video2dataset's clips in this benchmark, and of ours."""


def ffmpeg() -> str:
    """Path of the static ffmpeg that comes with imageio-ffmpeg."""
    return imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg_version() -> str:
    """First line of `ffmpeg -version`, without the copyright."""
    line = subprocess.run([ffmpeg(), "-version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    return line.split(" Copyright")[0]


def pipe(video: Path, out: str = "-") -> list[str]:
    """Decode a video and write 3 frames a second, short side 256, as RGB: the decoding and scaling of `segment`."""
    scale = "scale='if(gt(iw,ih),-1,256)':'if(gt(iw,ih),256,-1)'"
    return [*_start(video), "-an", "-vf", f"fps=3:round=up,{scale}", "-pix_fmt", "rgb24", "-f", "rawvideo", out]


def exact_clips(video: Path, seconds: float, folder: Path) -> list[str]:
    """Cut the first seconds in clips as video2dataset 1.3's `precision: exact` does: all encoded at source size."""
    times = ",".join(str(t) for t in range(CLIP_S, ceil(seconds), CLIP_S))
    segments = ["-f", "segment", "-segment_times", times, "-force_key_frames", times, "-reset_timestamps", "1"]
    return [*_start(video, seconds), "-map", "0", *segments, "-threads", "1", str(folder / "clip_%05d.mp4")]


def lengthened(video: Path, seconds: float, folder: Path) -> Path:
    """A video repeated, by copying its packets, until it lasts `seconds`, so that start-up weighs little."""
    out = folder / video.name
    copy = ["-an", "-c", "copy", "-t", str(seconds), str(out)]
    subprocess.run([ffmpeg(), "-v", "error", "-nostdin", "-stream_loop", "-1", "-i", str(video), *copy], check=True)
    return out


def _start(video: Path, seconds: float = 1e6) -> list[str]:
    return [ffmpeg(), "-v", "error", "-nostdin", "-y", "-threads", "1", "-t", str(seconds), "-i", str(video)]
