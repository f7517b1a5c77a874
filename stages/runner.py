"""The one door to Ray: plan a stage, fan its units out with bounded work in flight, count what happened.

Workers commit and quarantine (`stages/worker.py`); the driver only plans, feeds and counts, so killing it loses no
finished unit. A `prepare` step (decoding) runs as Ray tasks that feed the actors which hold the weights.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from stages.errors import BadInput, ServiceError, SmelterError
from stages.plan import Batch, make_plan
from stages.progress import StageProgress
from stages.stage import Context, Stage, Unit
from stages.worker import UNEXPECTED, WORKER_CRASHED, Outcome, Prepared, prepare_unit, process_unit, quarantine_unit

logger = logging.getLogger(__name__)

CALLS_AHEAD = 2
"""Calls per GPU worker whose units are decoded ahead, so that it never waits and memory stays bounded."""
CRASHES_ALLOWED = 2
"""A unit whose worker dies this often is quarantined: it is the likely cause."""
BREAKER = 5
"""Unexpected errors that stop a run when they are most of its outcomes: the fault is ours, not the input's."""


def run_stage(
    stage: Stage[Any],
    ctx: Context,
    *,
    limit: int = 0,
    batch: Batch | None = None,
    retry: str = "",
    ray: str = "auto",
) -> dict[str, Any]:
    """Run one stage to its end and return the summary that the command line prints.

    Args:
        limit: most units to do; 0 means all.
        batch: this run's part of the units.
        retry: `all` or a reason: try those quarantined units again.
        ray: `auto` joins the cluster of RAY_ADDRESS or starts a local one; `off` works in this process.

    Raises:
        ConfigError, ServiceError: the run stopped; what was committed stays.
    """
    started = time.monotonic()
    ctx.store.probe()
    plan = make_plan(stage, ctx, limit=limit, batch=batch, retry=retry)
    held = f", {plan.held.total()} held in quarantine" if plan.held else ""
    logger.info(
        "%s: %d units wanted, %d to do, %d done before%s", stage.name, plan.wanted, len(plan.todo), plan.skipped, held
    )
    with StageProgress(stage.name, len(plan.todo)) as progress:
        for outcome in _outcomes(stage, ctx, plan.todo, ray):
            progress.add(outcome.reason)
            _check_breaker(progress, outcome)
    ctx.ledger.compact(stage.name)
    counts = {"planned": len(plan.todo), "done": progress.done - progress.reasons.total(), "skipped": plan.skipped}
    return {
        "stage": stage.name,
        **counts,
        "quarantined": progress.reasons.total(),
        "seconds": round(time.monotonic() - started, 2),
        "reasons": dict(progress.reasons),
        "held": dict(plan.held),
        **stage.finish(ctx, counts),
    }


def _outcomes(stage: Stage[Any], ctx: Context, units: list[Unit], ray: str) -> Iterator[Outcome]:
    if not units:  # starting Ray takes longer than finding out that nothing is to do
        return
    if ray == "off":
        stage.setup(ctx)
        yield from (process_unit(stage, ctx, unit) for unit in units)
        return
    with _Cluster() as cluster:
        yield from _Fan(stage, ctx, cluster.workers_for(stage, ctx, len(units)), cluster.worker(stage, ctx)).run(units)


def _check_breaker(progress: StageProgress, outcome: Outcome) -> None:
    unexpected = progress.reasons[UNEXPECTED] + progress.reasons[WORKER_CRASHED]
    everything_failed = progress.done == progress.total and unexpected == progress.done
    if everything_failed or (unexpected >= BREAKER and unexpected > progress.done / 2):
        raise ServiceError(
            f"{unexpected} of {progress.done} units of {progress.name} failed in a way nobody foresaw, so it stopped; "
            f"the last one, {outcome.unit}: {outcome.message}"
        )


class _Cluster:
    """A connection to Ray for the length of a run."""

    def __enter__(self) -> "_Cluster":
        import ray

        os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # identical progress lines of two workers are both meant
        try:
            ray.init(
                address=os.environ.get("RAY_ADDRESS") or "local",
                include_dashboard=False if not os.environ.get("RAY_ADDRESS") else None,
                logging_level=logging.WARNING,
                log_to_driver=True,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            address = os.environ.get("RAY_ADDRESS", "local")
            raise ServiceError(f"expected Ray at {address!r}, got: {error}; start it or pass --ray off") from None
        self.total = ray.cluster_resources()
        self.has_gpu = self.total.get("GPU", 0) > 0
        return self

    def worker(self, stage: Stage[Any], ctx: Context) -> dict[str, float]:
        """What one actor takes: GPUs where there are any, else CPUs, at most all of them; one that leads, nothing."""
        if stage.resources.leads and ctx.settings.train_workers > 1:
            return {"num_cpus": 0}
        if self.has_gpu and stage.resources.gpus:
            return {"num_gpus": stage.resources.gpus, "num_cpus": 0}
        return {"num_cpus": min(stage.resources.cpus, self.total.get("CPU", 1))}

    def workers_for(self, stage: Stage[Any], ctx: Context, units: int) -> int:
        """As many workers as the cluster holds and the units can feed."""
        worker = self.worker(stage, ctx)
        if not any(worker.values()):
            return 1
        room = int(
            self.total["GPU"] / worker["num_gpus"] if "num_gpus" in worker else self.total["CPU"] / worker["num_cpus"]
        )
        calls = -(-units // stage.resources.units_per_call)
        return max(1, min(room, calls, ctx.settings.max_workers or room))

    def __exit__(self, *_: object) -> None:
        import ray

        ray.shutdown()


class _Actor:
    """The body of a Ray actor: one stage, set up once, working through units."""

    def __init__(self, stage: Stage[Any], ctx: Context) -> None:
        self._stage, self._ctx, self._ready = stage, ctx, False

    def run(self, units: list[Unit], *prepared: Prepared) -> list[Outcome]:
        if not self._ready:
            self._stage.setup(self._ctx)
            self._ready = True
        given: tuple[Prepared | None, ...] = prepared or (None,) * len(units)
        return [process_unit(self._stage, self._ctx, unit, ready) for unit, ready in zip(units, given, strict=True)]


@dataclass
class _Call:
    """Units on their way to a worker, with their `prepare` tasks where those run apart."""

    units: list[Unit]
    prepared: list[Any] = field(default_factory=list)
    crashes: int = 0


class _Fan:
    """Feeds units to actors with bounded work in flight, and survives the death of workers.

    An actor has one call at a time, so a crash is blamed on the units that ran, never on units that waited.
    """

    def __init__(self, stage: Stage[Any], ctx: Context, workers: int, worker: dict[str, float]) -> None:
        import ray

        self._ray, self._stage, self._ctx = ray, stage, ctx
        self._actor_class = ray.remote(_Actor).options(**worker)
        self._idle = [self._spawn() for _ in range(workers)]
        # Decoding apart from the actors pays where they wait on a GPU; on CPUs it would only copy frames around.
        ahead = "num_gpus" in worker and type(stage).prepare is not Stage.prepare
        self._prefetch = workers * CALLS_AHEAD if ahead else 0

    def run(self, units: list[Unit]) -> Iterator[Outcome]:
        size = self._stage.resources.units_per_call
        calls = deque(_Call(units[i : i + size]) for i in range(0, len(units), size))
        flying: dict[Any, tuple[_Call, Any]] = {}
        while calls or flying:
            self._prepare_ahead(calls)
            while calls and self._idle:
                call, actor = calls.popleft(), self._idle.pop()
                flying[actor.run.remote(call.units, *call.prepared)] = call, actor
            (ref, *_), _ = self._ray.wait(list(flying), num_returns=1)
            yield from self._collect(ref, *flying.pop(ref), calls)

    def _spawn(self) -> Any:
        return self._actor_class.remote(self._stage, self._ctx)

    def _prepare_ahead(self, calls: deque[_Call]) -> None:
        task = self._ray.remote(prepare_unit)
        for call in list(islice(calls, self._prefetch)):
            call.prepared = call.prepared or [task.remote(self._stage, self._ctx, unit) for unit in call.units]

    def _collect(self, ref: Any, call: _Call, actor: Any, calls: deque[_Call]) -> Iterator[Outcome]:
        exceptions = self._ray.exceptions
        try:
            outcomes = self._ray.get(ref)
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, SmelterError):
                raise error.cause from None
            raise
        except exceptions.RayError as error:
            logger.warning("%s: a worker died: %s", self._stage.name, str(error).partition("\n")[0])
            self._ray.kill(actor)
            self._idle.append(self._spawn())
            yield from self._crashed(call, calls)
            return
        self._idle.append(actor)
        yield from outcomes

    def _crashed(self, call: _Call, calls: deque[_Call]) -> Iterator[Outcome]:
        """Try each unit of a lost call alone; put aside one that keeps killing its worker."""
        if len(call.units) > 1 or call.crashes + 1 < CRASHES_ALLOWED:
            alone = len(call.units) == 1
            calls.extend(_Call([unit], crashes=call.crashes + 1 if alone else 0) for unit in call.units)
            return
        message = f"its worker process died {CRASHES_ALLOWED} times: out of memory, or a crash in native code"
        yield quarantine_unit(self._stage, self._ctx, call.units[0], BadInput(WORKER_CRASHED, message))
