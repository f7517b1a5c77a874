"""What intake is measured against."""

from pathlib import Path

from infra.intake_peers import lengthened
from stages.media import scan


def test_a_lengthened_video_keeps_regular_time_across_its_joints(tmp_path: Path) -> None:
    longer = lengthened(Path("data/sample/web/yfKiDuRj7ee.mp4"), 300, tmp_path)
    found = scan(longer, tmp_path / "spool")
    assert found.grid.is_regular
    assert not found.damage
    assert abs(found.duration_s - 300) < 1
