"""RSS and Atom to entries: links, facts, broken and hostile documents."""

from pathlib import Path

import pytest

from stages.feeds import is_feed, read_feed, shortened

RSS = b"""<?xml version="1.0"?><rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"
 xmlns:creativeCommons="http://backend.userland.com/creativeCommonsRssModule"
 xmlns:media="http://search.yahoo.com/mrss/"><channel><title>F</title>
<creativeCommons:license>https://creativecommons.org/licenses/by/4.0/</creativeCommons:license>
<item><title>One</title><link>/page</link><description>Day one</description><author>Ann</author>
<pubDate>Fri, 10 May 2024 23:30:00 GMT</pubDate><itunes:duration>1:02:03</itunes:duration>
<enclosure url="/one.mp3" type="audio/mpeg"/><enclosure url="/one.mp4" type="video/mp4"/></item>
<item><title>Two</title><media:content url="https://m.org/two" medium="video" duration="9"/><link>/two</link></item>
<item><title>Three</title><link>javascript:alert(1)</link></item>
<item><title>No link</title></item></channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><entry><title>V</title>
<link rel="alternate" href="https://v.org/watch?v=1"/><link rel="license" href="https://creativecommons.org/publicdomain/zero/1.0/"/>
<published>2023-01-02T03:04:05Z</published><author><name>Bob</name></author></entry></feed>"""
BOMB = b"""<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY f SYSTEM "file:///etc/hostname">]>
<rss><channel><item><title>&b;&f;</title><link>http://x.org/v.mp4</link></item></channel></rss>"""


def test_an_rss_entry_is_its_video_and_what_the_feed_says() -> None:
    one, two, *_ = read_feed(RSS, "https://f.org/feed.xml", 10)
    assert one.url == "https://f.org/one.mp4"
    assert (one.title, one.description, one.uploader) == ("One", "Day one", "Ann")
    assert (one.published, one.duration_s) == ("20240510", 3723.0)
    assert one.licence == "https://creativecommons.org/licenses/by/4.0/", "the feed's own licence"
    assert (two.url, two.duration_s) == ("https://m.org/two", 9.0)


def test_an_atom_entry() -> None:
    (entry,) = read_feed(ATOM, "https://f.org/", 10)
    assert (entry.url, entry.uploader, entry.published) == ("https://v.org/watch?v=1", "Bob", "20230102")
    assert entry.licence == "https://creativecommons.org/publicdomain/zero/1.0/"


def test_entries_without_a_link_are_left_out_and_the_limit_holds() -> None:
    assert [entry.title for entry in read_feed(RSS, "https://f.org/", 10)] == ["One", "Two", "Three"]
    assert len(read_feed(RSS, "https://f.org/", 1)) == 1


def test_a_broken_feed_gives_what_can_be_read() -> None:
    cut = RSS[: RSS.index(b"<item><title>Three")]
    assert [entry.title for entry in read_feed(cut, "https://f.org/", 10)] == ["One", "Two"]


def test_entries_beyond_the_limit_are_not_even_parsed() -> None:
    items = b"".join(b"<item><title>%d</title><link>/%d</link></item>" % (i, i) for i in range(20_000))
    head, tail = RSS[: RSS.index(b"<item>")], b"<copyright>CC BY 4.0</copyright></channel></rss>"
    assert shortened(head + items + tail, 3) == head + items[: items.index(b"<item><title>3<")] + tail
    assert shortened(RSS, 10) == RSS
    assert shortened(ATOM, 1) == ATOM
    found = read_feed(head + items + tail, "https://f.org/", 5)
    assert [entry.url for entry in found] == [f"https://f.org/{i}" for i in range(5)]


def test_entities_neither_grow_nor_read_files() -> None:
    entries = read_feed(BOMB, "https://f.org/", 10)
    host = Path("/etc/hostname").read_text().strip()
    assert all(len(entry.title) < 1001 and host not in entry.title for entry in entries)


@pytest.mark.parametrize(
    ("head", "feed"),
    [
        (RSS[:200], True),
        (b"\xef\xbb\xbf \n" + ATOM[:50], True),
        (b"<!doctype html><html><body>&lt;rss", False),
        (b"<html><a href='<rss'>", False),
        (b"\x00\x00\x00 ftypisom", False),
        (b'<?xml version="1.0"?><MPD>', False),
    ],
)
def test_what_begins_like_a_feed(head: bytes, feed: bool) -> None:
    assert is_feed(head) is feed
