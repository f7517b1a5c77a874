"""What joins the DAGs. An event says that something new is there, and its `extra` says how much."""

from typing import Any

from airflow.sdk import Asset, task
from airflow.sdk.exceptions import AirflowSkipException

GROUND_TRUTH = Asset("ground_truth", uri="smelter://pointers/ground_truth", group="smelter")
"""The snapshot of contractor recordings moved."""
FILTER = Asset("filter", uri="smelter://pointers/filter", group="smelter")
"""A better clean classifier was promoted."""
IDM = Asset("idm", uri="smelter://pointers/idm", group="smelter")
"""A better inverse dynamics model was promoted."""
SNAPSHOT = Asset("snapshot", uri="smelter://pointers/snapshot", group="smelter")
"""The snapshot of labelled play moved."""
POLICY = Asset("policy", uri="smelter://pointers/policy", group="smelter")
"""A better policy was promoted."""


def publish(asset: Asset, summary: Any, task_id: str = "publish") -> Any:
    """Add the task that announces a stage's result: skipped, without an event, if the stage changed nothing.

    Args:
        summary: output of the stage's task; its field `changed` decides, its plain values become the event's `extra`.
    """

    @task(task_id=task_id, outlets=[asset])
    def announce(summary: dict[str, Any] | None, *, outlet_events: Any = None) -> dict[str, Any]:
        counts = plain_values(summary or {})
        if not counts.get("changed"):
            raise AirflowSkipException(f"nothing new for {asset.name}: {counts or 'no summary'}")
        outlet_events[asset].extra = counts
        return counts

    return announce(summary)


def plain_values(summary: dict[str, Any]) -> dict[str, Any]:
    """The numbers, names and flags of a summary, without nested tables."""
    return {name: value for name, value in summary.items() if isinstance(value, str | int | float | bool)}
