"""Fixtures for operators: a real Ray head, and the environment that leads to it."""

import atexit
import os
import shutil
import tempfile

import pytest

from tests.operators.head import Head, shared_head

# Airflow writes its configuration to its home when it is imported: not into the home of the person who runs the tests.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="smelter-airflow-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)


@pytest.fixture
def head(monkeypatch, tmp_path):
    """The session's Ray head, reachable through the environment, with an empty store."""
    running: Head = shared_head()
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SMELTER_STORE", f"file://{tmp_path}/store")
    return running
