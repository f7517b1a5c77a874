"""Fixtures for operators: a real Ray head, and the environment that leads to it."""

import pytest

from tests.operators.head import Head, shared_head


@pytest.fixture
def head(monkeypatch, tmp_path):
    """The session's Ray head, reachable through the environment, with an empty store."""
    running: Head = shared_head()
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SMELTER_STORE", f"file://{tmp_path}/store")
    return running
