"""Pictures: they are drawn, whatever the report lacks."""

from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from models.evaluate import compare, write_report
from models.plots import _plot_curve, plot_history
from tests.models.test_evaluate import guess, played


def test_a_report_becomes_a_picture_beside_it(tmp_path: Path) -> None:
    elk = played("elk", 0)
    write_report(compare([elk], [guess(elk, np.arange(300) % 5 == 0)]), tmp_path / "a.json")
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture.shape[0] > 800
    assert picture.std() > 10
    with Image.open(tmp_path / "a.png") as small:
        assert small.mode == "P", "256 colours: it is kept with the model"


def test_a_report_without_events_or_motion_is_drawn_too(tmp_path: Path) -> None:
    """No button occurs often enough for a macro average, and no R2 exists where nothing moves."""
    elk = played("elk", 0, length=110)
    elk.buttons[:] = False
    elk.camera_deg[:] = 0
    report = compare([elk], [guess(elk, np.zeros(110, bool))])
    assert report["overall"]["event_f1"] is None
    assert report["overall"]["camera"]["r2"]["mean"] is None
    write_report(report, tmp_path / "a.json")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_a_curve_is_drawn_into_the_report(tmp_path: Path) -> None:
    elk = played("elk", 0)
    report = compare([elk], [guess(elk, np.arange(300) % 5 == 0)])
    figures = report["headline"]["outside_menus"]["model"]
    curve = [{"minutes": m, "outside_menus": {**figures, "camera_r2_yaw": None}} for m in (5, 10)]
    write_report(report, tmp_path / "without.json")
    write_report(report, tmp_path / "with.json", curve)
    pictures = [cv2.imread(str(tmp_path / f"{name}.png")) for name in ("without", "with")]
    assert (pictures[0] != pictures[1]).any(axis=(1, 2)).sum() > 100, "rows of the picture that the curve changed"


def test_a_figure_that_no_point_of_a_curve_has_is_not_drawn_as_zero() -> None:
    known = {"camera_r2_pitch": 0.9, "camera_r2_yaw": None, "joint_accuracy": 0.5, "event_f1_pooled": None}
    later = known | {"event_f1_pooled": 0.25}
    ax = Figure().subplots()
    _plot_curve(ax, [{"minutes": m, "outside_menus": figures} for m, figures in ((5, known), (10, later))])
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}
    assert set(drawn) == {"pitch R2", "all keys right", "event F1, pooled"}
    assert np.isnan(drawn["event F1, pooled"][0])
    assert drawn["event F1, pooled"][1] == 0.25


def test_a_history_becomes_a_picture(tmp_path: Path) -> None:
    plot_history([{"step": 10, "loss": 3.0}, {"step": 20, "loss": 2.0}], tmp_path / "loss.png", "idm")
    assert (tmp_path / "loss.png").stat().st_size > 1000
