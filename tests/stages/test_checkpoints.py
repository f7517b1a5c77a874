"""Checkpoints in the store: only whole ones are taken up, only the newest is kept, nothing is left behind."""

from pathlib import Path

from stages.checkpoints import StoredCheckpoints
from stages.settings import Settings
from stages.stage import Context


def write(folder: Path, step: int) -> Path:
    target = folder / f"step-{step:08d}"
    target.mkdir(parents=True)
    for name in ("state.json", "weights.safetensors"):
        (target / name).write_text(f"{name} {step}")
    return target


def test_the_newest_whole_checkpoint_comes_back(settings: Settings, tmp_path: Path) -> None:
    ctx = Context(settings)
    stored = StoredCheckpoints(ctx, "train_idm", "a" * 64)
    stored.fetch(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    for step in (5, 10):
        stored.keep(write(tmp_path / "made", step))
    half = (
        next(ctx.store.keys("_ledger/train_idm/checkpoints")).rsplit("/", 2)[0] + "/step-00000015/weights.safetensors"
    )
    ctx.store.put(half, b"killed before its state was stored")
    stored.fetch(tmp_path / "found")
    (found,) = (tmp_path / "found" / "checkpoints").iterdir()
    assert {path.name: path.read_text() for path in found.iterdir()} == {
        "state.json": "state.json 10",
        "weights.safetensors": "weights.safetensors 10",
    }
    StoredCheckpoints(ctx, "train_idm", "b" * 64).fetch(tmp_path / "other")
    assert not (tmp_path / "other").exists(), "another unit's checkpoint"
    stored.drop()
    assert list(ctx.store.keys("_ledger")) == []
