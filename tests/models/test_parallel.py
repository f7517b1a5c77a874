"""Two real processes over gloo train what one process trains: the same total batch, the same losses."""

import contextlib
import multiprocessing
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from models.batches import EpisodeStreams, RandomWindows
from models.idm import InverseDynamicsModel
from models.maps_ahead import with_maps
from models.parallel import Distributed, Workers
from models.policy import Policy
from models.train_bc import BCConfig, train_bc
from models.train_idm import IDMTrainConfig, train_idm
from models.training import Surroundings
from tests.models.game import episode
from tests.models.test_train_bc import TINY as TINY_POLICY
from tests.models.test_train_idm import TINY as TINY_IDM

KINDS = ("idm", "members", "policy")
IDM = IDMTrainConfig(learning_rate=4e-3, batch=4, window=8, max_steps=4, log_every=1, clip_norm=1.0, checkpoint_every=2)
BC = BCConfig(learning_rate=4e-3, batch=4, window=8, max_steps=4, log_every=1, clip_norm=5.0, checkpoint_every=2)


def train(kind: str, where: Surroundings, stop_at: int = 0) -> list[float]:
    """Train the same tiny model on the same play; the losses of all steps. Unknown frames are uneven over windows."""
    episodes = [episode("w", 40, seed=seed) for seed in range(3)]
    episodes[0].weight[:13] = 0
    torch.manual_seed(0)
    torch.set_num_threads(1)

    def stop(step: int, total: int, metrics: dict[str, float]) -> None:
        if step == stop_at:
            raise InterruptedError

    where = replace(where, progress=stop)
    if kind == "policy":
        result = train_bc(episodes, Policy(TINY_POLICY), BC, where)
    else:  # of two members, each worker has the windows of one
        model = InverseDynamicsModel(replace(TINY_IDM, members=2 if kind == "members" else 1))
        result = train_idm(episodes, model, IDM, where)
    return [row["loss"] for row in result.history]


def worker(rank: int, port: int, out: Path) -> None:
    """One of two processes: each training is stopped after three of four steps, one step after a checkpoint."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    found = with_maps([episode("w", 20 + seed, seed=seed) for seed in range(3)], Distributed("cpu"))
    np.savez(out / f"maps-{rank}.npz", *[row.maps for row in found])
    for kind in KINDS:
        with contextlib.suppress(InterruptedError):
            train(kind, Surroundings(out_dir=out / kind, workers=Distributed("cpu")), stop_at=3)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two trainings that two processes began."""
    out = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=worker, args=(rank, port, out)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_two_workers_are_one_worker(kind: str, stopped: Path) -> None:
    """One process goes on where two were stopped: the losses of both are those of a run that was always alone.

    The policy's memory of all lanes is in the checkpoint, or its fourth loss would differ.
    """
    assert [path.name for path in (stopped / kind / "checkpoints").iterdir()] == ["step-00000002"]
    resumed = train(kind, Surroundings(out_dir=stopped / kind))
    assert resumed == pytest.approx(train(kind, Surroundings()), rel=1e-4)


def test_two_workers_share_the_motion_maps_out(stopped: Path) -> None:
    alone = with_maps([episode("w", 20 + seed, seed=seed) for seed in range(3)])
    for rank in range(2):
        with np.load(stopped / f"maps-{rank}.npz") as found:
            for i, one in enumerate(alone):
                np.testing.assert_array_equal(found[f"arr_{i}"], one.maps)


class Second(Workers):
    rank, size = 1, 2


def test_workers_share_a_batch_without_overlap() -> None:
    episodes = [episode("w", 40, seed=0)]
    makers: list[Any] = [RandomWindows, EpisodeStreams]
    for make in makers:
        whole, half = next(make(episodes, 8, 4, 0)), next(make(episodes, 8, 4, 0, workers=Second()))
        assert (half.frames == whole.frames[1::2]).all()
        with pytest.raises(ValueError, match="2 workers can share evenly, got 3"):
            make(episodes, 8, 3, 0, workers=Second())
