"""RayJobOperator: one Airflow task is one Ray job, submitted over HTTP and awaited by a trigger.

A job has a submission id made of what the task is, so a retry, a second scheduler or a crash between submitting and
remembering finds the same job again instead of starting another. The id ends in an epoch, kept in Airflow's task state
store and raised only when the earlier job is of no use: it failed, it was stopped, or the head lost it. A new epoch
repeats work safely, because stages commit every unit once (design section 2).
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from operators.connections import job_environment, ray_endpoint, store_settings
from operators.ray_api import SUCCEEDED, AsyncRayJobs, JobInfo, JobRequest, RayJobExists, RayJobs, RayJobUnknown
from operators.ray_trigger import KILL_PATIENCE_S, LOST, OUTAGE_PATIENCE_S, POLL_S, RayJobTrigger, watch

STATE_KEY = "ray_job"  # renaming it makes retries in flight start over
LINK_KEY = "ray_job_url"
MAX_LOST = 5
"""New epochs within one try; each one needs a head that took a job and forgot it."""


class RayJobFailed(AirflowException):
    """The job ended as FAILED or STOPPED; the message carries the end of its log."""


class RayJobMisconfigured(AirflowFailException):
    """The stage refused its configuration. Trying again cannot help, so Airflow does not."""


_REFUSAL = re.compile(r"^\w+: ConfigError: |: error: (unrecognized|the following|argument)", re.MULTILINE)
"""How `stages/cli.py` ends on a wrong configuration."""


def submission_id(*parts: object, name: str, epoch: int) -> str:
    """A readable, deterministic id: the task's name, a digest of `parts`, the epoch."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:12]
    return f"{re.sub('[^A-Za-z0-9_.-]', '-', name)[:60]}-{digest}-e{epoch}"


class RayJobLink(BaseOperatorLink):
    """The button "Ray job" on the task's page; it works while the job runs."""

    @property
    def name(self) -> str:
        return "Ray job"

    @property
    def xcom_key(self) -> str:
        return LINK_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        return BaseXCom.get_value(key=LINK_KEY, ti_key=ti_key) or ""


class RayJobOperator(BaseOperator):
    """Run a command line as a Ray job and return the summary that it prints last.

    Args:
        entrypoint: the command line, quoted for a shell.
        env_vars: environment variables of the job, over those of `operators/connections.py`.
        deferrable: wait in the triggerer, which costs no worker slot; False waits in the task.
        poll_s: seconds between two looks at a job that runs for long.
    """

    template_fields: Sequence[str] = ("entrypoint", "env_vars")
    operator_extra_links = (RayJobLink(),)
    ui_color = "#e8f1fb"

    def __init__(
        self,
        *,
        entrypoint: str = "",
        env_vars: dict[str, str] | None = None,
        deferrable: bool = True,
        poll_s: float = POLL_S,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entrypoint = entrypoint
        self.env_vars = env_vars
        self.deferrable = deferrable
        self.poll_s = poll_s
        self._job_id = ""

    def execute(self, context: Any) -> Any:
        return self._follow(context, self._attach_or_submit(context))

    def command(self) -> str:
        """The job's command line; called on the worker, after templates are rendered."""
        return self.entrypoint

    def done(self, context: Any, event: dict[str, Any], lost: int = 0) -> Any:
        """The job ended: return its summary, start a new epoch if the head lost it, or raise.

        Raises:
            RayJobFailed: FAILED, STOPPED or out of reach; Airflow may retry.
            RayJobMisconfigured: the job refused its configuration; Airflow does not retry.
        """
        self._job_id = event["job_id"]
        if event["status"] == LOST and lost < MAX_LOST:
            self.log.warning("%s; submitting it again", event["message"])
            state = context["task_state_store"].get(STATE_KEY) or {}
            return self._follow(context, self._submit(context, state.get("epoch", 0) + 1), lost + 1)
        if event["status"] != SUCCEEDED:
            self._fail(event)
        state = context["task_state_store"].get(STATE_KEY) or {}
        context["task_state_store"].set(STATE_KEY, {**state, "is_closed": True})
        return event["summary"]

    def on_kill(self) -> None:
        """The task is being killed while it submits or waits: stop the job."""
        if self._job_id:
            RayJobs(ray_endpoint(), KILL_PATIENCE_S).stop(self._job_id)

    def _follow(self, context: Any, job_id: str, lost: int = 0) -> Any:
        if self.deferrable:
            self.defer(trigger=RayJobTrigger(job_id, self.poll_s), method_name="done", kwargs={"lost": lost})
        return self.done(context, asyncio.run(self._wait(job_id)), lost)

    async def _wait(self, job_id: str) -> dict[str, Any]:
        async with AsyncRayJobs(ray_endpoint(), OUTAGE_PATIENCE_S) as jobs:
            return await watch(jobs, job_id, self.log.info, self.poll_s)

    def _attach_or_submit(self, context: Any) -> str:
        """The job of an earlier try if it is of use, else a new one."""
        past = context["task_state_store"].get(STATE_KEY) or {}
        if not past:
            return self._submit(context, 0)
        if past.get("is_closed"):  # the task succeeded and a person cleared it: do it again
            return self._submit(context, past["epoch"] + 1)
        info = self._look(past["job_id"])
        if info is not None and (info.is_active or info.status == SUCCEEDED):
            self.log.info("Attaching to Ray job %s, which is %s", info.job_id, info.status)
            return self._remember(context, info.job_id, past["epoch"])
        self.log.info("Ray job %s is %s: new epoch", past["job_id"], info.status if info else LOST)
        return self._submit(context, past["epoch"] + 1)

    def _submit(self, context: Any, epoch: int) -> str:
        """Start the job of this epoch, or attach to it if an earlier try started it and could not say so."""
        ti, command = context["ti"], self.command()
        parts = (ti.dag_id, ti.run_id, ti.task_id, ti.map_index, command)
        job_id = submission_id(*parts, name=_name(ti), epoch=epoch)
        env = {**job_environment(store_settings()), **(self.env_vars or {})}
        try:
            RayJobs(ray_endpoint()).submit(JobRequest(job_id, command, _metadata(ti), env))
            self.log.info("Submitted Ray job %s: %s", job_id, command)
        except RayJobExists:
            info = self._look(job_id)
            if info is None or not (info.is_active or (info.status == SUCCEEDED and ti.try_number > 1)):
                return self._submit(context, epoch + 1)  # of no use, or the leftover of a run of the same name
            self.log.info("Attaching to Ray job %s, which an earlier try submitted", job_id)
        return self._remember(context, job_id, epoch)

    def _remember(self, context: Any, job_id: str, epoch: int) -> str:
        self._job_id = job_id
        context["task_state_store"].set(STATE_KEY, {"job_id": job_id, "epoch": epoch, "is_closed": False})
        url = ray_endpoint().job_url(job_id)
        context["ti"].xcom_push(key=LINK_KEY, value=url)
        self.log.info("Ray dashboard: %s", url)
        return job_id

    def _look(self, job_id: str) -> JobInfo | None:
        try:
            return RayJobs(ray_endpoint()).status(job_id)
        except RayJobUnknown:
            return None

    def _fail(self, event: dict[str, Any]) -> NoReturn:
        headline = event["message"].partition("\n")[0]  # Ray repeats the log after it
        message = (
            f"expected Ray job {event['job_id']} to succeed, it is {event['status']}: {headline}\n"
            f"page: {ray_endpoint().job_url(event['job_id'])}\nend of its log:\n{event['tail'] or '(empty)'}"
        )
        refused = event["status"] == "FAILED" and _REFUSAL.search(event["tail"])
        raise (RayJobMisconfigured if refused else RayJobFailed)(message)


def _name(ti: Any) -> str:
    index = f".{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
    return f"{ti.dag_id}.{ti.task_id}{index}"


def _metadata(ti: Any) -> dict[str, str]:
    """Who asked for the job; Ray keeps strings only."""
    return {name: str(getattr(ti, name)) for name in ("dag_id", "run_id", "task_id", "map_index", "try_number")}
