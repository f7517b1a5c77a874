"""What a match means: which spans of a copy stay, which videos are one performance."""

import io
from dataclasses import replace

import pyarrow.parquet as pq

from stages.distinct import POINTER, Match, copies_of, distinct_spans, matches_to_parquet, performances, read_matches
from stages.media import Span
from stages.records import Record
from stages.settings import Settings
from stages.stage import Context

MATCH = Match("copy", "best", copy_start=0, original_start=100, length=400, is_mirrored=False, evidence=30, share=0.7)


def verdict(video_id: str, *spans: tuple[int, int]) -> Record:
    found = [{"start": start, "end": end} for start, end in spans]
    return Record("filter", video_id, "k", {}, (), {"video_id": video_id, "spans": found})


def publish(ctx: Context, *matches: Match) -> None:
    """Put matches where `duplicates` puts them."""
    key = "2_segments/duplicates/test.parquet"
    ctx.store.put(key, matches_to_parquet(matches))
    ctx.ledger.advance(POINTER, "test", ctx.ledger.pointer(POINTER), {"key": key})


def test_a_copy_of_clean_play_is_dropped_and_the_original_stays() -> None:
    found = distinct_spans([verdict("best", (0, 600)), verdict("copy", (20, 380))], [MATCH])
    assert found == {"best": [Span(0, 600)], "copy": []}


def test_only_what_the_original_shows_clean_is_dropped() -> None:
    verdicts = [verdict("best", (0, 200), (450, 600)), verdict("copy", (0, 600))]
    assert distinct_spans(verdicts, [MATCH])["copy"] == [Span(100, 350), Span(400, 600)]


def test_a_copy_stays_where_the_original_is_not_clean_or_gone() -> None:
    copy = verdict("copy", (20, 380))
    assert distinct_spans([verdict("best"), copy], [MATCH])["copy"] == [Span(20, 380)]
    assert distinct_spans([copy], [MATCH])["copy"] == [Span(20, 380)]


def test_short_rests_go_and_spans_that_were_not_touched_stay() -> None:
    copy = verdict("copy", (0, 450), (500, 599), (700, 1300))
    found = distinct_spans([verdict("best", (0, 600)), copy], [MATCH])["copy"]
    assert found == [Span(500, 599), Span(700, 1300)], "50 steps of the first span are left: under 5 s"


def test_a_video_that_is_mostly_a_copy_goes_whole() -> None:
    copy = verdict("copy", (0, 400), (500, 590))
    assert distinct_spans([verdict("best", (0, 600)), copy], [MATCH])["copy"] == []


def test_of_three_showings_one_stays_although_one_match_was_missed() -> None:
    second = replace(MATCH, copy="third", original="copy", original_start=0)
    verdicts = [verdict("best", (0, 600)), verdict("copy", (0, 400)), verdict("third", (0, 400))]
    found = distinct_spans(verdicts, [MATCH, second])
    assert found == {"best": [Span(0, 600)], "copy": [], "third": []}


def test_performances_join_what_matches_join() -> None:
    matches = [replace(MATCH, copy="c", original="b"), replace(MATCH, copy="b", original="d"), MATCH]
    assert performances(matches) == {"b": "b", "c": "b", "d": "b", "best": "best", "copy": "best"}
    assert copies_of("c", matches) == ["b", "d"]
    assert copies_of("unknown", matches) == []


def test_the_table_depends_on_the_matches_alone(file_settings: Settings) -> None:
    other = replace(MATCH, copy="another", is_mirrored=True)
    assert matches_to_parquet([MATCH, other]) == matches_to_parquet([other, MATCH])
    assert pq.read_table(io.BytesIO(matches_to_parquet([]))).num_rows == 0
    ctx = Context(file_settings)
    assert read_matches(ctx) == []
    publish(ctx, MATCH, other)
    assert read_matches(ctx) == [other, MATCH]
