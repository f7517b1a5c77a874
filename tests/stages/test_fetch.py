"""What may be a feed, and how a judge refuses while a download runs. Whole downloads: test_scrape.py."""

import pytest

from stages.errors import BadInput
from stages.fetch import _Judge, may_be_feed
from stages.rules import Facts, Rules
from stages.web_options import FetchOptions


@pytest.mark.parametrize(
    ("url", "maybe"),
    [
        ("https://example.org/news", True),
        ("https://www.youtube.com/feeds/videos.xml?channel_id=UC0", True),
        ("https://www.youtube.com/playlist?list=PL0", False),
        ("ytsearch5:words", False),
    ],
)
def test_what_may_be_a_feed(url: str, maybe: bool) -> None:
    assert may_be_feed(url) is maybe


def test_a_live_stream_is_for_later_and_a_rule_for_other_rules() -> None:
    judge = _Judge(FetchOptions(), Facts(), Rules())
    assert judge.match({"id": "v", "live_status": "is_upcoming"}, incomplete=False)
    assert judge.refusal is not None
    assert (judge.refusal.reason, judge.refusal.again) == ("live_stream", "later")
    assert judge.match({"id": "v", "title": "PS5"}, incomplete=False)
    assert (judge.refusal.reason, judge.refusal.again) == ("blacklisted", "rules")


def test_a_bare_file_is_called_what_its_list_called_it() -> None:
    judge = _Judge(FetchOptions(), Facts(title="My base"), Rules())
    assert judge.match({"id": "v", "title": "v", "direct": True, "extractor": "generic"}, incomplete=False) is None
    assert (judge.facts.title, judge.facts.extractor) == ("My base", "generic")
    judge.match({"id": "v", "title": "Page"}, incomplete=False)
    assert judge.facts.title == "Page"


def test_a_file_that_grows_without_saying_so_is_stopped() -> None:
    judge = _Judge(FetchOptions(max_bytes=100), Facts(), Rules())
    judge.progress({"downloaded_bytes": 100})
    with pytest.raises(BadInput, match="too_large"):
        judge.progress({"downloaded_bytes": 101})
