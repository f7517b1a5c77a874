"""RayJobOperator and its trigger against a real Ray head."""

import asyncio
import shlex
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from airflow.sdk.exceptions import TaskDeferred

from operators.ray_api import RayJobs, RayJobUnknown
from operators.ray_job import STATE_KEY, RayJobFailed, RayJobMisconfigured, RayJobOperator, submission_id
from operators.ray_trigger import LOST, RayJobTrigger

pytestmark = pytest.mark.services


@dataclass
class Instance:
    """The part of a task instance that the operator reads, with its XComs in a dict."""

    run_id: str = field(default_factory=lambda: f"run-{uuid.uuid4()}")
    dag_id: str = "test"
    task_id: str = "job"
    map_index: int = -1
    try_number: int = 1
    xcoms: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


class StateStore(dict):
    """Airflow's task state store, in memory: it outlives tries."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def context() -> dict[str, Any]:
    return {"ti": Instance(), "task_state_store": StateStore()}


def operator(code: str, **kwargs: Any) -> RayJobOperator:
    """An operator whose job runs a line of Python."""
    return RayJobOperator(task_id="job", entrypoint=f"python -c {shlex.quote(code)}", poll_s=0.3, **kwargs)


def defer(task: RayJobOperator, ctx: dict[str, Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(ctx)
    return deferred.value


def fire(trigger: RayJobTrigger) -> dict[str, Any]:
    """Run a trigger as the triggerer does and return its event."""

    async def first() -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    return asyncio.run(first())


def jobs_of(head, run_id: str) -> list[dict[str, Any]]:
    found = httpx.get(f"{head.endpoint.address}/api/jobs/", headers={"Authorization": f"Bearer {head.endpoint.token}"})
    return [job for job in found.json() if (job["metadata"] or {}).get("run_id") == run_id]


def wait_for(head, job_id: str, *statuses: str) -> None:
    deadline = time.monotonic() + 40
    while RayJobs(head.endpoint).status(job_id).status not in statuses:
        assert time.monotonic() < deadline, f"{job_id} never became {statuses}"
        time.sleep(0.3)


def test_deferred_job_returns_the_summary_and_leaves_link_and_metadata(head, caplog):
    task = operator('print("hello %d"); print(\'{"stage": "x", "done": 3}\'); print("bye")')
    ctx = context()
    deferral = defer(task, ctx)
    assert RayJobTrigger(**deferral.trigger.serialize()[1]).serialize() == deferral.trigger.serialize()
    event = fire(deferral.trigger)
    assert getattr(task, deferral.method_name)(ctx, event) == {"stage": "x", "done": 3}
    (job,) = jobs_of(head, ctx["ti"].run_id)
    wanted = {"dag_id": "test", "run_id": ctx["ti"].run_id, "task_id": "job", "map_index": "-1", "try_number": "1"}
    assert job["metadata"] == wanted
    assert ctx["ti"].xcoms["ray_job_url"] == f"{head.endpoint.address}/#/jobs/{job['submission_id']}"
    assert head.endpoint.token not in repr(deferral.trigger.serialize()), "a trigger's arguments lie in the database"


def test_waiting_mode_forwards_each_line_once(head, capsys):
    task = operator(
        "import time\nfor i in range(3): print('line', i, flush=True); time.sleep(0.8)\nprint('{\"stage\": \"x\"}')",
        deferrable=False,
    )
    assert task.execute(context()) == {"stage": "x"}
    shown = capsys.readouterr().out + capsys.readouterr().err
    lines = [line for i in range(3) for line in shown.splitlines() if f" line {i} " in f"{line} "]
    assert len(lines) == 3, shown


def test_failure_names_job_page_and_carries_the_end_of_the_log(head):
    task = operator("import sys\nfor i in range(50): print('step', i)\nsys.exit('disk on fire')", deferrable=False)
    with pytest.raises(RayJobFailed) as failure:
        task.execute(context())
    message = str(failure.value)
    assert "it is FAILED" in message
    assert f"page: {head.endpoint.address}/#/jobs/" in message
    assert message.rstrip().endswith("disk on fire")
    assert "step 49" in message
    assert "step 19" not in message.split("end of its log:")[1]


def test_configuration_error_is_not_retried(head):
    task = operator("import sys; sys.exit('label: ConfigError: expected a champion idm, got none')", deferrable=False)
    with pytest.raises(RayJobMisconfigured, match="expected a champion idm"):
        task.execute(context())


def test_crash_between_submitting_and_remembering_finds_the_same_job(head):
    task, ctx = operator("import time; time.sleep(30)"), context()
    first = defer(task, ctx).trigger.job_id
    ctx["task_state_store"].clear()  # the crash: Ray has the job, Airflow does not know
    ctx["ti"].try_number = 2
    assert defer(task, ctx).trigger.job_id == first
    assert len(jobs_of(head, ctx["ti"].run_id)) == 1
    task.on_kill()
    wait_for(head, first, "STOPPED")


def test_retry_attaches_while_the_job_runs_and_after_it_succeeded(head):
    task, ctx = operator('import time; time.sleep(4); print(\'{"stage": "x"}\')'), context()
    first = defer(task, ctx)
    ctx["ti"].try_number = 2
    assert defer(task, ctx).trigger.job_id == first.trigger.job_id
    event = fire(first.trigger)
    ctx["ti"].try_number = 3
    assert defer(task, ctx).trigger.job_id == first.trigger.job_id
    assert task.done(ctx, event) == {"stage": "x"}
    assert len(jobs_of(head, ctx["ti"].run_id)) == 1
    assert defer(task, ctx).trigger.job_id.endswith("-e1"), "a person who clears a finished task wants it done again"


def test_failed_job_gets_a_new_epoch_on_retry(head):
    task, ctx = operator("raise SystemExit(1)"), context()
    first = defer(task, ctx)
    with pytest.raises(RayJobFailed):
        task.done(ctx, fire(first.trigger))
    ctx["ti"].try_number = 2
    second = defer(task, ctx).trigger.job_id
    assert (first.trigger.job_id[-3:], second[-3:]) == ("-e0", "-e1")


@pytest.mark.parametrize("waiting", [False, True])
def test_killing_the_task_stops_the_job(head, waiting):
    ctx = context()
    task = operator("import time; time.sleep(60)", deferrable=not waiting)
    if waiting:
        failures: list[BaseException] = []

        def run() -> None:
            try:
                task.execute(ctx)
            except RayJobFailed as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        while STATE_KEY not in ctx["task_state_store"]:
            time.sleep(0.1)
        job_id = ctx["task_state_store"][STATE_KEY]["job_id"]
        wait_for(head, job_id, "RUNNING")
        task.on_kill()
        thread.join(timeout=40)
        assert "it is STOPPED" in str(failures[0])
    else:
        trigger = defer(task, ctx).trigger
        wait_for(head, trigger.job_id, "RUNNING")
        asyncio.run(trigger.on_kill())
        wait_for(head, trigger.job_id, "STOPPED")


def test_trigger_leaves_the_event_loop_free(head):
    trigger = defer(operator("import time; time.sleep(3)"), context()).trigger

    async def longest_pause() -> float:
        done, worst = asyncio.create_task(anext(trigger.run())), 0.0
        while not done.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - before)
        return worst

    assert asyncio.run(longest_pause()) < 0.5


def test_a_lost_head_means_a_new_epoch(head):
    task, ctx = operator('import time; time.sleep(1); print(\'{"stage": "x"}\')'), context()
    first = defer(task, ctx)
    head.restart()
    with pytest.raises(RayJobUnknown):
        RayJobs(head.endpoint).status(first.trigger.job_id)
    event = fire(first.trigger)
    assert event["status"] == LOST
    with pytest.raises(TaskDeferred) as again:
        task.done(ctx, event)
    assert again.value.trigger.job_id.endswith("-e1")
    assert task.done(ctx, fire(again.value.trigger), **again.value.kwargs) == {"stage": "x"}


def test_submission_id_is_readable_and_depends_on_every_part():
    base = submission_id("dag", "run", "task", -1, "cmd", name="dag.group.task", epoch=0)
    assert base == submission_id("dag", "run", "task", -1, "cmd", name="dag.group.task", epoch=0)
    assert base.startswith("dag.group.task-")
    others = {submission_id("dag", "run", "task", i, "cmd", name="dag.group.task", epoch=0) for i in (0, 1)}
    assert len({base, *others, submission_id("dag", "run2", "task", -1, "cmd", name="dag.group.task", epoch=0)}) == 4
