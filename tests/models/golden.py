"""OpenAI's released code on tiny random models: where the numbers lie and how a test asks for them."""

from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden"


def golden_path(name: str) -> Path:
    """Path of one golden file; skips the test where the golden files are not beside the repository."""
    path = GOLDEN / name
    if not path.is_file():
        pytest.skip(f"the released code's numbers ({name}) are not beside this checkout")
    return path


def golden_numbers(name: str) -> dict[str, np.ndarray]:
    """Arrays of `<name>.golden.npz`."""
    with np.load(golden_path(f"{name}.golden.npz")) as arrays:
        return dict(arrays)
