"""Videos from folders, files, lists and a real web site: kept untouched, once, with what is known about them."""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from stages import paths
from stages.errors import ConfigError
from stages.runner import run_stage
from stages.scrape import Scrape, ScrapeConfig
from stages.settings import Settings
from stages.stage import Context, Unit
from tests import videos
from tests.site import Site, serve


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    names = {"one.mp4": 30, "two.mp4": 25}
    data = {name: videos.constant_rate(tmp_path / name, fps, 1.0).read_bytes() for name, fps in names.items()}
    served = Site({**data, "empty.mp4": b""})
    with serve(served):
        yield served


def run(settings: Settings, *sources: str | Path, **fields: Any) -> dict[str, Any]:
    fields = {"allow_private_hosts": True, "retries": 0, "requests_per_s": 0, **fields}
    stage = Scrape(ScrapeConfig(sources=tuple(map(str, sources)), **fields))
    return run_stage(stage, Context(settings), ray="off")


def records(settings: Settings) -> list[dict[str, Any]]:
    return [record.info for record in Context(settings).committed("scrape")]


def reason(settings: Settings, source: str | Path, **fields: Any) -> str:
    summary = run(settings, source, **fields)
    assert summary["done"] == 0
    (found,) = summary["reasons"]
    return str(found)


def test_a_folder_is_kept_untouched_with_its_side_files(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    path = videos.constant_rate(folder / "deep" / "My Video.MP4", 30, 1.0)
    about = {
        "webpage_url": "https://example.org/v",
        "title": "House",
        "channel": "Ann",
        "license": "CC BY",
        "duration": 1,
    }
    (folder / "deep" / "My Video.info.json").write_text(json.dumps(about))
    (folder / "notes.txt").write_text("no video")
    (folder / ".hidden.mp4").write_bytes(b"x")
    assert run(settings, folder)["done"] == 1
    (info,) = records(settings)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert datetime.fromisoformat(info.pop("fetched_at")).tzinfo is not None
    assert info == {
        "video_id": sha256[:20],
        "sha256": sha256,
        "bytes": path.stat().st_size,
        "key": paths.source(sha256[:20], "source.mp4"),
        "url": "https://example.org/v",
        "title": "House",
        "uploader": "Ann",
        "licence": "CC BY",
        "extractor": "file",
        "published": "",
        "duration_s": 1.0,
    }
    assert Context(settings).store.get(info["key"]) == path.read_bytes()


def test_a_second_run_does_nothing_and_a_new_file_is_the_only_work(file_settings: Settings, tmp_path: Path) -> None:
    videos.constant_rate(tmp_path / "in" / "a.mp4", 30, 1.0)
    run(file_settings, tmp_path / "in")
    assert run(file_settings, tmp_path / "in")["planned"] == 0
    videos.constant_rate(tmp_path / "in" / "b.mp4", 25, 1.0)
    summary = run(file_settings, tmp_path / "in")
    assert (summary["planned"], summary["skipped"]) == (1, 1)


def test_the_same_video_under_two_names_is_one_video(file_settings: Settings, tmp_path: Path) -> None:
    one = videos.constant_rate(tmp_path / "in" / "a.mp4", 30, 1.0)
    (tmp_path / "in" / "b.mp4").write_bytes(one.read_bytes())
    assert run(file_settings, tmp_path / "in")["done"] == 2
    assert len(records(file_settings)) == 1


def test_broken_side_files_and_odd_suffixes_do_no_harm(file_settings: Settings, tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "in" / "v.mp4", 30, 1.0)
    (tmp_path / "in" / "v.info.json").write_text("{")
    odd = path.rename(tmp_path / "in" / "v.x y..z")
    run(file_settings, odd)
    (info,) = records(file_settings)
    assert info["key"].endswith("/source.bin")
    assert info["url"] == "v.x y..z"


def test_local_failures_have_reasons(file_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "nothing").mkdir()
    big = videos.constant_rate(tmp_path / "big" / "big.mp4", 30, 1.0)
    assert reason(file_settings, tmp_path / "empty.mp4") == "empty_file"
    assert reason(file_settings, tmp_path / "missing") == "not_found"
    assert reason(file_settings, tmp_path / "nothing") == "not_found"
    assert reason(file_settings, "@" + str(tmp_path / "missing.txt")) == "not_found"
    assert reason(file_settings, "ftp://example.org/v.mp4") == "unsupported_url"
    assert reason(file_settings, "file:///etc/passwd") == "unsupported_url"
    assert reason(file_settings, big, max_bytes=10) == "too_large"


def test_a_video_that_was_taken_down_does_not_come_back(file_settings: Settings, tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 1.0)
    Context(file_settings).ledger.take_down(hashlib.sha256(path.read_bytes()).hexdigest()[:20], "asked")
    assert reason(file_settings, path) == "taken_down"
    assert not list(Context(file_settings).store.keys(paths.VIDEOS))


def test_new_rules_judge_a_refused_video_again(file_settings: Settings, tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 1.0)
    (tmp_path / "v.info.json").write_text(json.dumps({"title": "Minecraft on PS4!", "description": None}))
    assert reason(file_settings, path) == "blacklisted"
    again = run(file_settings, path)
    assert (again["planned"], again["held"]) == (0, {"blacklisted": 1}), "the same rules are not asked twice"
    assert reason(file_settings, path, blacklist=(), deny=("ps[0-9]",)) == "denied"
    assert run(file_settings, path, blacklist=())["done"] == 1
    assert run(file_settings, path)["skipped"] == 1, "what is in stays in"


@pytest.mark.parametrize("path", ["/media/one.mp4", "/moved.mp4", "/page.html"])
def test_a_file_a_redirect_and_a_page_give_the_same_video(file_settings: Settings, site: Site, path: str) -> None:
    assert run(file_settings, site.root + path)["done"] == 1
    (info,) = records(file_settings)
    assert Context(file_settings).store.get(info["key"]) == site.videos["one.mp4"]
    assert info["url"] == site.root + path
    assert info["title"].startswith("My first house" if path == "/page.html" else "one")
    site.requests.clear()
    assert run(file_settings, site.root + path)["planned"] == 0
    assert site.requests["/media/one.mp4"] == 0


def test_a_feed_and_a_page_with_two_videos_give_two_each(file_settings: Settings, site: Site) -> None:
    stage = Scrape(ScrapeConfig(sources=(site.root + "/feed.xml",), allow_private_hosts=True))
    assert len(list(stage.units(Context(file_settings)))) == 2
    page = run(file_settings, site.root + "/two.html")
    assert (page["planned"], page["done"]) == (2, 2)
    kept = {Context(file_settings).store.get(info["key"]) for info in records(file_settings)}
    assert kept == {site.videos["one.mp4"], site.videos["two.mp4"]}


def test_rules_judge_a_feed_before_any_download_and_its_facts_travel(file_settings: Settings, site: Site) -> None:
    fields = {"consent": "owner's permission", "licence": "CC BY 4.0"}
    summary = run(file_settings, site.root + "/ruled.xml", **fields)
    assert (summary["done"], summary["reasons"]) == (1, {"blacklisted": 1})
    assert site.requests["/media/one.mp4"] == 0
    (info,) = records(file_settings)
    assert (info["title"], info["uploader"], info["licence"]) == ("My base", "Ann", "CC BY 4.0")
    assert (info["consent"], info["url"]) == ("owner's permission", site.root + "/media/two.mp4")
    again = run(file_settings, site.root + "/ruled.xml", **fields)
    assert (again["planned"], again["skipped"], again["held"]) == (0, 1, {"blacklisted": 1})
    free = run(file_settings, site.root + "/ruled.xml", blacklist=(), licence_policy="creative-commons")
    assert (free["planned"], free["reasons"]) == (1, {"licence": 1}), "judged anew, and still unpublished"
    assert run(file_settings, site.root + "/ruled.xml", blacklist=())["done"] == 1


def test_ten_thousand_entries_are_listed_without_a_download(file_settings: Settings, site: Site) -> None:
    def units(max_items: int) -> list[Unit]:
        config = ScrapeConfig(sources=(site.root + "/many/10000",), max_items=max_items, allow_private_hosts=True)
        return list(Scrape(config).units(Context(file_settings)))

    assert {unit.inputs["kind"] for unit in units(10_000)} == {"url"}
    found = units(20)
    assert [unit.inputs["kind"] for unit in found] == ["url"] * 20 + ["failed"]
    assert found[-1].inputs["reason"] == "list_cut"
    assert set(site.requests) == {"/many/10000"}


def test_a_source_gives_no_more_than_its_share(file_settings: Settings, tmp_path: Path) -> None:
    for rate in (24, 25, 30):
        videos.constant_rate(tmp_path / "in" / f"{rate}.mp4", rate, 1.0)
    summary = run(file_settings, tmp_path / "in", max_per_source=2)
    assert (summary["done"], summary["reasons"]) == (2, {"beyond_limit": 1})
    (entry,) = Context(file_settings).ledger.quarantined("scrape").values()
    assert "got 1 more" in entry.message


def test_a_broken_download_goes_on_where_it_stopped(file_settings: Settings, site: Site) -> None:
    site.cut_off["/media/one.mp4"] = 1
    assert run(file_settings, site.root + "/media/one.mp4", retries=1)["done"] == 1
    (asked,) = site.ranges
    assert 0 < int(asked.removeprefix("bytes=").removesuffix("-")) <= len(site.videos["one.mp4"]) // 2
    (info,) = records(file_settings)
    assert Context(file_settings).store.get(info["key"]) == site.videos["one.mp4"]


def test_slow_and_swollen_answers_are_given_up(file_settings: Settings, site: Site) -> None:
    assert reason(file_settings, site.root + "/trickle.mp4", stall_s=1, min_rate=5000) == "too_slow"
    assert reason(file_settings, site.root + "/bomb.html", max_page_bytes=10**6) == "page_too_large"


def test_a_busy_host_is_asked_again_by_the_next_run(file_settings: Settings, site: Site) -> None:
    for attempt in (1, 2):
        summary = run(file_settings, site.root + "/busy.mp4", retries=3)
        assert (summary["planned"], summary["reasons"]) == (1, {"http_429": 1})
        assert site.requests["/busy.mp4"] == attempt, "it asked for an hour: no other try now"


def test_a_list_from_the_web(file_settings: Settings, site: Site) -> None:
    summary = run(file_settings, "@" + site.root + "/list.txt")
    assert (summary["done"], summary["reasons"]) == (1, {"unsupported_url": 1})


def test_a_list_of_mixed_items_goes_on_past_bad_ones(file_settings: Settings, site: Site, tmp_path: Path) -> None:
    local = videos.constant_rate(tmp_path / "local.mp4", 24, 1.0)
    lines = ["# my list", f"{site.root}/media/one.mp4 # good", "", str(local), f"{site.root}/gone.mp4", "gopher://x/y"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    summary = run(file_settings, f"@{tmp_path}/list.txt")
    assert (summary["done"], summary["reasons"]) == (2, {"http_404": 1, "unsupported_url": 1})


def test_web_failures_have_reasons(file_settings: Settings, site: Site) -> None:
    assert reason(file_settings, site.root + "/gone.mp4") == "http_404"
    assert reason(file_settings, site.root + "/gone.html") == "http_404"
    assert reason(file_settings, site.root + "/words.html") == "unsupported_url"
    assert reason(file_settings, site.root + "/media/empty.mp4") == "empty_file"
    assert reason(file_settings, site.root + "/media/two.mp4", max_bytes=100) == "too_large"
    assert reason(file_settings, "http://127.0.0.1:9/v.mp4") == "unreachable"
    assert reason(file_settings, "ytsearch3:minecraft survival") == "unsupported_url"


def test_one_bad_source_does_not_stop_the_others(file_settings: Settings, site: Site) -> None:
    summary = run(file_settings, site.root + "/gone.html", site.root + "/media/one.mp4")
    assert (summary["done"], summary["reasons"]) == (1, {"http_404": 1})


def test_what_may_pass_is_tried_again(file_settings: Settings, site: Site) -> None:
    site.failures["/media/one.mp4"] = 1
    assert run(file_settings, site.root + "/media/one.mp4", retries=1)["done"] == 1
    site.failures["/media/two.mp4"] = 9
    assert reason(file_settings, site.root + "/media/two.mp4") == "http_503"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_private_addresses_are_refused(file_settings: Settings, site: Site, host: str) -> None:
    url = f"http://{host}:{site.root.rsplit(':', 1)[1]}/media/one.mp4"
    assert reason(file_settings, url, allow_private_hosts=False) == "private_address"
    assert not site.requests


def test_a_redirect_to_a_private_address_is_refused(
    file_settings: Settings, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ftp_proxy", "http://127.0.0.1:1")  # makes this one address permitted, as a proxy's is
    assert reason(file_settings, site.root + "/away.mp4", allow_private_hosts=False) == "private_address"
    assert site.requests["/away.mp4"] > 0
    assert site.requests["/media/one.mp4"] == 0


def test_links_in_playlists_and_redirects_to_files_are_refused(
    file_settings: Settings, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ftp_proxy", "http://127.0.0.1:1")
    assert reason(file_settings, site.root + "/inner.m3u8", allow_private_hosts=False) == "private_address"
    assert site.requests["/media/one.mp4"] == 0
    assert reason(file_settings, site.root + "/to-file.mp4") == "unsupported_url"


def test_an_s3_prefix_is_a_source(s3_settings: Settings, file_settings: Settings, tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 1.0)
    bucket = Context(s3_settings).store
    bucket.put("inbox/deep/v.mp4", path.read_bytes())
    bucket.put("inbox/notes.txt", b"no video")
    bucket.put("inbox/deep/v.info.json", b'{"title": "House", "license": "CC0"}')
    store = s3_settings.model_copy(update={"store": s3_settings.store + "/smelter"})
    assert run(store, s3_settings.store + "/inbox")["done"] == 1
    (info,) = records(store)
    assert info["url"] == s3_settings.store + "/inbox/deep/v.mp4"
    assert (info["title"], info["licence"], info["extractor"]) == ("House", "CC0", "s3")
    assert info["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert reason(store, s3_settings.store + "/nothing") == "not_found"


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_bytes", 0), ("retries", -1), ("sources", (" ",)), ("timeout_s", 0), ("search_results", 0)],
)
def test_wrong_settings_are_refused_before_any_work(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"scrape: .*{field}"):
        ScrapeConfig(**{field: value})
