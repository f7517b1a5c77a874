"""What every task gets unless its DAG says otherwise, each value with its reason."""

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

OWNER = "smelter"

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="operators.ray_api.RayUnauthorized",
            action=RetryAction.FAIL,
            reason="the token is wrong; it stays wrong until a person corrects it",
        ),
        RetryRule(
            exception="stages.errors.ConfigError",
            action=RetryAction.FAIL,
            reason="the configuration is wrong; it stays wrong until a person corrects it",
        ),
        RetryRule(
            exception="operators.ray_api.RayUnreachable",
            action=RetryAction.RETRY,
            retry_delay=timedelta(minutes=2),
            reason="the head node restarts; that takes minutes",
        ),
    ]
)
"""Quarantine has dealt with bad inputs before a task fails, so a failure is a service (retry) or a setting (do not)."""

DEFAULT_ARGS: dict[str, Any] = {
    "owner": OWNER,
    # Two: a lost node and then a slow one. Work is committed unit by unit, so a retry repeats almost nothing.
    "retries": 2,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": RETRY_POLICY,
}

MAX_BATCHES = 200
"""Mapped tasks per stage at most: Airflow spends about 0.4 CPU seconds on each, Ray fans out inside."""

JOBS_IN_FLIGHT = 4
"""Ray jobs of one stage at a time: each driver takes about 200 MB on the head, and one fills a small cluster anyway."""

DAG_DEFAULTS: dict[str, Any] = {
    "catchup": False,  # runs work on what the store lacks, not on a date: an old run has nothing of its own to do
    "max_active_runs": 1,  # two runs at once would plan the same units; commits make that safe but wasteful
    "default_args": DEFAULT_ARGS,
}
