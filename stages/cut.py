"""Cut: turn the clean spans of a video into working clips, 128x128 at 20 Hz, one frame per step of the grid.

In: `1_videos/<video_id>/source.*`, its grid, and the filter's spans. Out: `4_clips/<clip_id>/<key>.mp4`.
VPT's models saw 640x360 at 20 Hz squashed to 128x128 (paper, Appendix B and D; released code), so labelling and
training read these clips and never the source again. Sound is dropped: no model hears it.

Dropped: what a better video shows too (`stages/distinct.py`), once `duplicates` has found it.

A clip's key covers the source, its grid, the span and the encoder: never the filter's version. A new filter that
leaves a span as it was causes no new clip and no new label.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages import paths
from stages.cli import main
from stages.distinct import distinct_spans, read_matches
from stages.errors import ConfigError
from stages.media import ClipOptions, Span, cut_clips, pieces
from stages.media_tables import grid_from_parquet
from stages.records import Output, Record
from stages.sandbox import Limits, run_limited
from stages.segment import NOT_KEYED, fetch_source
from stages.stage import Context, Resources, Result, Stage, Unit


@dataclass(frozen=True, kw_only=True)
class CutConfig:
    """How working clips are encoded, and what a video may ask of a worker."""

    max_clip_s: float = 300.0
    """Longest clip, in seconds: the length of a contractor segment. Longer spans are cut in pieces."""
    min_tail_s: float = 5.0
    """A last piece shorter than this shares evenly with the piece before it: the paper's shortest clean run."""
    gop: int = 20
    """Frames from key frame to key frame. 20 is one second: a random window decodes at most 19 extra frames."""
    crf: int = 16
    """x264's constant rate factor, 0 (lossless) to 51."""
    preset: str = "ultrafast"
    """x264's effort, ultrafast to veryslow."""
    pixel_format: str = "yuv420p"
    """How colour is stored: yuv420p, or yuv444p (a quarter less error, same size, but browsers cannot play it)."""
    memory_mb: int = field(default=4096, metadata=NOT_KEYED)
    """Address space of the cutting process, in MiB; beyond it a video is quarantined as decode_memory."""
    max_wall_s: float = field(default=8 * 3600.0, metadata=NOT_KEYED)
    """Wall seconds for one video; beyond it the video is quarantined as decode_timeout."""
    max_stall_s: float = field(default=120.0, metadata=NOT_KEYED)
    """Wall seconds without a new frame; beyond it the video is quarantined as decode_stalled."""

    def __post_init__(self) -> None:
        presets = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
        if self.preset not in presets:
            raise ConfigError(f"cut: preset: expected one of {', '.join(presets)}, got {self.preset!r}")
        if self.pixel_format not in ("yuv420p", "yuv444p"):
            raise ConfigError(f"cut: pixel_format: expected yuv420p or yuv444p, got {self.pixel_format!r}")
        if not 0 <= self.crf <= 51:
            raise ConfigError(f"cut: crf: expected 0 to 51, got {self.crf}")
        if self.gop < 1:
            raise ConfigError(f"cut: gop: expected at least 1 frame, got {self.gop}")
        if not 0 <= self.min_tail_s <= self.max_clip_s or self.max_clip_s < 1:
            got = f"{self.max_clip_s} and {self.min_tail_s}"
            raise ConfigError(f"cut: expected max_clip_s >= 1 and min_tail_s from 0 to max_clip_s, got {got}")
        if self.memory_mb < 512:
            raise ConfigError(f"cut: memory_mb: expected at least 512 (libraries take 300), got {self.memory_mb}")
        for name in ("max_wall_s", "max_stall_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"cut: {name}: expected more than 0, got {getattr(self, name)}")


class Cut(Stage[CutConfig]):
    """One unit per video with at least one clean span."""

    name = "cut"
    version = 5
    Config = CutConfig
    resources = Resources(cpus=1)

    def units(self, ctx: Context) -> Iterator[Unit]:
        segments = {record.info["video_id"]: record for record in ctx.committed("segment")}
        for video_id, spans in distinct_spans(ctx.committed("filter"), read_matches(ctx)).items():
            if spans and video_id in segments:
                yield self._unit(segments[video_id], spans)

    def _unit(self, segment: Record, spans: list[Span]) -> Unit:
        config, grid = self.config, segment.output("grid.parquet")
        cut = [list(piece) for piece in pieces(spans, config.max_clip_s, config.min_tail_s)]
        inputs = {**segment.inputs, "grid": grid.key, "grid_sha256": grid.sha256, "pieces": cut}
        return Unit(segment.info["video_id"], self.work_key(inputs["sha256"], grid.sha256, cut), inputs)

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        config, inputs = self.config, unit.inputs
        grid = grid_from_parquet(ctx.store.get(inputs["grid"]))
        spans = [Span(*piece) for piece in inputs["pieces"]]
        with ctx.workspace() as folder:
            source, clips = Path(folder) / "source", [Path(folder) / f"{span.start}.mp4" for span in spans]
            fetch_source(ctx, inputs["key"], source)
            limits = Limits(config.memory_mb * 2**20, int(config.max_wall_s), config.max_wall_s, config.max_stall_s)
            options = ClipOptions(config.gop, config.crf, config.preset, config.pixel_format)
            frames = run_limited(cut_clips, source, grid, spans, clips, options, limits=limits)
            outputs = tuple(
                ctx.put_file(self._clip_key(inputs, span), clip) for span, clip in zip(spans, clips, strict=True)
            )
        infos = [_info(inputs["video_id"], *made) for made in zip(spans, frames, outputs, strict=True)]
        return Result(outputs, {"video_id": inputs["video_id"], "clips": infos})

    def _clip_key(self, inputs: dict[str, Any], span: Span) -> str:
        key = self.work_key(inputs["sha256"], inputs["grid_sha256"], list(span))
        return paths.clip(clip_id(inputs["video_id"], span), key)


def clip_id(video_id: str, span: Span) -> str:
    """`<video_id>-<first step>-<step after the last>`."""
    return f"{video_id}-{span.start:06d}-{span.end:06d}"


def _info(video_id: str, span: Span, frames: int, output: Output) -> dict[str, Any]:
    return {
        "clip_id": clip_id(video_id, span),
        **span._asdict(),
        "frames": frames,
        "key": output.key,
        "sha256": output.sha256,
    }


STAGE = Cut

if __name__ == "__main__":
    raise SystemExit(main("cut"))
