"""The story of all DAGs is minutes of waiting for processes: it begins with the session, and its tests come last."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import tiny
from tests.operators.head import ROOT, Head

PATIENCE_S = 850


class Teller:
    """`tests/dags/story.py` in the background, with a Ray head of its own: other tests restart theirs."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sst-", dir="/tmp"))
        self.head = Head()
        world = self.folder / "world"
        tiny.recordings(world / "contractor")
        tiny.web(world / "web", videos=2)
        tiny.labelled_frames(world / "frames", videos=6)
        self.log = self.folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.dags.story", str(world)],
                cwd=ROOT,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        home = self.folder / "airflow"
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SMELTER_", "AIRFLOW"))},
            **self.head.environment(),
            "PYTHONPATH": str(ROOT),
            "SMELTER_STORE": f"file://{self.folder}/store",
            "SMELTER_MAX_WORKERS": "1",  # the world is tiny: a second worker costs more to start than it does
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        }

    def text(self) -> str:
        """What the story printed, once it has ended well."""
        status = self.process.wait(PATIENCE_S)
        text = self.log.read_text(errors="replace")
        assert status == 0, text[-3000:]
        return text

    def close(self) -> None:
        """End the story if somebody stopped listening, and its head."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.head.close()
        shutil.rmtree(self.folder, ignore_errors=True)


_tellers: list[Teller] = []


def _is_story(item: pytest.Item) -> bool:
    return item.path.name == "test_runs.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_is_story)


def pytest_collection_finish(session: pytest.Session) -> None:
    if any(map(_is_story, session.items)) and not session.config.option.collectonly:
        _tellers.append(Teller())


def pytest_unconfigure() -> None:
    while _tellers:
        _tellers.pop().close()


@pytest.fixture(scope="session")
def teller() -> Teller:
    """The story that began with the session."""
    return _tellers[0]
