"""kill -9 in the middle of labelling, again and again: the finished store is byte-identical to an undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stages.stage import Context
from tests import tiny
from tests.integration.conftest import store_settings
from tests.operators.head import shared_head

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def sections(world: Path) -> dict[str, Any]:
    """A recipe whose working clips are pieces of two seconds."""
    return tiny.recipe(world, cut={"max_clip_s": 2.0, "min_tail_s": 0.0})


@pytest.fixture(scope="module")
def prepared(base: tuple[Path, Any], sections: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with working clips and an IDM, to be copied and never written."""
    folder = Path(shutil.copytree(base[0], tmp_path_factory.mktemp("prepared") / "store"))
    tiny.run(store_settings(folder), sections, "cut")
    return folder


@pytest.fixture(scope="module")
def calm(prepared: Path, sections: dict[str, Any]) -> dict[str, bytes]:
    """All objects of that store once labels and shards were written undisturbed."""
    folder = Path(shutil.copytree(prepared, prepared.parent / "calm"))
    return finished(folder, sections, "label", "shard")


def finished(folder: Path, sections: dict[str, Any], *stages: str) -> dict[str, bytes]:
    """All objects of a store after these stages."""
    tiny.run_flow(store_settings(folder), sections, stages)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    store = Context(store_settings(folder)).store
    return {key: store.get(key) for key in store.keys("")}


def on_cluster() -> dict[str, str]:
    """The environment that joins the tests' Ray head, as a Ray job's driver has it."""
    head = shared_head()
    address = {"RAY_ADDRESS": f"127.0.0.1:{head.ports.gcs}", "RAY_AUTH_TOKEN_PATH": str(head.token_path)}
    return {**address, "RAY_AUTH_MODE": "token"}


def label(folder: Path, sections: dict[str, Any], cluster: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start the label job, in one process or on the cluster."""
    command = [sys.executable, "-m", "stages.label", "--store", f"file://{folder}"]
    command += [] if cluster else ["--ray", "off"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SMELTER_CACHE_DIR": str(folder.parent / f"cache-{folder.name}")}
    env |= cluster or {}
    return subprocess.Popen(
        [*command, "--config", json.dumps(sections)], env=env, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE
    )


def kill_after_labels(process: subprocess.Popen[bytes], folder: Path, count: int) -> None:
    """Kill once `count` clips have data or a record: between two objects, or within one."""
    deadline = time.monotonic() + 120
    while len(list((folder / "5_labels").glob("idm=[0-9a-f]*/*/*"))) < count and process.poll() is None:
        assert time.monotonic() < deadline, "label made no progress within two minutes"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.services
@pytest.mark.parametrize("where", ["one process", "ray"])
def test_killed_and_repaired_equals_undisturbed(
    prepared: Path, calm: dict[str, bytes], sections: dict[str, Any], tmp_path: Path, where: str
) -> None:
    hurt = Path(shutil.copytree(prepared, tmp_path / "hurt"))
    cluster = on_cluster() if where == "ray" else None
    for count in (1, 3):
        kill_after_labels(label(hurt, sections, cluster), hurt, count)
    half = [key for key in contents(hurt) if key.startswith("_ledger/label")]
    process = label(hurt, sections, cluster)
    summary = json.loads(process.communicate()[0].splitlines()[-1])
    assert process.returncode == 0
    assert len(half) <= summary["skipped"], "what was committed before a kill is not done again"
    assert summary["done"] + summary["skipped"] == 8, "two videos of 8 s in pieces of 2 s"
    found = finished(hurt, sections, "shard")
    assert sorted(found) == sorted(calm)
    assert [key for key in calm if found[key] != calm[key]] == []


@pytest.mark.services
def test_two_runs_at_once_leave_one_store(
    prepared: Path, calm: dict[str, bytes], sections: dict[str, Any], tmp_path: Path
) -> None:
    twice = Path(shutil.copytree(prepared, tmp_path / "twice"))
    processes = [label(twice, sections) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert all(json.loads(output.splitlines()[-1])["quarantined"] == 0 for output in outputs)
    assert finished(twice, sections, "shard") == calm
