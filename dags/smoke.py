"""
### Smoke: the whole flow, small

Runs every stage on the bundled sample against the real services, in a store of its own (`<store>/_smoke/<time>`), with
a few training steps. Minutes on two cores; nothing of it counts for other DAGs. Remove `_smoke/` when you like.

`check` is green only if videos were fetched, frames were labelled and a policy was trained.
"""

from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowException

from operators.defaults import DAG_DEFAULTS
from operators.stage_operators import (
    CutOperator,
    DuplicatesOperator,
    FilterOperator,
    IngestOperator,
    LabelOperator,
    ScrapeOperator,
    SegmentOperator,
    ShardOperator,
    TrainFilterOperator,
    TrainIdmOperator,
    TrainOperator,
)

SAMPLE = Path(__file__).resolve().parents[1] / "data/sample"


@task
def choose_store(ts_nodash: str) -> str:
    """A fresh place beside the real data."""
    from operators.connections import store_settings

    return f"{store_settings().require_store()}/_smoke/{ts_nodash}"


@task
def check(scraped: dict[str, Any], sharded: dict[str, Any], trained: dict[str, Any]) -> dict[str, Any]:
    """Every step left something."""
    found = {"videos": scraped["videos"], "rows": sharded.get("rows", 0), "policy": trained["champion"]}
    if not all(found.values()):
        raise AirflowException(f"expected videos, labelled rows and a policy, got {found}; see the log of each task")
    return found


with DAG(
    "smoke",
    doc_md=__doc__,
    schedule=None,  # by hand, after an installation or an upgrade
    tags=["smelter", "care"],
    params={
        "sample": Param(str(SAMPLE), type="string", description="The sample, as the Ray workers see it."),
        "steps": Param(20, type="integer", minimum=1, description="Training steps of each model."),
    },
    **DAG_DEFAULTS,
) as dag:
    store: Any = choose_store()
    steps = dag.param("steps")
    recipe = {"scrape": {"sources": ["{{ params.sample }}/web"]}, "filter": {"min_clean_share": 0.0}}
    flow: dict[str, Any] = {"store": store, "config": recipe}

    ingest = IngestOperator(task_id="ingest", recordings=["{{ params.sample }}/contractor"], store=store)
    truth = ShardOperator(task_id="shard_truth", labels="truth", store=store)
    idm = TrainIdmOperator(task_id="train_idm", max_steps=steps, store=store)
    clean = TrainFilterOperator(task_id="train_filter", frames="{{ params.sample }}/frames", overlays=0, store=store)
    scrape = ScrapeOperator(task_id="scrape", **flow)
    segment = SegmentOperator(task_id="segment", **flow)
    duplicates = DuplicatesOperator(task_id="duplicates", **flow)
    keep = FilterOperator(task_id="filter", **flow)
    cut = CutOperator(task_id="cut", **flow)
    label = LabelOperator(task_id="label", **flow)
    shard = ShardOperator(task_id="shard", **flow)
    train = TrainOperator(task_id="train", max_steps=steps, **flow)

    ingest >> truth >> idm >> label
    scrape >> segment >> duplicates >> keep >> cut >> label >> shard >> train
    clean >> keep
    check(scrape.output, shard.output, train.output)
