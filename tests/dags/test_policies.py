"""What holds for every DAG, the graph of each, and how assets join them. Nothing runs here."""

import ast
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for path in (ROOT / "dags").glob("*.py") if path.name != "__init__.py")

DESCRIBE = """
import json, sys, time
import airflow.sdk
heavy = {"torch", "ray", "pyarrow", "numpy", "pandas", "av", "cv2", "obstore", "s3fs", "yt_dlp"}
before = heavy & set(sys.modules)
from airflow.dag_processing.dagbag import DagBag
class Nothing:
    objects = ()
bag = DagBag(sys.argv[1])
found = {"errors": bag.import_errors, "heavy": sorted(heavy & set(sys.modules) - before)}
found["seconds"] = {stat.file: stat.duration.total_seconds() for stat in bag.dagbag_stats}
found["dags"] = {
    dag.dag_id: {
        "file": dag.fileloc,
        "doc": dag.doc_md or "",
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "timetable": type(dag.timetable).__name__,
        "assets": [asset.name for asset in (getattr(dag.timetable, "asset_condition", None) or Nothing).objects],
        "params": {
            name: {"description": param.description, "schema": param.schema}
            for name, param in ((name, dag.params.get_param(name)) for name in dag.params)
        },
        "tasks": {
            task.task_id: {
                "owner": task.owner,
                "retries": task.retries,
                "policy": task.retry_policy is not None,
                "operator": type(task).__name__,
                "downstream": sorted(task.downstream_task_ids),
                "outlets": [asset.name for asset in task.outlets],
                "in_flight": task.max_active_tis_per_dagrun,
            }
            for task in dag.tasks
        },
    }
    for dag in bag.dags.values()
}
print("RESULT" + json.dumps(found))
"""

EDGES = {
    "ingest_contractor": "ingest>shard shard>publish",
    "train_filter": "train_filter>publish",
    "train_idm": "train_idm>publish",
    "train_policy": "train>publish",
    "takedown": "takedown>shard takedown>shard_truth shard>publish shard_truth>publish_truth",
    "label_videos": "scrape>plan_batches plan_batches>segment segment>duplicates duplicates>batch.filter "
    "batch.filter>batch.cut batch.cut>batch.label batch.label>shard shard>publish",
}
"""The edges that each DAG must have, in flow order."""

OUTLETS = {
    "ingest_contractor": {"publish": ["ground_truth"]},
    "train_filter": {"publish": ["filter"]},
    "train_idm": {"publish": ["idm"]},
    "train_policy": {"publish": ["policy"]},
    "label_videos": {"publish": ["snapshot"]},
    "label_nightly": {"publish": ["snapshot"]},
    "takedown": {"publish": ["snapshot"], "publish_truth": ["ground_truth"]},
    "smoke": {},
}
CONSUMES = {"train_idm": ["ground_truth"], "train_policy": ["snapshot"]}


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """Every DAG, parsed in a process of its own with an empty Airflow home."""
    home = tmp_path_factory.mktemp("airflow")
    env = {
        "PATH": "/usr/bin:/bin",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
    }
    command = [sys.executable, "-c", DESCRIBE, str(ROOT / "dags")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.split("RESULT", 1)[1])


def edges(dag) -> set[str]:
    return {f"{name}>{below}" for name, task in dag["tasks"].items() for below in task["downstream"]}


def test_every_file_parses_and_imports_nothing_heavy(described, record_property, capsys):
    assert described["errors"] == {}
    assert described["heavy"] == []
    assert set(described["dags"]) == {path.stem for path in FILES}
    for name, seconds in described["seconds"].items():
        record_property(f"parse seconds of {name}", seconds)
    with capsys.disabled():
        print(f" slowest parse {max(described['seconds'].values()):.2f} s", end="")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_file_is_short_explicit_and_imports_no_other(path):
    source = path.read_text()
    assert len(source.splitlines()) < 100
    tree = ast.parse(source)
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any((module or "").startswith("dags") for module in imported)
    (call,) = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "DAG"]
    assert call.args[0].value == path.stem, "a DAG is found by its file's name"
    assert {"schedule", "tags", "doc_md"} <= {keyword.arg for keyword in call.keywords}
    assert ast.get_docstring(tree).startswith("### ")


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_every_dag_keeps_the_rules(described, name):
    dag = described["dags"][name]
    assert len(dag["doc"]) > 150
    assert "smelter" in dag["tags"]
    assert dag["catchup"] is False
    assert dag["max_active_runs"] == 1
    for task_id, task in dag["tasks"].items():
        assert task["owner"] == "smelter", task_id
        assert task["retries"] == 2, task_id
        assert task["policy"], f"{task_id}: a wrong setting must not be retried"
    for param, about in dag["params"].items():
        assert len(about["description"] or "") > 15, f"{param} needs a description for the form"
        assert {"type", "enum"} & set(about["schema"]), f"{param} needs a type"


@pytest.mark.parametrize("name", EDGES)
def test_edges_are_as_designed(described, name):
    assert edges(described["dags"][name]) >= set(EDGES[name].split())


def test_smoke_runs_every_stage_of_the_flow_in_order(described):
    found = edges(described["dags"]["smoke"])
    flow = ["scrape", "segment", "duplicates", "filter", "cut", "label", "shard", "train", "check"]
    wanted = {f"{a}>{b}" for a, b in itertools.pairwise(flow)}
    assert found >= wanted | {"ingest>shard_truth", "shard_truth>train_idm", "train_idm>label", "train_filter>filter"}


def test_nightly_has_the_tasks_of_label_videos(described):
    nightly, by_hand = described["dags"]["label_nightly"], described["dags"]["label_videos"]
    assert set(nightly["tasks"]) - set(by_hand["tasks"]) == {"read_searches"}
    assert edges(nightly) >= edges(by_hand)
    assert nightly["timetable"] == "CronTriggerTimetable"


def test_assets_join_the_dags(described):
    dags = described["dags"]
    outlets = {
        name: {task_id: task["outlets"] for task_id, task in dag["tasks"].items() if task["outlets"]}
        for name, dag in dags.items()
    }
    assert outlets == OUTLETS
    assert {name: dag["assets"] for name, dag in dags.items() if dag["assets"]} == CONSUMES


def test_mapped_stages_hold_a_bounded_number_of_jobs(described):
    tasks = described["dags"]["label_videos"]["tasks"]
    limits = {name: task["in_flight"] for name, task in tasks.items() if task["in_flight"]}
    assert limits == dict.fromkeys(("segment", "batch.filter", "batch.cut", "batch.label"), 4)
