"""Metadata rules: who is kept out, for which reason, and that silence of a source is no reason but for licences."""

from typing import Any

import pytest

from stages.errors import ConfigError
from stages.rules import Facts, Rules, is_creative_commons, read_preset

HOUSE = Facts(title="My House", description="Day one", uploader="Ann", published="20240510", duration_s=600.0)


def refused(facts: Facts = HOUSE, complete: bool = True, **fields: Any) -> str:
    error = Rules(**{"blacklist": (), **fields}).refusal(facts, complete)
    assert error is None or error.again == "rules"
    return error.reason if error else ""


def test_the_presets_are_the_papers_lists() -> None:
    assert len(read_preset("vpt", "queries")) == 29
    assert "minecraft survival 1. bölüm" in read_preset("vpt", "queries")
    assert len(read_preset("vpt", "blacklist")) == 15
    assert Rules().words == read_preset("vpt", "blacklist"), "the default"
    with pytest.raises(ConfigError, match=r"expected a preset of queries \(vpt\), got 'vtp'"):
        read_preset("vtp", "queries")


@pytest.mark.parametrize(
    ("facts", "fields", "reason"),
    [
        (Facts(title="On PS4!"), {"blacklist": ("preset:vpt",)}, "blacklisted"),
        (Facts(description="a TimeLapse of it"), {"blacklist": ("preset:vpt",)}, "blacklisted"),
        (Facts(title="With Roblox"), {"blacklist": ("preset:vpt", "Roblox")}, "blacklisted"),
        (HOUSE, {"deny": (r"\bhouses?\b",)}, "denied"),
        (HOUSE, {"deny": ("^ann$",)}, ""),
        (HOUSE, {"deny": (r"\bann\b",)}, "denied"),
        (HOUSE, {"allow": ("castle", "tower")}, "not_allowed"),
        (HOUSE, {"allow": ("castle", "day [a-z]+")}, ""),
        (Facts(url="a.mp4"), {"allow": ("castle",)}, ""),
        (HOUSE, {"min_duration_s": 601}, "too_short"),
        (HOUSE, {"max_duration_s": 599}, "too_long"),
        (HOUSE, {"min_duration_s": 600, "max_duration_s": 600}, ""),
        (Facts(), {"min_duration_s": 601, "published_from": "2024-01-01"}, ""),
        (HOUSE, {"published_from": "2024-05-11"}, "too_old"),
        (HOUSE, {"published_until": "2024-05-09"}, "too_new"),
        (HOUSE, {"published_from": "2024-05-10", "published_until": "2024-05-10"}, ""),
        (HOUSE, {"licence_policy": "creative-commons"}, "licence"),
        (Facts(licence="Standard licence"), {"licence_policy": "creative-commons"}, "licence"),
        (Facts(licence="CC BY 4.0"), {"licence_policy": "creative-commons"}, ""),
    ],
)
def test_reasons(facts: Facts, fields: dict[str, Any], reason: str) -> None:
    assert refused(facts, **fields) == reason


def test_a_list_that_is_silent_about_licences_is_no_reason_yet() -> None:
    policy = {"licence_policy": "creative-commons"}
    assert refused(HOUSE, complete=False, **policy) == ""
    assert refused(Facts(licence="all rights reserved"), complete=False, **policy) == "licence"


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("Creative Commons Attribution licence (reuse allowed)", True),
        ("https://creativecommons.org/licenses/by/4.0/", True),
        ("CC-BY-SA", True),
        ("CC0 1.0", True),
        ("accbycc", False),
        ("Standard YouTube License", False),
        ("", False),
    ],
)
def test_creative_commons(licence: str, free: bool) -> None:
    assert is_creative_commons(licence) is free


def test_the_gate_follows_what_judges_and_nothing_else() -> None:
    gate = Rules().gate()
    assert Rules(max_per_source=3).gate() == gate, "a limit judges no video"
    assert Rules(deny=("x",)).gate() != gate
    assert Rules(blacklist=()).gate() != gate


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"allow": ("(",)}, "regular expressions"),
        ({"published_from": "10.5.2024"}, "published_from: expected YYYY-MM-DD"),
        ({"min_duration_s": -1}, "min_duration_s: expected 0 or more"),
        ({"blacklist": ("preset:none",)}, "expected a preset of blacklist"),
    ],
)
def test_wrong_rules_are_refused_before_any_work(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Rules(**fields)


def test_what_a_page_says_stands_over_what_its_list_said() -> None:
    page, listed = Facts(title="Page", licence=""), Facts(title="List", licence="CC0", duration_s=3.0)
    assert page.over(listed) == Facts(title="Page", licence="CC0", duration_s=3.0)
    assert "description" not in HOUSE.record()


def test_facts_of_an_info_file() -> None:
    info = {"webpage_url": "u", "channel": "Ann", "license": "CC BY", "upload_date": "20240102", "duration": 3}
    assert Facts.from_info(info) == Facts("u", "", "", "Ann", "CC BY", "", "20240102", 3.0)
    assert len(Facts.from_info({"title": "x" * 10**6, "description": "y" * 10**6}).title) == 1000
