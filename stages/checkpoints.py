"""Checkpoints of a training in the store, under the work key of its unit: a second run, anywhere, goes on from them.

A checkpoint is whole when its `state.json` is there, which goes last. They are scratch: no record names them, and they
are removed when the unit is committed.
"""

from pathlib import Path

from stages import paths
from stages.stage import Context

LAST_FILE = "state.json"


class StoredCheckpoints:
    """The checkpoints of one unit of a stage."""

    def __init__(self, ctx: Context, stage: str, key: str) -> None:
        self._store, self._prefix = ctx.store, paths.checkpoints(stage, key)

    def fetch(self, out_dir: Path) -> None:
        """Copy the newest whole checkpoint to where a training looks for it (`models.checkpoint`)."""
        keys = sorted(self._store.keys(self._prefix))
        whole = [key.rsplit("/", 1)[0] for key in keys if key.endswith(f"/{LAST_FILE}")]
        if not whole:
            return
        folder = out_dir / "checkpoints" / whole[-1].rsplit("/", 1)[1]
        folder.mkdir(parents=True, exist_ok=True)
        for key in keys:
            if key.startswith(f"{whole[-1]}/"):
                self._store.get_file(key, folder / key.rsplit("/", 1)[1])

    def keep(self, folder: Path) -> None:
        """Store a checkpoint and drop the older ones."""
        older = [key for key in self._store.keys(self._prefix) if key.split("/")[-2] != folder.name]
        for path in sorted(folder.iterdir(), key=lambda path: path.name == LAST_FILE):
            self._store.put_file(f"{self._prefix}/{folder.name}/{path.name}", path)
        self._store.delete(older)

    def drop(self) -> None:
        """Remove all of them."""
        self._store.delete(list(self._store.keys(self._prefix)))
