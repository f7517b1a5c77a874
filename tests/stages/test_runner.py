"""The runner, without Ray and on a real local Ray: counts, quarantine, crashes, and a second run that does nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stages.errors import ServiceError
from stages.runner import _Fan, run_stage
from stages.settings import Settings
from stages.stage import Context
from tests.toy import Toy, ToyConfig


def run(
    settings: Settings, *numbers: int, ray: str = "off", fields: dict[str, Any] | None = None, **options: Any
) -> dict:
    stage = Toy(ToyConfig(numbers=numbers, **(fields or {})))
    return run_stage(stage, Context(settings), ray=ray, **options)


def contents(settings: Settings) -> dict[str, bytes]:
    store = Context(settings).store
    return {key: store.get(key) for key in store.keys("toy")}


def test_second_run_does_nothing(settings: Settings) -> None:
    first = run(settings, 1, 2, 13)
    assert (first["planned"], first["done"], first["quarantined"], first["reasons"]) == (3, 2, 1, {"bad_luck": 1})
    again = run(settings, 1, 2, 13)
    assert (again["planned"], again["done"], again["skipped"], again["held"]) == (0, 0, 2, {"bad_luck": 1})
    assert sorted(contents(settings).values()) == [b"1", b"4"]


def test_a_config_field_that_matters_is_other_work(file_settings: Settings) -> None:
    run(file_settings, 2)
    assert run(file_settings, 2, fields={"power": 3})["done"] == 1


def test_retry_quarantined_by_reason(file_settings: Settings) -> None:
    run(file_settings, 13)
    assert run(file_settings, 13, retry="other_reason")["planned"] == 0
    assert run(file_settings, 13, retry="bad_luck")["quarantined"] == 1
    assert [q.attempt for q in Context(file_settings).ledger.quarantined("toy").values()] == [2]


def test_a_broken_service_stops_the_run_and_keeps_what_was_done(file_settings: Settings) -> None:
    with pytest.raises(ServiceError, match="expected a service, got none"):
        run(file_settings, 1, 500, 2)
    assert list(contents(file_settings).values()) == [b"1"]
    assert Context(file_settings).ledger.quarantined("toy") == {}


def test_one_unexpected_error_is_put_aside(file_settings: Settings) -> None:
    summary = run(file_settings, 1, 2, 404)
    assert summary["reasons"] == {"unexpected_error": 1}
    (entry,) = Context(file_settings).ledger.quarantined("toy").values()
    assert "KeyError: 'a bug'" in entry.message


def test_nothing_but_unexpected_errors_stops_the_run(file_settings: Settings) -> None:
    with pytest.raises(ServiceError, match="1 of 1 units of toy failed in a way nobody foresaw"):
        run(file_settings, 404)


GPU = {"num_gpus": 1.0, "num_cpus": 0}


@pytest.fixture
def gpu_cluster() -> Iterator[None]:
    """A local Ray that counts one GPU, so that the path which decodes ahead of GPU workers runs here too."""
    import ray

    ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, logging_level="WARNING")
    yield
    ray.shutdown()


@pytest.mark.services
def test_on_ray_with_crashing_workers(file_settings: Settings, tmp_path: Path) -> None:
    """One worker dies once, one unit kills every worker it meets; everything else is done."""
    fields = {"die_once": str(tmp_path / "died"), "fatal": 8}
    summary = run(file_settings, *range(10), 13, ray="auto", fields=fields)
    assert (tmp_path / "died").exists()
    assert (summary["done"], summary["reasons"]) == (9, {"bad_luck": 1, "worker_crashed": 1})
    assert sorted(map(int, contents(file_settings).values())) == [n * n for n in range(10) if n != 8]


@pytest.mark.services
def test_on_gpu_workers_units_are_prepared_ahead(file_settings: Settings, gpu_cluster: None) -> None:
    stage, ctx = Toy(ToyConfig(numbers=(*range(6), 13))), Context(file_settings)
    outcomes = list(_Fan(stage, ctx, workers=1, worker=GPU).run(list(stage.units(ctx))))
    assert [o.reason for o in outcomes if not o.done] == ["bad_luck"]
    with pytest.raises(ServiceError, match="expected a service, got none; start it"):
        list(_Fan(stage, ctx, workers=1, worker=GPU).run(list(Toy(ToyConfig(numbers=(500,))).units(ctx))))
