"""Find where two videos show the same play, among many: an index proposes, an alignment decides. Numbers only.

In: signatures (`stages/signature.py`), arrays of one 64-bit hash per sample at 3 per second. Out: overlaps.

The index takes three words of 28 bits out of each hash and sorts them. Two samples that share a word, and most bits of
their hashes, vote for an offset in time between their videos; two votes for about one offset make a candidate. Words
that turn up too often are left out. The alignment then compares two videos hash by hash along that offset. It asks for
several matches that differ from each other: two players who look at one sky match for a while, but their pictures do
not go on changing in the same way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stages.signature import MIRROR, NOTHING, mirrored

_ROW, _COLUMN = np.divmod(np.arange(64, dtype=np.uint64), np.uint64(8))
_KEPT = ((_ROW < 4) & (_COLUMN < 7), (_ROW < 7) & (_COLUMN < 4), _ROW + _COLUMN < 7)
WORDS = tuple(int((np.uint64(1) << np.flatnonzero(kept).astype(np.uint64)).sum()) for kept in _KEPT)
"""The words of a hash, as masks of 28 bits: a wide, a high and a triangular block of the coarsest coefficients."""
SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""An odd number: multiplied by it, different words stay different and are spread evenly."""
COMMON = 64
"""A word that more samples share than this says nothing about two of them, and would cost their square."""
MIN_VOTES = 2
"""Votes for about one offset that make two videos a candidate."""
ENOUGH = 64
"""Evidence is not counted further than this."""
PART = 5_000_000
"""Words sorted at a time, to bound memory."""
STRETCH = 4_000_000
"""Hashes looked at in a row."""


@dataclass(frozen=True, kw_only=True)
class MatchRule:
    """When two stretches are the same play. The margins behind the numbers are in docs/log.md."""

    max_bits: int = 12
    """Most bits, of 64, in which the hashes of one picture may differ; different play differs in 29 on average."""
    max_gap: int = 24
    """Most samples in a row that may disagree within an overlap: quick turns match badly, as samples fall between."""
    min_evidence: int = 8
    """Fewest matching samples that differ from each other."""
    min_share: float = 0.25
    """Smallest share, 0 to 1, of the samples of an overlap that match."""


@dataclass(frozen=True, order=True)
class Overlap:
    """Samples `a_start`... of video `a` show the same as samples `b_start`... of video `b`, `length` of them."""

    a: int
    b: int
    a_start: int
    b_start: int
    length: int
    evidence: int
    """Matching samples that differ from each other, up to ENOUGH."""
    share: float
    """Share of the samples that match, 0 to 1."""
    is_mirrored: bool


class Stretch(NamedTuple):
    """What an alignment finds; fields as in `Overlap`."""

    a_start: int
    b_start: int
    length: int
    evidence: int
    share: float


def find_overlaps(signatures: Sequence[np.ndarray], rule: MatchRule) -> list[Overlap]:
    """Every overlap between two of the videos, a before b. Their order changes nothing but their numbers."""
    found: list[Overlap] = []
    for a, b, is_mirrored, offsets in candidates(signatures, rule.max_bits):
        other = mirrored(signatures[b]) if is_mirrored else signatures[b]
        aligned = [stretch for offset in offsets for stretch in align(signatures[a], other, offset, rule)]
        found += [Overlap(a, b, *stretch, is_mirrored) for stretch in _strongest(aligned)]
    return sorted(found)


def _strongest(stretches: list[Stretch]) -> list[Stretch]:
    """Stretches of b that overlap no stronger one: offsets beside the right one match a little less well."""
    kept: list[Stretch] = []
    for new in sorted(stretches, key=lambda s: (-s.evidence, -s.share, s)):
        if all(new.b_start >= old.b_start + old.length or old.b_start >= new.b_start + new.length for old in kept):
            kept.append(new)
    return kept


def align(a: np.ndarray, b: np.ndarray, offset: int, rule: MatchRule) -> Iterator[Stretch]:
    """Stretches where sample j of b shows what sample j + offset of a, or its neighbour, shows."""
    first, last = max(0, -offset), min(len(b), len(a) - offset)
    if last <= first:
        return
    mine, theirs = b[first:last], _neighbours(a, first + offset, last + offset)
    bits = np.bitwise_count(theirs ^ mine)
    speaks = (theirs != NOTHING) & (mine != NOTHING)
    same = (speaks & (bits <= rule.max_bits)).any(axis=0)
    if np.count_nonzero(same) < rule.min_evidence:  # among many videos nearly all candidates are chance
        return
    against = ~same & ((mine != NOTHING) | (theirs[1] != NOTHING))
    for start, end in _dense(same, against, rule.max_gap):
        evidence = count_distinct(mine[start:end][same[start:end]], rule.max_bits)
        matched, opposed = int(same[start:end].sum()), int(against[start:end].sum())
        share = matched / (matched + opposed)
        if evidence >= rule.min_evidence and share >= rule.min_share:
            yield Stretch(first + start + offset, first + start, end - start, evidence, round(share, 4))


def count_distinct(hashes: np.ndarray, max_bits: int) -> int:
    """How many of the hashes differ by more than `max_bits` from all that were counted before; at most ENOUGH."""
    counted: list[int] = []
    for value in hashes.tolist():
        if all((value ^ other).bit_count() > max_bits for other in counted):
            counted.append(value)
        if len(counted) == ENOUGH:
            break
    return len(counted)


def _neighbours(a: np.ndarray, first: int, last: int) -> np.ndarray:
    """(3, N): the hash before each row from first to last, at it and after it; the ends repeat."""
    padded = np.concatenate([a[:1], a, a[-1:]])
    return np.stack([padded[first + k : last + k] for k in range(3)])


def _dense(same: np.ndarray, against: np.ndarray, max_gap: int) -> Iterator[tuple[int, int]]:
    """[start, end) of stretches of matches without more than `max_gap` disagreements between two of them.

    A stretch that comes this near to an end of the shared time reaches it.
    """
    matches = np.flatnonzero(same)
    if not len(matches):
        return
    disagreed = np.concatenate([[0], np.cumsum(against)])
    breaks = np.flatnonzero(np.diff(disagreed[matches]) > max_gap)
    starts, ends = matches[np.concatenate([[0], breaks + 1])], matches[np.concatenate([breaks, [-1]])] + 1
    starts[0] = 0 if disagreed[starts[0]] <= max_gap else starts[0]
    ends[-1] = len(same) if disagreed[-1] - disagreed[ends[-1]] <= max_gap else ends[-1]
    yield from zip(starts.tolist(), ends.tolist(), strict=True)


def candidates(signatures: Sequence[np.ndarray], max_bits: int) -> Iterator[tuple[int, int, bool, list[int]]]:
    """(a, b, is mirrored, offsets with at least MIN_VOTES votes, most votes first) of pairs worth an alignment."""
    pairs, offsets = _votes(signatures, max_bits)
    order = np.lexsort((offsets, pairs))
    pairs, offsets = pairs[order], offsets[order]
    edges = np.concatenate([[0], np.flatnonzero(np.diff(pairs)) + 1, [len(pairs)]])
    for k in np.flatnonzero(np.diff(edges) >= MIN_VOTES):
        if good := _offsets_by_votes(offsets[edges[k] : edges[k + 1]]):
            pair, is_mirrored = divmod(int(pairs[edges[k]]), 2)
            yield *divmod(pair, len(signatures)), bool(is_mirrored), good


def _offsets_by_votes(offsets: np.ndarray) -> list[int]:
    """Offsets that at least MIN_VOTES of the votes, sorted, name to within one sample."""
    values, counts = np.unique(offsets, return_counts=True)
    near = np.abs(values[:, None] - values[None]) <= 1 if len(values) < 1000 else np.eye(len(values), dtype=bool)
    votes = near @ counts
    order = np.lexsort((values, -counts, -votes))
    return [int(values[i]) for i in order if votes[i] >= MIN_VOTES]


def _votes(signatures: Sequence[np.ndarray], max_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """One vote for every word that two samples of two videos share: (pair and mirror bit packed, offset)."""
    lengths = np.array([len(signature) for signature in signatures], np.int64)
    ends = np.cumsum(lengths)
    hashes = np.concatenate([*signatures, np.zeros(0, np.uint64)])
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for bits in map(np.uint64, WORDS):
        for rows in _parts(hashes, ends, bits):
            words, flipped = _words(hashes[rows], bits)
            order = np.argsort(words)  # not stable, which takes several times as long: `_vote` sees to the order
            rows, flipped = rows[order], flipped[order]
            for one, other in _same_word(words[order]):
                is_mirrored = flipped[one] ^ flipped[other]
                differ = hashes[rows[one]] ^ hashes[rows[other]] ^ np.where(is_mirrored, MIRROR, np.uint64(0))
                near = np.bitwise_count(differ) <= max_bits
                found.append(_vote(rows[one[near]], rows[other[near]], is_mirrored[near], ends, lengths))
    pairs, offsets = zip(*found, strict=True)
    return np.concatenate(pairs), np.concatenate(offsets)


def _words(hashes: np.ndarray, bits: np.uint64) -> tuple[np.ndarray, np.ndarray]:
    """(word (N,) uint64, was it flipped (N,)) of hashes (N,).

    A word and its mirror image stand under the smaller of both, so that one index finds mirrored copies too.
    """
    words = hashes & bits
    other = words ^ (MIRROR & bits)
    return np.minimum(words, other) * SPREAD, other < words


def _parts(hashes: np.ndarray, ends: np.ndarray, bits: np.uint64) -> list[np.ndarray]:
    """Rows of the hashes, in parts that share no word and hold about PART of them; the first of each run of a word.

    Only their numbers are kept, in 4 bytes where these do: with the words beside them, memory would be several times
    that of the hashes.
    """
    count = max(1, -(-len(hashes) // PART))
    found: list[list[np.ndarray]] = [[] for _ in range(count)]
    for start in range(0, len(hashes), STRETCH):
        rows = _begin_runs(hashes, ends, bits, start).astype(np.min_scalar_type(len(hashes)))
        part_of = ((_words(hashes[rows], bits)[0] >> np.uint64(48)) * np.uint64(count) >> np.uint64(16)).astype("u2")
        order = np.argsort(part_of, kind="stable")
        edges = np.searchsorted(part_of[order], np.arange(1, count))
        for part, inside in zip(found, np.split(rows[order], edges), strict=True):
            part.append(inside)
    return [np.concatenate(part) for part in found if part]


def _begin_runs(hashes: np.ndarray, ends: np.ndarray, bits: np.uint64, start: int) -> np.ndarray:
    """Rows of one STRETCH at which a run of one word begins within a video, but for pictures that stand still."""
    stretch = hashes[start : start + STRETCH]
    before = hashes[start - 1 : start + len(stretch) - 1] if start else np.append(~stretch[:1], stretch[:-1])
    is_new = (before ^ stretch) & bits != 0
    firsts = ends[np.searchsorted(ends, start) : np.searchsorted(ends, start + len(stretch))] - start
    is_new[firsts] = True
    return np.flatnonzero(is_new & (stretch != NOTHING)) + start


def _same_word(words: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Index pairs of equal words in a sorted array, common words left out; groups are done side by side."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(words)) + 1, [len(words)]])
    sizes = np.diff(edges)
    keep = (sizes > 1) & (sizes <= COMMON)
    starts, sizes = edges[:-1][keep], sizes[keep]
    starts = starts[np.argsort(-sizes, kind="stable")]
    larger = len(sizes) - np.cumsum(np.bincount(sizes))  # larger[j]: groups of more than j, which come first
    for j in range(1, len(larger) - 1):
        for i in range(j):
            yield starts[: larger[j]] + i, starts[: larger[j]] + j


def _vote(
    one: np.ndarray, other: np.ndarray, is_mirrored: np.ndarray, ends: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Votes of rows in pairs. The row that comes first among all of them belongs to the first video."""
    one, other = np.minimum(one, other), np.maximum(one, other)
    a, b = np.searchsorted(ends, one, side="right"), np.searchsorted(ends, other, side="right")
    offset = (one - (ends - lengths)[a]) - (other - (ends - lengths)[b])
    apart = a != b
    return ((a * len(lengths) + b) * 2 + is_mirrored)[apart], offset[apart]
