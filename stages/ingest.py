"""Contractor recordings to working clips and ground-truth labels.

In: folders of mp4 + jsonl pairs in OpenAI's contractor format. Out: the untouched files in 1_videos/, a working clip in
4_clips/ and its rows in 5_labels/idm=truth/. Line i of the jsonl goes with frame i (vpt.md, section 3), so no grid is
made; the recorder's quirks are handled in `models/contractor.py`. Recordings that cannot be aligned are quarantined.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages import paths
from stages.errors import BadInput, ConfigError
from stages.records import digest
from stages.stage import Context, Result, Stage, Unit


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """Which recordings are taken in."""

    recordings: tuple[str, ...] = field(default=(), metadata={"key": False})
    """Folders that hold NAME.mp4 and NAME.jsonl pairs."""
    licence: str = field(default="", metadata={"key": False})
    """Licence of these recordings; it travels with every row."""


class Ingest(Stage[IngestConfig]):
    """One unit is one recording."""

    name = "ingest"
    version = 1
    Config = IngestConfig

    def units(self, ctx: Context) -> Iterator[Unit]:
        for folder in map(Path, self.config.recordings):
            if not folder.is_dir():
                raise ConfigError(f"ingest.recordings: expected a folder of NAME.mp4 + NAME.jsonl, got {str(folder)!r}")
            for video in sorted(folder.glob("*.mp4")):
                yield self._unit(video)

    def _unit(self, video: Path) -> Unit:
        """Keyed by name, size and time of change, so that planning reads no recording."""
        files = [video, video.with_suffix(".jsonl")]
        stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) if f.exists() else (f.name,) for f in files]
        inputs = {"video": str(video), "name": video.stem, "licence": self.config.licence}
        return Unit(digest("recording", video.stem)[:20], self.work_key(stats), inputs)

    def committed(self, ctx: Context) -> list[Any]:
        """Every recording ever taken in, whatever folder this run was given; the newest version of each video once."""
        return list({record.info["video_id"]: record for record in ctx.ledger.records(self.name).values()}.values())

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        from models.contractor import read_recording
        from models.errors import BadRecording
        from stages.media import encode_clip

        video = Path(unit.inputs["video"])
        if not video.with_suffix(".jsonl").exists():
            raise BadInput("no_actions", f"expected {video.stem}.jsonl beside {video.name}, got none; bring the pair")
        try:
            frames, recording = read_recording(video, video.with_suffix(".jsonl"))
        except BadRecording as error:
            raise BadInput(error.reason, error.message) from None
        sources, video_id = _keep_sources(ctx, video)
        clip_id = f"{video_id}-{0:06d}-{len(frames):06d}"
        clip = ctx.put(paths.clip(clip_id, unit.key), encode_clip(frames))
        rows, info = _truth_rows(clip_id, recording)
        labels = ctx.put(paths.labels(paths.TRUTH, clip_id, unit.key), rows)
        origin = {"url": f"recording:{recording.name}", "licence": unit.inputs["licence"], "world": recording.player}
        clip_info = {"clip_id": clip_id, "clip_key": clip.key, "clip_sha256": clip.sha256, "idm": paths.TRUTH}
        return Result((*sources, clip, labels), {"video_id": video_id, **clip_info, **origin, **info})


def _keep_sources(ctx: Context, video: Path) -> tuple[list[Any], str]:
    import hashlib

    with open(video, "rb") as file:
        video_id = hashlib.file_digest(file, "sha256").hexdigest()[:20]
    files = [(video, "source.mp4"), (video.with_suffix(".jsonl"), "source.jsonl")]
    return [ctx.put_file(paths.source(video_id, name), path) for path, name in files], video_id


def _truth_rows(clip_id: str, recording: Any) -> tuple[bytes, dict[str, Any]]:
    from stages.records import FLAG_NULL, FLAG_UNKNOWN
    from stages.rows import parquet_bytes, recorded, to_table

    actions = recorded(recording.buttons, recording.camera_deg, recording.known, recording.gui_open)
    counts = {"rows": len(actions), "null_rows": int((actions.flags & FLAG_NULL > 0).sum())}
    unknown = int((actions.flags & FLAG_UNKNOWN > 0).sum())
    return parquet_bytes([to_table(clip_id, actions)]), {**counts, "unknown_rows": unknown}


STAGE = Ingest

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("ingest"))
