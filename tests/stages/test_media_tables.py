"""The grid and the samples as Parquet: what goes in comes out, and the same content is the same bytes."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from stages.media_grid import Grid
from stages.media_scan import Scan
from stages.media_tables import ROWS_PER_GROUP, grid_from_parquet, grid_to_parquet, write_samples

GRID = Grid(
    np.array([0, 1, 1, 3], dtype=np.int32), np.array([0, 41_000, 41_000, 150_000]), -700, Fraction(1001, 30_000), False
)


def test_a_grid_comes_back_with_its_clock() -> None:
    data = grid_to_parquet(GRID)
    back = grid_from_parquet(data)
    assert back.frame.tolist() == GRID.frame.tolist()
    assert back.pts_us.tolist() == GRID.pts_us.tolist()
    assert (back.first_pts, back.time_base, back.is_regular) == (-700, Fraction(1001, 30_000), False)
    assert grid_to_parquet(back) == data


def test_samples_are_written_in_groups(tmp_path: Path) -> None:
    count = ROWS_PER_GROUP + 3
    jpegs = [b"x" * (index % 5 + 1) for index in range(count)]
    (tmp_path / "spool").write_bytes(b"".join(jpegs) + b"left over")
    steps, ends = np.arange(count, dtype=np.int32) * 20 // 3, np.cumsum([len(jpeg) for jpeg in jpegs])
    found = Scan(GRID, (), steps, ends, 4, 0.2, 20.0, 10, 10, 0)
    write_samples(found, tmp_path / "spool", tmp_path / "a.parquet")
    write_samples(found, tmp_path / "spool", tmp_path / "b.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    assert table["jpeg"].to_pylist() == jpegs
    assert table["sample"].to_pylist() == list(range(count))
    assert table["time_s"].to_pylist() == (steps / 20).tolist()
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 2
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_grid_is_written_and_read_without_pandas() -> None:
    code = (
        "import sys; from tests.stages.test_media_tables import GRID, grid_from_parquet, grid_to_parquet;"
        "grid_from_parquet(grid_to_parquet(GRID)); sys.exit('pandas' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
