"""One tiny world and one store with its models, made once: trainings are what whole flows spend their time on."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from stages.settings import Settings, load_settings
from tests import tiny

BASE = tiny.FLOW[: tiny.FLOW.index("cut")]
"""What the shared store has behind it: everything before `cut`."""


def store_settings(folder: Path, **fields: Any) -> Settings:
    """A store in a folder, with a model cache of its own beside it."""
    return load_settings(store=f"file://{folder}", cache_dir=str(folder.parent / f"cache-{folder.name}"), **fields)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, two web videos and labelled frames."""
    return tiny.make_world(tmp_path_factory.mktemp("world"), videos=2)


@pytest.fixture(scope="session")
def base(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The shared store, to be copied and never written, and the summaries of the stages that made it."""
    folder = tmp_path_factory.mktemp("base") / "store"
    return folder, tiny.run_flow(store_settings(folder), tiny.recipe(world), BASE)


@pytest.fixture
def copy_base(base: tuple[Path, Any], tmp_path: Path) -> Any:
    """A function that copies the shared store: `copy_base("name")` -> its folder."""
    return lambda name: Path(shutil.copytree(base[0], tmp_path / name))
