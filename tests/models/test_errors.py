"""A bad recording's error keeps its reason on the way from a worker."""

import pickle

from models.errors import BadRecording


def test_the_reason_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(BadRecording("no_actions", "x.jsonl: expected lines, got none")))
    assert (error.reason, error.message) == ("no_actions", "x.jsonl: expected lines, got none")
    assert str(error) == "no_actions: x.jsonl: expected lines, got none"
    assert isinstance(error, ValueError)
