"""What follows from two videos that show the same play: which spans are still worth labelling, which videos belong
together. Everything here is computed from the table of matches that `stages/duplicates.py` publishes.

Of two videos that match, the better one is the original: more pixels, then longer, then the smaller id. That order
depends on the videos alone, so it does not matter which came first, and a set of videos has one answer. A copy's clean
span is dropped where the original's clean spans show it already. Where the original is not clean (a face camera, say)
the copy stays: each performance is labelled once, from its best clean showing.
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from stages.media import STEPS_PER_S, Span
from stages.records import Record

if TYPE_CHECKING:
    from stages.stage import Context

POINTER = "duplicates"
"""The pointer that names the table of matches which counts."""
MIN_REST_S = 5.0
"""What is left of a span is kept from this length on: the paper's shortest clean run."""
MIN_REST_SHARE = 0.2
"""A video of whose clean time less than this share is left goes whole."""


@dataclass(frozen=True, order=True)
class Match:
    """`length` steps of `copy` from `copy_start` on show what `original` shows from `original_start` on (20 Hz)."""

    copy: str
    """Video id."""
    original: str
    """Video id."""
    copy_start: int
    original_start: int
    length: int
    is_mirrored: bool
    evidence: int
    """Matching samples that differ from each other; different play reaches 3 (docs/log.md)."""
    share: float
    """Share of the samples that match, 0 to 1."""


def matches_to_parquet(matches: Iterable[Match]) -> bytes:
    """The table of matches as bytes, which depend on the matches alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"is_mirrored": pa.bool_(), "share": pa.float64(), "copy": pa.string(), "original": pa.string()}
    schema = pa.schema([pa.field(f.name, types.get(f.name, pa.int32()), nullable=False) for f in fields(Match)])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([asdict(match) for match in sorted(matches)], schema), buffer)
    return buffer.getvalue()


def read_matches(ctx: "Context") -> list[Match]:
    """Every match known now; none where `duplicates` has not run."""
    pointer = ctx.ledger.pointer(POINTER)
    if pointer is None:
        return []
    import pyarrow.parquet as pq

    return [Match(**row) for row in pq.read_table(io.BytesIO(ctx.store.get(pointer.info["key"]))).to_pylist()]


def distinct_spans(verdicts: Iterable[Record], matches: Iterable[Match]) -> dict[str, list[Span]]:
    """Clean spans by video id, without those that a better video shows too.

    Args:
        verdicts: the filter's records; `info["spans"]` are the clean spans of a video.
    """
    clean = {r.info["video_id"]: [Span(s["start"], s["end"]) for s in r.info["spans"]] for r in verdicts}
    shown: defaultdict[str, list[Span]] = defaultdict(list)
    for match in matches:
        if match.copy in clean:
            shown[match.copy] += _shown_by(match, clean.get(match.original, []))
    return {video: _rest(spans, shown[video]) if video in shown else spans for video, spans in clean.items()}


def _shown_by(match: Match, clean: Sequence[Span]) -> list[Span]:
    """The original's clean spans within a match, on the copy's clock."""
    end, shift = match.original_start + match.length, match.copy_start - match.original_start
    inside = [(max(span.start, match.original_start), min(span.end, end)) for span in clean]
    return [Span(a + shift, b + shift) for a, b in inside if a < b]


def _rest(spans: list[Span], shown: list[Span]) -> list[Span]:
    """What is left of `spans`: whole ones as they were, pieces if long enough, nothing if too little is left."""
    rest = [piece for span in spans for piece in _subtract(span, shown)]
    kept = [piece for piece in rest if piece in spans or piece.end - piece.start >= MIN_REST_S * STEPS_PER_S]
    return kept if total(kept) >= MIN_REST_SHARE * total(spans) else []


def _subtract(span: Span, shown: Iterable[Span]) -> list[Span]:
    pieces = [span]
    for start, end in shown:
        cut = [(Span(p.start, min(p.end, start)), Span(max(p.start, end), p.end)) for p in pieces]
        pieces = [piece for pair in cut for piece in pair if piece.start < piece.end]
    return pieces


def total(spans: Iterable[Span]) -> int:
    """Steps in all."""
    return sum(span.end - span.start for span in spans)


def performances(matches: Iterable[Match]) -> Mapping[str, str]:
    """Video id to performance: the smallest id of the videos that matches join. Videos that match none are left out."""
    parent: dict[str, str] = {}

    def root(video: str) -> str:
        parent.setdefault(video, video)
        while parent[video] != video:
            parent[video] = parent[parent[video]]
            video = parent[video]
        return video

    for match in matches:
        first, second = sorted((root(match.original), root(match.copy)))
        parent[second] = first
    return {video: root(video) for video in sorted(parent)}


def copies_of(video_id: str, matches: Iterable[Match]) -> list[str]:
    """Other videos of the same performance."""
    groups = performances(matches)
    return [video for video, group in groups.items() if group == groups.get(video_id) and video != video_id]
