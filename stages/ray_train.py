"""Several workers train one model: Ray Train starts them and sets up their process group, and knows nothing else.

Each worker runs the stage's own `fit` on the snapshot in the store and takes its part of every batch
(`models.parallel`); the first one keeps the checkpoints in the store, the last step's included, so nothing travels back
through Ray. A worker that dies ends the run; the same command, or Airflow's retry, goes on from the checkpoint.
"""

from typing import TYPE_CHECKING, Any

from stages.errors import ConfigError, ServiceError, SmelterError
from stages.stage import Context, Unit

if TYPE_CHECKING:
    from stages.training import TrainingStage


def train_on_workers(stage: "TrainingStage[Any]", unit: Unit, ctx: Context) -> None:
    """Train a unit with `settings.train_workers` workers, each on a GPU where the cluster has any, else on one CPU.

    Raises:
        ConfigError: no Ray, too few CPUs or GPUs, or what a worker says is wrong with the configuration.
        ServiceError: a worker died.
    """
    import ray
    from ray.train import RunConfig, ScalingConfig, WorkerGroupError
    from ray.train.torch import TorchTrainer

    count = ctx.settings.train_workers
    if not ray.is_initialized():
        raise ConfigError(f"SMELTER_TRAIN_WORKERS is {count}, which needs Ray; drop `--ray off` or set it to 1")
    kind = _check_room(count, ray.cluster_resources())
    with ctx.workspace() as folder:
        trainer = TorchTrainer(
            _work,
            train_loop_config={"stage": stage, "unit": unit, "ctx": ctx},
            scaling_config=ScalingConfig(num_workers=count, use_gpu=kind == "GPU"),
            run_config=RunConfig(name="run", storage_path=folder),
        )
        try:
            trainer.fit()
        except WorkerGroupError as error:
            raise _cause(error.worker_failures) from None


def _check_room(count: int, total: dict[str, float]) -> str:
    """The kind of resource that a worker takes, if the cluster has enough; Ray would wait for it without a word."""
    kind = "GPU" if total.get("GPU", 0) else "CPU"
    if total.get(kind, 0) < count:
        raise ConfigError(
            f"SMELTER_TRAIN_WORKERS is {count}, expected at most the cluster's {total.get(kind, 0):g} {kind}s; lower it"
        )
    return kind


def _work(given: dict[str, Any]) -> None:
    """One worker, in the process group that Ray has set up."""
    import torch
    from ray.train.torch import get_device

    from models.parallel import Distributed

    device = get_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)  # one CPU each: more threads would spin for the other workers' cores
    given["stage"].fit(given["unit"], given["ctx"], Distributed(device.type))


def _cause(failures: dict[int, Exception]) -> SmelterError:
    """The one error that explains why the workers failed."""
    for failure in failures.values():
        while failure is not None:
            if isinstance(failure, SmelterError):
                return failure
            if isinstance(failure, ValueError):
                return ConfigError(str(failure))
            failure = getattr(failure, "cause", None) or failure.__cause__  # type: ignore[assignment]
    rank, first = next(iter(failures.items()))
    return ServiceError(
        f"training worker {rank} failed: {type(first).__name__}: {str(first)[:500]}; run again to resume"
    )
