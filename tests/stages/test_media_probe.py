"""What a header says, and that FFmpeg opens nothing but the file it was given."""

from pathlib import Path

import pytest

from stages.errors import BadInput
from stages.media import MediaLimits, probe
from tests import videos


def test_a_probe_says_what_the_header_says(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 25, 2.0, size=(640, 360), rotation=90, with_audio_s=2.0)
    found = probe(path)
    assert (found.codec, found.width, found.height, found.fps, found.frames) == ("h264", 640, 360, 25.0, 50)
    assert (found.rotation, found.has_video, found.has_audio) == (90, True, True)
    assert found.duration_s == pytest.approx(2.0)


def test_silent_upright_video(tmp_path: Path) -> None:
    found = probe(videos.constant_rate(tmp_path / "v.mkv", 30, 2.0))
    assert (found.rotation, found.has_audio) == (0, False)
    assert found.duration_s == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(
    "script",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{secret}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.mp4\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
    ids=["hls", "concat", "sdp"],
)
def test_a_script_cannot_make_ffmpeg_open_another_file(tmp_path: Path, script: str) -> None:
    secret = videos.constant_rate(tmp_path / "secret.mp4", 30, 1.0)
    (tmp_path / "v.mp4").write_text(script.format(secret=secret))
    with pytest.raises(BadInput) as caught:
        probe(tmp_path / "v.mp4")
    assert caught.value.reason == "not_a_video"


def test_a_name_with_a_protocol_in_it_is_a_name(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 1.0)
    assert probe(path.rename(tmp_path / "http:x?y=1%20.mp4")).frames == 30


def test_frames_that_grow_in_mid_stream_are_not_decoded(tmp_path: Path) -> None:
    small = videos.constant_rate(tmp_path / "small.ts", 30, 1.0, size=(160, 90)).read_bytes()
    large = videos.constant_rate(tmp_path / "large.ts", 30, 1.0, size=(640, 360)).read_bytes()
    (tmp_path / "v.ts").write_bytes(small + large)
    from stages.media import scan

    limits = MediaLimits(max_pixels=320 * 180)
    assert scan(tmp_path / "v.ts", tmp_path / "spool", MediaLimits()).frames == 60
    assert scan(tmp_path / "v.ts", tmp_path / "spool", limits).frames <= 31
