"""Every DAG, run once for real: Airflow's own runner, a real Ray head, a store on disk, a tiny world."""

import json

import pytest

from tests.dags.conftest import Teller

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def story(teller: Teller):
    """What `tests/dags/story.py` reports."""
    (line,) = [line for line in teller.text().splitlines() if line.startswith("RESULT")]
    return json.loads(line.removeprefix("RESULT"))


@pytest.mark.parametrize(
    "name",
    ["ingest_contractor", "train_filter", "train_idm", "label_videos", "train_policy", "takedown", "smoke"],
)
def test_every_task_succeeds(story, name):
    assert story[name]["state"] == "success", story[name]
    states = {task: set(found) for task, found in story[name]["tasks"].items()}
    if name == "takedown":  # a web video is no ground truth: that snapshot has not moved, so nothing is announced
        assert states.pop("publish_truth") == {"skipped"}
    assert set.union(*states.values()) == {"success"}


@pytest.mark.parametrize(
    ("name", "asset", "count", "value"),
    [
        ("ingest_contractor", "ground_truth", "rows", 3 * 96),
        ("train_idm", "idm", "changed", True),
        ("train_filter", "filter", "changed", True),
        ("label_videos", "snapshot", "videos", 2),
        ("train_policy", "policy", "changed", True),
        ("takedown", "snapshot", "videos", 1),
    ],
)
def test_a_change_is_announced_with_its_counts(story, name, asset, count, value):
    (event,) = [extra for event_asset, extra in story[name]["events"] if event_asset == asset]
    assert event[count] == value


def test_videos_go_through_mapped_batches(story):
    tasks = story["label_videos"]["tasks"]
    assert {len(tasks[name]) for name in ("segment", "batch.filter", "batch.cut", "batch.label")} == {2}
    assert len(tasks["duplicates"]) == 1
    assert story["label_videos"]["results"]["plan_batches"] == ["0/2", "1/2"]


def test_a_night_without_news_announces_nothing(story):
    assert story["label_nightly"]["state"] == "success"
    assert story["label_nightly"]["events"] == []
    assert story["label_nightly"]["tasks"]["publish"] == ["skipped"]


def test_takedown_names_the_models_and_leaves_ground_truth_alone(story):
    assert [asset for asset, _ in story["takedown"]["events"]] == ["snapshot"]


def test_smoke_checks_rows_and_policy_in_a_store_of_its_own(story):
    found = story["smoke"]["results"]["check"]
    assert found["rows"] > 0
    assert len(found["policy"]) == 12
    assert "/_smoke/" in story["smoke"]["results"]["choose_store"]
