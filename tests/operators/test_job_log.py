"""What is read from a job's log: new lines, the summary, the tail."""

import pytest

from operators.job_log import MAX_LINES_PER_LOOK, LogCursor, clean, summary_of, tail_of


def test_a_growing_log_gives_each_complete_line_once():
    cursor = LogCursor()
    assert cursor.new_lines("one\ntw") == ["one"]
    assert cursor.new_lines("one\ntwo\nthree") == ["two"]
    assert cursor.new_lines("one\ntwo\nthree", last=True) == ["three"]
    assert cursor.new_lines("one\ntwo\nthree", last=True) == []


def test_a_shorter_log_is_another_one():
    cursor = LogCursor()
    cursor.new_lines("a long first line\n")
    assert cursor.new_lines("new\n") == ["new"]


def test_a_flood_is_cut_and_says_so():
    lines = LogCursor().new_lines("".join(f"{i}\n" for i in range(1000)))
    assert lines[0] == f"... {1000 - MAX_LINES_PER_LOOK} lines left out, see the Ray dashboard ..."
    assert lines[-1] == "999"
    assert len(lines) == MAX_LINES_PER_LOOK + 1


def test_colours_and_redrawn_bars_are_reduced_to_what_stays_visible():
    assert clean("\x1b[36m10%\r\x1b[1m100% done\x1b[0m\r\n") == "100% done"


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ('{"stage": "a", "done": 1}\n', {"stage": "a", "done": 1}),
        ('{"stage": "a"}\n{"stage": "b"}\n{"other": 1}\nbye\n', {"stage": "b"}),
        ('{"stage": "a"}\n{"stage": broken\n', {"stage": "a"}),
        ('["stage"]\n"stage"\nno summary\n', None),
        ("", None),
    ],
)
def test_the_summary_is_the_last_json_object_with_a_stage(log, found):
    assert summary_of(log) == found


def test_the_tail_has_the_last_lines_without_empty_ones():
    assert tail_of("a\n\nb\n\nc\n", lines=2) == "b\nc"
