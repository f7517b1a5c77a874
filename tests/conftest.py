"""Fixtures that several folders of tests share: a clean environment, stores on a folder and on a real S3 server."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.settings import Settings, load_settings
from tests import seaweed

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the settings of the person who runs it."""
    for name in list(os.environ):
        if name.startswith(("SMELTER_", "AWS_")) or name == "RAY_ADDRESS":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[seaweed.SeaweedFS]:
    """One SeaweedFS for the session."""
    server = seaweed.start(tmp_path_factory.mktemp("weed"))
    yield server
    server.stop()


@pytest.fixture
def file_settings(tmp_path: Path) -> Settings:
    """A store in a fresh folder."""
    return load_settings(store=f"file://{tmp_path}/store", cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def s3_settings(s3_server: seaweed.SeaweedFS, tmp_path: Path) -> Settings:
    """A store under a fresh prefix of a real bucket."""
    return s3_server.settings(f"smelter/{uuid.uuid4().hex[:8]}", cache_dir=str(tmp_path / "cache"))


@pytest.fixture(params=["file", "s3"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """Each test runs on both kinds of store."""
    return request.getfixturevalue(f"{request.param}_settings")
