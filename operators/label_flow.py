"""The tasks that turn sources into a snapshot of labelled play, shared by `label_videos` and `label_nightly`.

    scrape -> plan_batches -> segment[0..n] -> duplicates -> batch[0..n]: filter -> cut -> label -> shard -> publish

A batch is a part of all videos by the hash of their ids, so it needs no manifest and means the same to every stage.
`duplicates` compares all videos with each other, so it waits for every batch of `segment`, and `cut` waits for it.
"""

import math
from typing import Any

from airflow.sdk import DAG, Param, task, task_group

from operators.assets import SNAPSHOT, publish
from operators.defaults import JOBS_IN_FLIGHT, MAX_BATCHES
from operators.stage_operators import (
    CutOperator,
    DuplicatesOperator,
    FilterOperator,
    LabelOperator,
    ScrapeOperator,
    SegmentOperator,
    ShardOperator,
)

INTAKE_PARAMS = {
    "blacklist": Param(
        ["preset:vpt"],
        type="array",
        items={"type": "string"},
        description="Words in title or description that keep a video out; `preset:vpt`: the paper's 15.",
    ),
    "allow": Param(
        [],
        type="array",
        items={"type": "string"},
        description="Regular expressions: title or description must hold one of them. Empty: everything is let in.",
    ),
    "deny": Param(
        [],
        type="array",
        items={"type": "string"},
        description="Regular expressions that keep a video out: in title, description or uploader.",
    ),
    "licence_policy": Param(
        "any",
        type="string",
        enum=["any", "creative-commons"],
        description="`creative-commons`: only videos that state such a licence.",
    ),
    "max_per_source": Param(0, type="integer", minimum=0, description="Most videos from one source; 0 means all."),
    "consent": Param("", type="string", description="On what basis these sources are used; it travels to the shards."),
}
"""Parameters that decide what is let in, before any download. A changed rule judges refused videos again."""

MODEL_PARAMS = {
    "idm": Param("champion", type="string", description="IDM that labels: its 12 hex digits, or `champion`."),
    "filter": Param("champion", type="string", description="Filter that judges: its 12 hex digits, or `champion`."),
    "threshold": Param(
        0.5, type="number", minimum=0, maximum=1, description="Score from which a sampled frame counts as clean."
    ),
    "min_clean_share": Param(
        0.8,
        type="number",
        minimum=0,
        maximum=1,
        description="Share of clean samples that a video needs (paper: 0.8); 0 keeps every clean run.",
    ),
}
"""Parameters that decide what the snapshot holds."""

RUN_PARAMS = {
    "limit": Param(0, type="integer", minimum=0, description="Most new videos that scrape takes in; 0 means all."),
    "retry_quarantined": Param(
        "",
        type="string",
        description="Try units again that were put aside: `all`, or one reason such as `http_404`.",
    ),
    "batch_size": Param(
        20, type="integer", minimum=1, description="Videos per mapped task; Ray shares the work out inside a task."
    ),
}
"""Parameters that say how much to do, not what the result is."""


def recipe_of(dag: DAG) -> dict[str, dict[str, Any]]:
    """The recipe, sections by stage name, that MODEL_PARAMS stand for; read when a task runs."""
    rule = {name: dag.param(name) for name in ("threshold", "min_clean_share")}
    return {"filter": {"model": dag.param("filter"), **rule}, "label": {"idm": dag.param("idm")}}


def count_batches(videos: int, size: int) -> int:
    """Batches for so many videos: at most MAX_BATCHES, which then hold more videos each."""
    return min(MAX_BATCHES, math.ceil(videos / size))


@task
def plan_batches(scraped: Any, size: Any) -> list[str]:
    """The names of the batches: `0/4`, `1/4` and so on."""
    count = count_batches(int(scraped["videos"]), int(size))
    return [f"{index}/{count}" for index in range(count)]


def label_flow(dag: DAG, sources: Any) -> Any:
    """Add the tasks to `dag`, which has INTAKE_PARAMS, MODEL_PARAMS and RUN_PARAMS; returns the last one.

    Args:
        sources: what to scrape: a list, a parameter of the DAG, or the output of a task.
    """
    intake = {name: dag.param(name) for name in INTAKE_PARAMS}
    recipe = {"scrape": {"sources": sources, **intake}, **recipe_of(dag)}
    common: dict[str, Any] = {"config": recipe, "retry_quarantined": dag.param("retry_quarantined")}
    mapped = {**common, "max_active_tis_per_dagrun": JOBS_IN_FLIGHT, "map_index_template": "batch {{ task.batch }}"}
    scrape = ScrapeOperator(task_id="scrape", limit=dag.param("limit"), **common)

    @task_group(group_id="batch")
    def label_batch(batch: str) -> None:
        keep = FilterOperator(task_id="filter", batch=batch, **mapped)
        cut = CutOperator(task_id="cut", batch=batch, **mapped)
        label = LabelOperator(task_id="label", batch=batch, **mapped)
        keep >> cut >> label

    batches: Any = plan_batches(scrape.output, dag.param("batch_size"))
    segment = SegmentOperator.partial(task_id="segment", **mapped).expand(batch=batches)
    duplicates = DuplicatesOperator(task_id="duplicates", **common)
    shard = ShardOperator(task_id="shard", **common)
    segment >> duplicates >> label_batch.expand(batch=batches) >> shard
    return publish(SNAPSHOT, shard.output)
