"""Find videos that show the same play: re-uploads in another encoding, size or frame rate, trimmed, cropped, mirrored.

In: 2_segments/<video>/.../samples.parquet. Out: `signature.parquet` beside it, one hash per sample, and one table of
matches over all videos that have a signature, which the pointer `duplicates` names (infra/decisions/0005).
Files that are equal byte for byte never come this far: a video's id is its content (`stages/scrape.py`).

Nothing is dropped here. `cut` leaves out what a better video shows (reason `duplicate` in the funnel), and `shard`
writes the performance that videos share beside their rows, so that training and testing do not share one.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stages import paths
from stages.cli import main
from stages.distinct import POINTER, Match, matches_to_parquet
from stages.errors import ConfigError
from stages.matching import MatchRule, Overlap, find_overlaps
from stages.records import Record, digest
from stages.segment import NOT_KEYED
from stages.signature import SIGNATURE_VERSION, from_parquet, signature_of, to_parquet
from stages.stage import Context, Resources, Result, Stage, Unit

MATCHING_VERSION = 1
"""Raised by hand when the same signatures give other matches."""


@dataclass(frozen=True, kw_only=True)
class DuplicatesConfig:
    """When two stretches of video are the same play. A signature depends on none of these."""

    max_bits: int = field(default=MatchRule.max_bits, metadata=NOT_KEYED)
    """Most bits, of 64, in which the hashes of one picture may differ; different play differs in 29 on average."""
    min_evidence: int = field(default=MatchRule.min_evidence, metadata=NOT_KEYED)
    """Fewest matching samples that differ from each other: about 15 seconds of play. Different play reached 3."""
    min_share: float = field(default=MatchRule.min_share, metadata=NOT_KEYED)
    """Smallest share, 0 to 1, of the samples of an overlap that match."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_bits < 32:
            raise ConfigError(f"duplicates.max_bits: expected 0 to 31 (32 is chance), got {self.max_bits}")
        if self.min_evidence < 1:
            raise ConfigError(f"duplicates.min_evidence: expected at least 1, got {self.min_evidence}")
        if not 0 <= self.min_share <= 1:
            raise ConfigError(f"duplicates.min_share: expected 0 to 1, got {self.min_share}")

    def rule(self) -> MatchRule:
        return MatchRule(**asdict(self))


class Duplicates(Stage[DuplicatesConfig]):
    """One unit is one video's signature; the matches among all of them are made at the end of a run."""

    name = "duplicates"
    version = SIGNATURE_VERSION
    Config = DuplicatesConfig
    resources = Resources(cpus=1, units_per_call=4)

    def units(self, ctx: Context) -> Iterator[Unit]:
        for record in ctx.committed("segment"):
            samples, info = record.output("samples.parquet"), record.info
            about = {"video_id": info["video_id"], "pixels": info["width"] * info["height"], "steps": info["steps"]}
            inputs = {**about, "samples": samples.key, "samples_sha256": samples.sha256}
            yield Unit(info["video_id"], self.work_key(samples.sha256, about), inputs)

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        with ctx.workspace() as folder:
            samples = Path(folder) / "samples.parquet"
            ctx.store.get_file(unit.inputs["samples"], samples)
            steps, hashes = signature_of(samples)
        output = ctx.put(paths.segment(unit.id, unit.key, "signature.parquet"), to_parquet(steps, hashes))
        about = {name: unit.inputs[name] for name in ("video_id", "pixels", "steps")}
        return Result((output,), {**about, "samples": len(hashes), "still": int((hashes == 0).sum())})

    def finish(self, ctx: Context, counts: dict[str, int]) -> dict[str, Any]:
        """Publish the matches among all signatures, unless this set of signatures was matched before."""
        records = sorted(self.committed(ctx), key=_rank)
        pointer = ctx.ledger.pointer(POINTER)
        signatures = [(record.info, record.output("signature.parquet").sha256) for record in records]
        known = digest(MATCHING_VERSION, asdict(self.config), signatures)
        if (pointer is None and records) or (pointer is not None and pointer.info["of"] != known):
            matches = find_matches(ctx, records, self.config.rule())
            data = matches_to_parquet(matches)
            target = digest(data.hex())
            info: dict[str, Any] = {
                "of": known,
                "key": paths.matches(target),
                "videos": len(records),
                "matches": len(matches),
            }
            ctx.store.put_if_absent(info["key"], data)
            changed = pointer is None or pointer.target != target
            pointer = ctx.ledger.advance(POINTER, target, pointer, {**info, "copies": len({m.copy for m in matches})})
            return {"changed": changed, **_figures(pointer.info)}
        return {"changed": False, **(_figures(pointer.info) if pointer else {})}


def find_matches(ctx: Context, records: list[Record], rule: MatchRule) -> list[Match]:
    """Every match among these signatures, the better video of two first in `records`."""
    data = ctx.store.get_many([record.output("signature.parquet").key for record in records])
    tables = [from_parquet(part) for part in data]
    videos, steps = [record.info["video_id"] for record in records], [table[0] for table in tables]
    ends = [np.append(step, record.info["steps"]) for step, record in zip(steps, records, strict=True)]
    overlaps = find_overlaps([table[1] for table in tables], rule)
    return [_match(overlap, videos, ends) for overlap in overlaps]


def _match(found: Overlap, videos: list[str], steps: list[np.ndarray]) -> Match:
    """An overlap in samples as a match in steps; `steps` has one entry more per video, its end."""
    original, copy = steps[found.a], steps[found.b]
    original_start, copy_start = int(original[max(0, found.a_start)]), int(copy[found.b_start])
    length = int(copy[found.b_start + found.length]) - copy_start
    places = (copy_start, original_start, length)
    return Match(videos[found.b], videos[found.a], *places, found.is_mirrored, found.evidence, found.share)


def _rank(record: Record) -> tuple[int, int, str]:
    """Best first (`stages/distinct.py` says why this order)."""
    return -record.info["pixels"], -record.info["steps"], record.info["video_id"]


def _figures(info: dict[str, Any]) -> dict[str, int]:
    return {name: info[name] for name in ("videos", "matches", "copies")}


STAGE = Duplicates

if __name__ == "__main__":
    raise SystemExit(main("duplicates"))
