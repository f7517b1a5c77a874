"""Reading contractor recordings: every quirk that VPT's loader knew, and those that it got wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.action_schema import load_schema
from models.actions import BUTTONS
from models.contractor import Recording, actions_of, parse_jsonl, player_of, read_recording, recorder_version
from models.dataset import load_recordings, part
from models.errors import BadRecording
from tests.models.game import line, play, write_jsonl, write_mp4, write_recording

NAME = "amber-otter-setter-e1be358bd0a7-20261110-024034"


def read(lines: list[Any], version: str | None = None) -> Recording:
    return actions_of(lines, NAME, version)


def frames_with(recording: Recording, button: str) -> list[int]:
    return np.flatnonzero(recording.buttons[:, BUTTONS.index(button)]).tolist()


def small_video(path: Path, frames: int) -> None:
    write_mp4(path, np.full((frames, 36, 64, 3), 90, dtype=np.uint8))


def test_a_recording_gives_back_what_was_played(tmp_path: Path) -> None:
    write_recording(tmp_path, NAME, length=60, seed=3)
    frames, recording = read_recording(tmp_path / f"{NAME}.mp4", tmp_path / f"{NAME}.jsonl")
    buttons, mouse = play(60, 3)
    assert frames.shape == (60, 128, 128, 3)
    assert (recording.buttons == buttons).all()
    assert np.allclose(recording.camera_deg, mouse * 0.15)
    assert recording.known.all()
    assert recording.player == "amber-otter-setter-e1be358bd0a7"


def test_small_mouse_motion_is_not_truncated() -> None:
    """The released conversion cut 2 to 6 pixels to no motion at all. Pitch is dy, yaw is dx."""
    recording = read([line(dx=3.0, dy=-2.0)])
    assert recording.camera_deg[0].tolist() == pytest.approx([-0.3, 0.45])


@pytest.mark.parametrize(("version", "factor"), [("5.8", 0.5), ("6.8", 2.0), ("6.10", 1.0), (None, 1.0)])
def test_mouse_motion_in_menus_is_scaled_by_recorder_version(version: str | None, factor: float) -> None:
    recording = read([line(dx=10.0), line(dx=10.0, isGuiOpen=True)], version)
    assert recording.camera_deg[:, 1].tolist() == pytest.approx([1.5, 1.5 * factor])


def test_the_version_comes_from_the_folder() -> None:
    assert recorder_version(Path("data/6.8/x.jsonl")) == "6.8"
    assert recorder_version(Path("data/contractor/x.jsonl")) is None


def test_attack_held_since_before_the_start_is_stuck_until_pressed_anew() -> None:
    held = [line(buttons=[0], newButtons=[0]), line(buttons=[0, 1]), line(), line(buttons=[0], newButtons=[0]), line()]
    recording = read(held)
    assert frames_with(recording, "attack") == [3]
    assert frames_with(recording, "use") == [1]


def test_attack_pressed_later_is_not_stuck() -> None:
    assert frames_with(read([line(), line(buttons=[0], newButtons=[0])]), "attack") == [1]


def test_hotbar_key_is_pressed_as_long_as_it_is_held() -> None:
    """The slot follows one line after the key; that is no second press."""
    recording = read([line(keys=["key.keyboard.3"]), line(hotbar=2), line(hotbar=2)])
    assert frames_with(recording, "hotbar.3") == [0]


def test_a_scrolled_slot_becomes_a_press_where_the_wheel_turned() -> None:
    recording = read([line(), line(dwheel=-1.0), line(hotbar=1), line(hotbar=1)])
    assert frames_with(recording, "hotbar.2") == [1]


def test_a_slot_that_changes_without_key_or_wheel_is_pressed_where_it_changed() -> None:
    assert frames_with(read([line(), line(), line(hotbar=4), line(hotbar=4)]), "hotbar.5") == [2]


def test_a_slot_other_than_the_first_is_no_press_on_frame_0() -> None:
    assert not read([line(hotbar=5), line(hotbar=5)]).buttons.any()


def test_escape_closes_a_menu_as_inventory_and_is_nothing_elsewhere() -> None:
    escape = ["key.keyboard.escape"]
    recording = read([line(keys=escape, isGuiOpen=True), line(keys=escape)])
    assert frames_with(recording, "inventory") == [0]


def test_a_null_device_makes_the_frame_unknown() -> None:
    lines = [line(keys=["key.keyboard.w"]), {**line(), "mouse": None}, {**line(), "keyboard": None}, {"tick": 3}]
    recording = read(lines)
    assert recording.known.tolist() == [True, False, False, False]
    assert frames_with(recording, "forward") == [0]


def test_missing_fields_mean_nothing_happened() -> None:
    recording = read([{"mouse": {"dx": 2}, "keyboard": {}}])
    assert recording.known.all()
    assert recording.camera_deg[0].tolist() == pytest.approx([0.0, 0.3])


def test_motion_that_is_no_number_makes_the_frame_unknown() -> None:
    recording = read([line(dx=float("nan")), line(dx="fast"), line(dx=1.0), line(dx=10**400), line(dy=-1e300)])
    assert recording.known.tolist() == [False, False, True, False, False]
    assert np.isfinite(recording.camera_deg).all()


def test_a_broken_line_keeps_its_place(tmp_path: Path) -> None:
    small_video(tmp_path / f"{NAME}.mp4", 30)
    lines: list[Any] = [line() for _ in range(30)]
    lines[7], lines[8] = '{"mouse": {"x": 64', line(keys=["key.keyboard.w"])
    write_jsonl(tmp_path / f"{NAME}.jsonl", lines)
    _, recording = read_recording(tmp_path / f"{NAME}.mp4", tmp_path / f"{NAME}.jsonl")
    assert np.flatnonzero(~recording.known).tolist() == [7]
    assert frames_with(recording, "forward") == [8]


def test_blank_lines_are_skipped(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [line(), "", "  ", line()])
    assert len(parse_jsonl(tmp_path / "a.jsonl")) == 2


def refusal(tmp_path: Path, lines: list[Any], frames: int) -> BadRecording:
    small_video(tmp_path / f"{NAME}.mp4", frames)
    write_jsonl(tmp_path / f"{NAME}.jsonl", lines)
    with pytest.raises(BadRecording) as caught:
        read_recording(tmp_path / f"{NAME}.mp4", tmp_path / f"{NAME}.jsonl")
    return caught.value


def test_many_broken_lines_are_refused_with_the_first_line_number(tmp_path: Path) -> None:
    error = refusal(tmp_path, [line(), "broken", line(), "[1, 2]", *[line()] * 26], 30)
    assert error.reason == "jsonl_broken_line"
    assert "line 2" in error.message


def test_a_file_without_actions_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, ["", ""], 5).reason == "no_actions"
    assert refusal(tmp_path, [{"tick": i} for i in range(5)], 5).reason == "no_actions"


def test_counts_far_apart_are_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, [line()] * 30, 20)
    assert error.reason == "count_mismatch"
    assert "20 frames and 30 action lines" in error.message


def test_a_difference_beside_a_broken_line_is_refused(tmp_path: Path) -> None:
    """Which frame the lines after the broken one belong to can no longer be told."""
    assert refusal(tmp_path, [line()] * 5 + ["broken"] + [line()] * 25, 30).reason == "count_mismatch"


@pytest.mark.parametrize(("frames", "lines"), [(30, 32), (32, 30)])
def test_a_torn_end_keeps_what_both_have(tmp_path: Path, frames: int, lines: int) -> None:
    small_video(tmp_path / f"{NAME}.mp4", frames)
    write_jsonl(tmp_path / f"{NAME}.jsonl", [line()] * lines)
    pictures, recording = read_recording(tmp_path / f"{NAME}.mp4", tmp_path / f"{NAME}.jsonl")
    assert len(pictures) == len(recording) == 30


def test_positions_become_the_walk_of_the_frames_that_are_left(tmp_path: Path) -> None:
    small_video(tmp_path / f"{NAME}.mp4", 30)
    lines = [line(xpos=0, ypos=0, zpos=0.2 * i, yaw=0, pitch=9) for i in range(32)]
    write_jsonl(tmp_path / f"{NAME}.jsonl", lines)
    _, recording = read_recording(tmp_path / f"{NAME}.mp4", tmp_path / f"{NAME}.jsonl")
    np.testing.assert_allclose(recording.walk, np.tile([1, 0, 0, 0.2], (30, 1)), atol=1e-6)
    (found,), _ = load_recordings(tmp_path)
    np.testing.assert_array_equal(part(found, 5, 25).walk, recording.walk[5:25])


def test_the_cursor_is_drawn_in_menus_only(tmp_path: Path) -> None:
    write_mp4(tmp_path / f"{NAME}.mp4", np.full((4, 360, 640, 3), 90, dtype=np.uint8))
    write_jsonl(tmp_path / f"{NAME}.jsonl", [line(), line(isGuiOpen=True), line(isGuiOpen=True, x=100.0), line()])
    frames, _ = read_recording(tmp_path / f"{NAME}.mp4", tmp_path / f"{NAME}.jsonl")
    bright = [np.argwhere(frame.max(axis=2) > 150) for frame in frames]
    assert [len(b) > 0 for b in bright] == [False, True, True, False]
    assert abs(bright[1][:, 1].mean() - 65) < 2
    assert abs(bright[2][:, 1].mean() - 11) < 2


def test_names_without_the_pattern_are_their_own_player() -> None:
    assert player_of(NAME) == "amber-otter-setter-e1be358bd0a7"
    assert player_of("anything") == "anything"


def test_another_game_is_read_by_its_schema_and_has_none_of_minecrafts_quirks() -> None:
    """Letters, mouse buttons and the wheel press; no stuck button, no slots, no menu key, no factor in menus."""
    desktop = load_schema("desktop")
    lines = [
        line(buttons=[0], newButtons=[0], hotbar=1),
        line(keys=["key.keyboard.q", "key.keyboard.right.shift"], hotbar=2),
        line(dwheel=1.0, dx=10.0, isGuiOpen=True),
        line(dwheel=-2.0, buttons=[2], keys=["key.keyboard.escape", "key.keyboard.f12"], isGuiOpen=True),
    ]
    recording = actions_of(lines, NAME, "6.8", desktop)
    held = [[b for b, down in zip(desktop.buttons, row, strict=True) if down] for row in recording.buttons]
    assert held == [["mouse.left"], ["shift", "q"], ["scroll.up"], ["mouse.middle", "scroll.down", "escape"]]
    assert recording.camera_deg[2].tolist() == pytest.approx([0.0, 0.5])
