"""Overlaps are found at any offset, mirrored or not, in any order; likeness without common change is none."""

import numpy as np
import pytest

from stages import matching
from stages.matching import MatchRule, count_distinct, find_overlaps
from stages.signature import mirrored

RULE = MatchRule()


def video(seed: int, length: int = 300) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 2**64, length, dtype=np.uint64)


def worse(hashes: np.ndarray, flipped: float, seed: int = 9) -> np.ndarray:
    """The hashes with a share of their bits flipped."""
    bits = np.random.default_rng(seed).random((len(hashes), 64)) < flipped
    return hashes ^ (bits @ (np.uint64(1) << np.arange(64, dtype=np.uint64)))


def test_a_trimmed_copy_is_found_where_it_lies() -> None:
    original = video(1)
    (found,) = find_overlaps([original, video(2), worse(original[37:200], 0.08)], RULE)
    assert (found.a, found.b, found.a_start, found.b_start, found.length) == (0, 2, 37, 0, 163)
    assert not found.is_mirrored
    assert found.evidence == matching.ENOUGH
    assert found.share > 0.9


def test_a_mirrored_copy_is_found() -> None:
    (found,) = find_overlaps([mirrored(worse(video(1)[20:], 0.05)), video(1)], RULE)
    assert (found.is_mirrored, found.a_start, found.b_start, found.length) == (True, 0, 20, 280)


def test_two_parts_in_another_order_are_two_overlaps() -> None:
    source, other = video(1), video(2)
    mix = np.concatenate([other[:60], source[200:260], video(3, 80), source[40:110]])
    found = find_overlaps([source, mix], RULE)
    assert sorted((o.a_start, o.b_start, o.length) for o in found) == [(40, 200, 70), (200, 60, 60)]


def test_the_order_of_the_videos_changes_only_their_numbers() -> None:
    videos = [video(1), video(2), worse(video(1)[50:], 0.1), worse(video(2)[:150], 0.1)]
    straight = {(o.a, o.b, o.a_start, o.b_start, o.length) for o in find_overlaps(videos, RULE)}
    turned = {(3 - o.b, 3 - o.a, o.b_start, o.a_start, o.length) for o in find_overlaps(videos[::-1], RULE)}
    assert straight == turned == {(0, 2, 50, 0, 250), (1, 3, 0, 0, 150)}


def test_parts_and_stretches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, rng = video(7, 200), np.random.default_rng(8)
    videos = [np.repeat(pool[rng.integers(0, len(pool), 90)], 3) for _ in range(12)]
    videos += [video(1), video(1)[:0], mirrored(worse(video(1)[20:], 0.05)), np.zeros(9, np.uint64)]
    whole = sorted(tuple(vote) for vote in np.stack(matching._votes(videos, RULE.max_bits), 1).tolist())
    monkeypatch.setattr(matching, "PART", 500)
    monkeypatch.setattr(matching, "STRETCH", 301)
    assert sorted(tuple(vote) for vote in np.stack(matching._votes(videos, RULE.max_bits), 1).tolist()) == whole
    assert len(whole) > 1000


def test_samples_between_the_originals_still_match_by_their_neighbours() -> None:
    original = np.repeat(video(1, 150), 2)
    (found,) = find_overlaps([original, worse(original[1:], 0.08)], RULE)
    assert (found.length, found.share) == (299, pytest.approx(1, abs=0.1))


def test_one_view_that_lasts_is_no_evidence() -> None:
    shared = np.tile(video(5, 3), 40)  # three pictures in turn, for forty seconds
    assert count_distinct(shared, RULE.max_bits) == 3
    assert find_overlaps([np.concatenate([video(1), shared]), np.concatenate([shared, video(2)])], RULE) == []


def test_silence_matches_nothing() -> None:
    assert find_overlaps([np.zeros(200, np.uint64), np.zeros(200, np.uint64), np.zeros(0, np.uint64)], RULE) == []
    assert find_overlaps([], RULE) == []


def test_parts_of_the_index_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    videos = [video(1), worse(video(1)[50:], 0.1), video(2)]
    whole = find_overlaps(videos, RULE)
    monkeypatch.setattr(matching, "PART", 100)
    assert find_overlaps(videos, RULE) == whole != []
