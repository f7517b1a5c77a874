"""Segment: give every video its 20 Hz grid, its candidate clips, and frames at 3 per second for the filter.

In: `1_videos/<video_id>/source.*`. Out: `2_segments/<video_id>/<key>/grid.parquet` and `samples.parquet`.
The paper resamples web video to the 20 Hz that its IDM saw (Appendix B) and shows the clean filter 3 frames a second
(Appendix A.2). The full-resolution source is decoded once here, and once more for its clean part by `cut`.

Dropped: what is no video, has no picture, is too long or too large, or lost more than a tenth of its duration.
Kept: damaged videos of which at least nine tenths decode.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages import paths
from stages.cli import main
from stages.errors import BadInput, ConfigError
from stages.media import MediaLimits, Scan, ScanOptions, scan
from stages.media_tables import grid_to_parquet, write_samples
from stages.sandbox import Limits, run_limited
from stages.stage import Context, Resources, Result, Stage, Unit

NOT_KEYED: dict[str, Any] = {"key": False}


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """What is sampled from a video, and what a video may ask of a worker."""

    sample_side: int = 256
    """Short side of a sampled frame, in pixels; smaller sources are not enlarged."""
    jpeg_quality: int = 90
    """JPEG quality of a sampled frame, 1 to 100."""
    max_clip_s: float = 300.0
    """Longest candidate clip, in seconds: the length of a contractor segment."""
    max_duration_s: float = field(default=12 * 3600.0, metadata=NOT_KEYED)
    """Longest video, in seconds; longer ones are quarantined as too_long."""
    max_side: int = field(default=8192, metadata=NOT_KEYED)
    """Longest side of a frame, in pixels; larger ones are quarantined as too_large_frame."""
    max_pixels: int = field(default=8192 * 4320, metadata=NOT_KEYED)
    """Most pixels in a frame; more are quarantined as too_large_frame."""
    memory_mb: int = field(default=4096, metadata=NOT_KEYED)
    """Address space of the decoding process, in MiB; beyond it a video is quarantined as decode_memory."""
    cpu_s_per_video_s: float = field(default=5.0, metadata=NOT_KEYED)
    """CPU seconds per second of video (and a minute on top); beyond it a video is quarantined as decode_timeout."""
    max_wall_s: float = field(default=8 * 3600.0, metadata=NOT_KEYED)
    """Wall seconds for one video; beyond it the video is quarantined as decode_timeout."""
    max_stall_s: float = field(default=120.0, metadata=NOT_KEYED)
    """Wall seconds without a new frame; beyond it the video is quarantined as decode_stalled."""

    def __post_init__(self) -> None:
        if not 16 <= self.sample_side <= 2160:
            raise ConfigError(f"segment: sample_side: expected 16 to 2160 pixels, got {self.sample_side}")
        if not 1 <= self.jpeg_quality <= 100:
            raise ConfigError(f"segment: jpeg_quality: expected 1 to 100, got {self.jpeg_quality}")
        if self.max_clip_s < 1:
            raise ConfigError(f"segment: max_clip_s: expected at least 1 second, got {self.max_clip_s}")
        if self.memory_mb < 512:
            raise ConfigError(f"segment: memory_mb: expected at least 512 (libraries take 300), got {self.memory_mb}")
        for name in ("max_duration_s", "max_side", "max_pixels", "cpu_s_per_video_s", "max_wall_s", "max_stall_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"segment: {name}: expected more than 0, got {getattr(self, name)}")


class Segment(Stage[SegmentConfig]):
    """One unit per scraped video."""

    name = "segment"
    version = 3
    Config = SegmentConfig
    resources = Resources(cpus=1)

    def units(self, ctx: Context) -> Iterator[Unit]:
        for record in ctx.committed("scrape"):
            inputs = {name: record.info[name] for name in ("video_id", "key", "sha256")}
            yield Unit(inputs["video_id"], self.work_key(inputs["sha256"]), inputs)

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        config, video_id = self.config, unit.inputs["video_id"]
        with ctx.workspace() as folder:
            source, spool, samples = (Path(folder) / name for name in ("source", "spool", "samples.parquet"))
            fetch_source(ctx, unit.inputs["key"], source)
            limits = Limits(config.memory_mb * 2**20, int(config.max_wall_s), config.max_wall_s, config.max_stall_s)
            found = run_limited(scan, source, spool, *_options(config), limits=limits)
            write_samples(found, spool, samples)
            outputs = (
                ctx.put(paths.segment(video_id, unit.key, "grid.parquet"), grid_to_parquet(found.grid)),
                ctx.put_file(paths.segment(video_id, unit.key, "samples.parquet"), samples),
            )
        return Result(outputs, _info(video_id, found))


def fetch_source(ctx: Context, key: str, path: Path) -> None:
    """Bring a source video to this worker.

    Raises:
        BadInput: `source_missing` when the object is gone.
    """
    try:
        ctx.store.get_file(key, path)
    except FileNotFoundError:
        raise BadInput("source_missing", f"expected the source at {key}, got nothing; scrape it again") from None


def _options(config: SegmentConfig) -> tuple[MediaLimits, ScanOptions]:
    return (
        MediaLimits(config.max_pixels, config.max_side, config.max_duration_s),
        ScanOptions(config.sample_side, config.jpeg_quality, config.max_clip_s, config.cpu_s_per_video_s),
    )


def _info(video_id: str, found: Scan) -> dict[str, Any]:
    figures = {name: getattr(found, name) for name in ("frames", "duration_s", "fps", "width", "height", "damage")}
    return {
        "video_id": video_id,
        **figures,
        "steps": len(found.grid),
        "samples": len(found.sample_steps),
        "candidates": [span._asdict() for span in found.candidates],
    }


STAGE = Segment

if __name__ == "__main__":
    raise SystemExit(main("segment"))
