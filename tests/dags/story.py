"""Runs every DAG once with `dag.test()`, in an Airflow of its own, and prints what happened as JSON.

A process of its own, because Airflow reads its home when it is imported. Usage: python -m tests.dags.story <world>
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import select

ROOT = Path(__file__).resolve().parents[2]
LOOSE = {"min_clean_share": 0.1}


def chapters(world: Path) -> list[tuple[str, dict[str, Any]]]:
    """Each DAG and the form that a person would fill in, in an order in which each finds what it needs."""
    return [
        ("ingest_contractor", {"recordings": [str(world / "contractor")], "licence": "CC0-1.0"}),
        ("train_filter", {"frames": str(world / "frames"), "overlays": 0}),
        ("train_idm", {"max_steps": 2, "held_out": ["amber-otter"]}),
        ("label_videos", {"sources": [str(world / "web")], **LOOSE, "batch_size": 1}),
        ("train_policy", {"max_steps": 2}),
        ("label_nightly", LOOSE),
        ("takedown", {"video": video_id(world / "web" / "video0.mp4"), "reason": "its author asked", **LOOSE}),
        ("smoke", {"sample": str(world), "steps": 2}),
    ]


def video_id(path: Path) -> str:
    """How the store names a video: the beginning of its file's sha256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:20]


def events() -> list[tuple[str, dict[str, Any]]]:
    """Asset events so far: name and extra."""
    with create_session() as session:
        query = select(AssetModel.name, AssetEvent.extra).join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
        return [(name, extra) for name, extra in session.execute(query.order_by(AssetEvent.id))]


def report(run: DagRun, before: int) -> dict[str, Any]:
    """States of tasks (of mapped ones all), their results, and the events of one run."""
    states: dict[str, list[str]] = {}
    with create_session() as session:
        for ti in session.merge(run).get_task_instances(session=session):
            states.setdefault(ti.task_id, []).append(str(ti.state))
        query = select(XComModel.task_id, XComModel.value).where(
            XComModel.run_id == run.run_id, XComModel.dag_id == run.dag_id, XComModel.key == "return_value"
        )
        results = dict(map(tuple, session.execute(query)))
    return {"state": str(run.state), "tasks": states, "results": results, "events": events()[before:]}


def main(world: Path) -> None:
    """Run all chapters, whatever becomes of each."""
    initdb()
    dags = DagBag(str(ROOT / "dags")).dags
    found = {}
    for name, conf in chapters(world):
        before = len(events())
        found[name] = report(dags[name].test(run_conf=conf), before)
    print("\nRESULT" + json.dumps(found, default=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
