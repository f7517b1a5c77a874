"""Waiting for a Ray job without blocking: what the triggerer runs, and what a waiting task runs too.

The triggerer imports this module by name, so the repository root must be on its path; Airflow adds no DAG folder there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from operators.connections import aray_endpoint
from operators.job_log import LogCursor, summary_of, tail_of
from operators.ray_api import AsyncRayJobs, JobInfo, RayApiError, RayJobUnknown

LOST = "LOST"
UNREACHABLE = "UNREACHABLE"
POLL_S = 2.0
OUTAGE_PATIENCE_S = 900.0
"""How long the trigger waits for a silent head before it gives the task back: a node needs minutes to restart."""
KILL_PATIENCE_S = 15.0  # Airflow allows a kill hook 30 s


async def watch(jobs: AsyncRayJobs, job_id: str, say: Callable[[str], Any], poll_s: float) -> dict[str, Any]:
    """Wait for the job's end and say each new line of its log.

    Returns:
        `job_id`, `status` (a final state of Ray, or LOST, or UNREACHABLE), `message`, `exit_code`, `summary` (the
        stage's, or None) and `tail` (the end of the log).
    """
    cursor, started = LogCursor(), time.monotonic()
    try:
        while (info := await jobs.status(job_id)).is_active:
            log = await _log(jobs, job_id)
            for line in cursor.new_lines(log):
                say(line)
            # Short jobs are noticed soon; the API sends the whole log each time, so long ones are asked less often.
            await asyncio.sleep(min(poll_s, 0.5 + (time.monotonic() - started) / 10) + len(log) / 500_000)
    except RayJobUnknown as error:
        return _event(JobInfo(job_id, LOST, str(error)), "")
    except RayApiError as error:
        return _event(JobInfo(job_id, UNREACHABLE, str(error)), "")
    log = await _log(jobs, job_id)
    for line in cursor.new_lines(log, last=True):
        say(line)
    return _event(info, log)


async def _log(jobs: AsyncRayJobs, job_id: str) -> str:
    try:
        return await jobs.logs(job_id)
    except RayApiError:  # the log lies on the driver's node, which may be gone; the status decides, not the log
        return ""


def _event(info: JobInfo, log: str) -> dict[str, Any]:
    return {
        "job_id": info.job_id,
        "status": info.status,
        "message": info.message,
        "exit_code": info.exit_code,
        "summary": summary_of(log),
        "tail": tail_of(log),
    }


class RayJobTrigger(BaseTrigger):
    """Awaits one job in the triggerer; its event is the result of `watch`."""

    def __init__(self, job_id: str, poll_s: float = POLL_S) -> None:
        super().__init__()
        self.job_id = job_id
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "operators.ray_trigger.RayJobTrigger", {"job_id": self.job_id, "poll_s": self.poll_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        async with AsyncRayJobs(await aray_endpoint(), OUTAGE_PATIENCE_S) as jobs:
            yield TriggerEvent(await watch(jobs, self.job_id, self.log.info, self.poll_s))

    async def on_kill(self) -> None:
        """A user cleared the task or marked it: stop the job. Never called when the triggerer restarts."""
        async with AsyncRayJobs(await aray_endpoint(), KILL_PATIENCE_S) as jobs:
            stopped = await jobs.stop(self.job_id)
        self.log.info("Ray job %s %s", self.job_id, "stops" if stopped else "had ended")
