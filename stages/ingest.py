"""Contractor recordings to working clips and ground-truth labels.

In: folders of mp4 + jsonl pairs in OpenAI's contractor format, or OpenAI's index files of such pairs
(`stages/recording_index.py`). Out: the untouched files in 1_videos/, a working clip in 4_clips/ and its rows in
5_labels/idm=truth/. Line i of the jsonl goes with frame i (vpt.md, section 3), so no grid is made; the recorder's
quirks are handled in `models/contractor.py`. Recordings that cannot be aligned are quarantined.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.action_schema import DEFAULT, ActionSchema, load_schema, schema_content, schema_of
from stages import paths
from stages.doors import OpenDoors
from stages.errors import BadInput, ConfigError
from stages.records import digest
from stages.rules import Facts, Rules
from stages.sources import read_index_at
from stages.stage import Context, Result, Stage, Unit
from stages.web_options import FetchOptions


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """Which recordings are taken in."""

    recordings: tuple[str, ...] = field(default=(), metadata={"key": False})
    """Folders that hold NAME.mp4 and NAME.jsonl pairs, and indexes of pairs: a .json file, its URL or s3:// address."""
    licence: str = field(default="", metadata={"key": False})
    """Licence of these recordings; it travels with every row."""
    consent: str = field(default="", metadata={"key": False})
    """On what basis they are used, such as a contract; it travels with every row too."""
    schema: str = field(default=DEFAULT, metadata={"key": False})
    """The game's buttons, keys and camera: a name in models/schemas/ or a .json file. Its content enters the work key;
    rows, IDMs and policies carry it on, so a store holds one game."""
    allow_private_hosts: bool = field(default=False, metadata={"key": False})
    """Fetch indexes and recordings from private and loopback addresses too."""


class Ingest(Stage[IngestConfig]):
    """One unit is one recording."""

    name = "ingest"
    version = 4
    Config = IngestConfig

    def units(self, ctx: Context) -> Iterator[Unit]:
        schema = self._schema()
        for source in self.config.recordings:
            if source.lower().endswith(".json"):
                yield from (self._remote_unit(url, schema) for url in _index(source, self._doors(ctx)))
                continue
            folder = Path(source)
            if not folder.is_dir():
                raise ConfigError(f"ingest.recordings: expected a folder of NAME.mp4 + NAME.jsonl, got {str(folder)!r}")
            yield from (self._unit(video, schema) for video in sorted(folder.glob("*.mp4")))

    def _schema(self) -> dict[str, Any]:
        """The schema as an input of each unit; the default one goes unsaid."""
        try:
            content = schema_content(load_schema(self.config.schema))
        except ValueError as error:
            raise ConfigError(f"ingest.schema: {error}") from None
        return {"schema": content} if content else {}

    def _unit(self, video: Path, schema: dict[str, Any]) -> Unit:
        """Keyed by name, size and time of change, so that planning reads no recording."""
        files = [video, video.with_suffix(".jsonl")]
        stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) if f.exists() else (f.name,) for f in files]
        inputs = {"video": str(video), "name": video.stem, "licence": self.config.licence, **schema}
        return Unit(digest("recording", video.stem)[:20], self.work_key(stats, *schema.values()), inputs)

    def _remote_unit(self, url: str, schema: dict[str, Any]) -> Unit:
        """Keyed by address: what an index names does not change."""
        inputs = {"uri": url, "name": Path(url).stem, "licence": self.config.licence, **schema}
        return Unit(digest("recording", url)[:20], self.work_key(url, *schema.values()), inputs)

    def committed(self, ctx: Context) -> list[Any]:
        """Every recording ever taken in, whatever folder this run was given; the newest version of each video once."""
        return list({record.info["video_id"]: record for record in ctx.ledger.records(self.name).values()}.values())

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        with ctx.workspace() as folder:
            return self._take_in(unit, *self._files(unit, Path(folder), ctx), ctx)

    def _files(self, unit: Unit, folder: Path, ctx: Context) -> tuple[Path, str | None]:
        """The video, its actions beside it, and the recorder version that its address tells."""
        if "video" in unit.inputs:
            video = Path(unit.inputs["video"])
            if not video.with_suffix(".jsonl").exists():
                raise BadInput(
                    "no_actions", f"expected {video.stem}.jsonl beside {video.name}, got none; bring the pair"
                )
            return video, None
        return _fetch_pair(unit.inputs["uri"], folder, self._doors(ctx))

    def _take_in(self, unit: Unit, video: Path, version: str | None, ctx: Context) -> Result:
        from models.contractor import player_of, read_recording
        from models.errors import BadRecording
        from stages.media import encode_clip

        schema = schema_of(unit.inputs.get("schema"), "ingest.schema")
        try:
            frames, recording = read_recording(video, video.with_suffix(".jsonl"), version, schema)
        except BadRecording as error:
            raise BadInput(error.reason, error.message) from None
        name = unit.inputs["name"]
        sources, video_id = _keep_sources(ctx, video)
        clip_id = f"{video_id}-{0:06d}-{len(frames):06d}"
        clip = ctx.put(paths.clip(clip_id, unit.key), encode_clip(frames))
        rows, info = _truth_rows(clip_id, recording, schema)
        labels = ctx.put(paths.labels(paths.TRUTH, clip_id, unit.key), rows)
        url = unit.inputs.get("uri") or f"recording:{name}"
        origin = {"url": url, "licence": unit.inputs["licence"], "world": player_of(name)}
        origin |= {"consent": self.config.consent} if self.config.consent else {}
        clip_info = {"clip_id": clip_id, "clip_key": clip.key, "clip_sha256": clip.sha256, "idm": paths.TRUTH}
        return Result((*sources, clip, labels), {"video_id": video_id, **clip_info, **origin, **info})

    def _doors(self, ctx: Context) -> OpenDoors:
        return OpenDoors(ctx.settings, FetchOptions(allow_private_hosts=self.config.allow_private_hosts))


def _index(source: str, doors: OpenDoors) -> list[str]:
    """What an index names. One that cannot be read is a wrong configuration, as a missing folder is."""
    try:
        return read_index_at(source, doors)
    except BadInput as error:
        raise ConfigError(f"ingest.recordings: {error}") from None


def _fetch_pair(uri: str, folder: Path, doors: OpenDoors) -> tuple[Path, str | None]:
    """NAME.mp4 and NAME.jsonl of an address, under names of our own."""
    from models.contractor import recorder_version

    if uri.startswith("s3://"):
        doors.fetch_object(uri, folder / "source.mp4")
    else:
        video, _ = doors.fetch(uri, 0, folder, Facts(), Rules(blacklist=()))
        video.rename(folder / "source.mp4")
    actions = doors.read(f"{uri.removesuffix('.mp4')}.jsonl")
    (folder / "source.jsonl").write_bytes(actions)
    return folder / "source.mp4", recorder_version(Path(uri))


def _keep_sources(ctx: Context, video: Path) -> tuple[list[Any], str]:
    import hashlib

    with open(video, "rb") as file:
        video_id = hashlib.file_digest(file, "sha256").hexdigest()[:20]
    files = [(video, "source.mp4"), (video.with_suffix(".jsonl"), "source.jsonl")]
    return [ctx.put_file(paths.source(video_id, name), path) for path, name in files], video_id


def _truth_rows(clip_id: str, recording: Any, schema: ActionSchema) -> tuple[bytes, dict[str, Any]]:
    from stages.records import FLAG_NULL, FLAG_UNKNOWN
    from stages.rows import parquet_bytes, recorded, to_table

    actions = recorded(recording.buttons, recording.camera_deg, recording.known, recording.gui_open, schema)
    counts = {"rows": len(actions), "null_rows": int((actions.flags & FLAG_NULL > 0).sum())}
    unknown = int((actions.flags & FLAG_UNKNOWN > 0).sum())
    return parquet_bytes([to_table(clip_id, actions)]), {**counts, "unknown_rows": unknown}


STAGE = Ingest

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("ingest"))
