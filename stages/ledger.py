"""The ledger: which units of work are done, which are quarantined, and where the pointers stand.

A unit is done when its commit record exists; that put-if-absent is the only moment that counts. Planning is: units
wanted, less committed, less quarantined. Records are compacted into Parquet, so that planning 10^5 units reads a few
files instead of 10^5 (measured figures: infra/decisions/0002).
"""

import io
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from stages import paths
from stages.errors import BadInput, ServiceError
from stages.records import Quarantined, Record, canonical_json
from stages.storage import READ_THREADS, Store

COMPACT_AFTER = 1000
"""Loose records that make the runner compact a stage. Reading fewer one by one takes about a second."""

UnitKey = tuple[str, str]
"""(unit id, work key)."""


@dataclass(frozen=True)
class Pointer:
    """One numbered record of an append-only history; the highest number counts."""

    name: str
    number: int
    target: str
    info: dict[str, Any]


class Ledger:
    """Commit records, quarantine and pointers of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # Commits

    def commit(self, record: Record) -> bool:
        """Put the record if absent; True if the record now in the store says the same as ours.

        A record has no clock and no random part, so after a lost response ours is recognised by its bytes.
        """
        key, data = paths.commit(record.stage, record.unit, record.key), record.to_bytes()
        return self._store.put_if_absent(key, data) or self._store.get(key) == data

    def committed(self, stage: str) -> set[UnitKey]:
        """Every committed (unit, key) of a stage, from listings and compacted files."""
        return {paths.split_unit(key) for key in self._list(paths.commit_prefix(stage))} | set(
            dict(self._compacted(stage))
        )

    def records(self, stage: str) -> dict[UnitKey, Record]:
        """Every commit record of a stage; compacted ones are read in bulk, loose ones one by one."""
        texts: dict[UnitKey, str | bytes] = dict(self._compacted(stage))
        loose = [key for key in self._list(paths.commit_prefix(stage)) if paths.split_unit(key) not in texts]
        texts |= zip(map(paths.split_unit, loose), self._store.get_many(loose), strict=True)
        return {unit_key: Record.from_bytes(text) for unit_key, text in sorted(texts.items())}

    def find(self, stage: str, unit: str, key: str) -> Record | None:
        """One commit record, or None."""
        try:
            return Record.from_bytes(self._store.get(paths.commit(stage, unit, key)))
        except FileNotFoundError:
            return None

    def compact(self, stage: str, at_least: int = COMPACT_AFTER) -> int:
        """Copy loose records into the next numbered Parquet file; returns how many. Safe beside writers and itself."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        known = dict(self._compacted(stage))
        loose = sorted(k for k in self._list(paths.commit_prefix(stage)) if paths.split_unit(k) not in known)
        if len(loose) < at_least:
            return 0
        units, keys = zip(*map(paths.split_unit, loose), strict=True)
        texts = [data.decode() for data in self._store.get_many(loose)]
        buffer = io.BytesIO()
        pq.write_table(pa.table({"unit": units, "key": keys, "record": texts}), buffer, compression="zstd")
        number = _next_number(self._store.keys(paths.compacted_prefix(stage)))
        # Losing this race costs nothing: the winner compacted the same loose records.
        won = self._store.put_if_absent(paths.compacted(stage, number), buffer.getvalue())
        return len(loose) if won else 0

    def _compacted(self, stage: str) -> Iterator[tuple[UnitKey, str]]:
        keys = sorted(self._store.keys(paths.compacted_prefix(stage)))
        if not keys:
            return
        import pyarrow.parquet as pq

        for data in self._store.get_many(keys):
            table = pq.ParquetFile(io.BytesIO(data)).read()  # pq.read_table imports pandas, which takes a second
            yield from zip(
                zip(table["unit"].to_pylist(), table["key"].to_pylist(), strict=True),
                table["record"].to_pylist(),
                strict=True,
            )

    def _list(self, prefix: str) -> list[str]:
        folders = self._store.folders(prefix)
        with ThreadPoolExecutor(READ_THREADS) as pool:
            return [key for part in pool.map(lambda folder: list(self._store.keys(folder)), folders) for key in part]

    # Quarantine

    def quarantine(self, stage: str, unit: str, key: str, error: BadInput, gate: str = "") -> Quarantined:
        """Record that this unit failed because of its input; the attempt number is the next free one.

        Args:
            gate: digest of the rules in force; kept where these refused the unit, so that new rules ask again.
        """
        attempt = 1 + len(list(self._store.keys(paths.quarantine_prefix(stage) + f"/{unit[:2]}/{unit}/{key}")))
        kept = gate if error.again == "rules" else ""
        entry = Quarantined(stage, unit, key, error.reason, error.message, attempt, error.again, kept)
        self._store.put_if_absent(paths.quarantine(stage, unit, key, attempt), entry.to_bytes())
        return entry

    def quarantined(self, stage: str) -> dict[UnitKey, Quarantined]:
        """The last attempt of every quarantined unit. One that was committed later is no longer held back by it."""
        last: dict[UnitKey, str] = {}
        for key in sorted(self._list(paths.quarantine_prefix(stage))):
            last[paths.split_unit(key)] = key
        entries = map(Quarantined.from_bytes, self._store.get_many(last.values()))
        return dict(zip(last, entries, strict=True))

    # Takedowns

    def taken_down(self) -> set[str]:
        """Video ids from which nothing may be derived."""
        return {key.rsplit("/", 1)[1].removesuffix(".json") for key in self._store.keys(paths.takedown_prefix())}

    def take_down(self, video_id: str, reason: str) -> None:
        """Forbid a video. Written first, so that no later step can bring it back."""
        data = canonical_json({"video_id": video_id, "reason": reason})
        self._store.put_if_absent(paths.takedown(video_id), data)

    # Pointers

    def pointer(self, name: str) -> Pointer | None:
        """Where a pointer stands: the entry with the highest number."""
        history = self.history(name)
        return history[-1] if history else None

    def history(self, name: str) -> list[Pointer]:
        """Every position the pointer ever had, oldest first."""
        import json

        keys = sorted(self._store.keys(paths.pointer_prefix(name)))
        return [Pointer(**json.loads(data)) for data in self._store.get_many(keys)]

    def advance(self, name: str, target: str, seen: Pointer | None, info: dict[str, Any]) -> Pointer:
        """Move a pointer on from the position the caller decided on. Promotion and rollback are both this.

        Raises:
            ServiceError: somebody else moved it meanwhile; decide again on what is there now.
        """
        entry = Pointer(name=name, number=seen.number + 1 if seen else 1, target=target, info=info)
        key, data = paths.pointer(name, entry.number), canonical_json(vars(entry))
        if not self._store.put_if_absent(key, data) and self._store.get(key) != data:
            raise ServiceError(
                f"expected pointer {name!r} at number {entry.number - 1}, got a newer entry at {key}; "
                "somebody moved it during this run: run again to compare with what is there now"
            )
        return entry


def _next_number(keys: Iterable[str]) -> int:
    numbers = [int(match[1]) for key in keys if (match := re.search(r"(\d{6})\.parquet$", key))]
    return max(numbers, default=0) + 1
