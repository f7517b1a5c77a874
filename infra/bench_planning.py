"""How long planning takes with many units: `python -m infra.bench_planning [UNITS]`, on a fresh folder.

Prints CPU seconds, which depend little on what else the machine does: committing, planning from loose records' names,
reading all records loose and compacted. No figure is asserted anywhere; they are kept in infra/decisions/0002.
"""

import sys
import tempfile
import time
from collections.abc import Callable

from stages import paths
from stages.ledger import Ledger
from stages.records import Output, Record, digest
from stages.settings import load_settings
from stages.storage import Store


def cpu_seconds(action: Callable[[], object]) -> float:
    """CPU seconds of this process while the action runs."""
    before = time.process_time()
    action()
    return time.process_time() - before


def main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="smelter-bench-") as folder:
        ledger = Ledger(Store(load_settings(store=f"file://{folder}")))

        def commit_all() -> None:
            for number in range(count):
                unit = digest(number)[:20]
                output = Output(paths.clip(unit, unit), "0" * 64, 100_000)
                ledger.commit(Record("cut", unit, digest("key", number), {"video_id": unit}, (output,), {"n": number}))

        steps: dict[str, Callable[[], object]] = {
            "commit": commit_all,
            "list what is committed": lambda: ledger.committed("cut"),
            "read every record, loose": lambda: ledger.records("cut"),
            "compact": lambda: ledger.compact("cut"),
            "read every record, compacted": lambda: ledger.records("cut"),
        }
        for name, action in steps.items():
            print(f"{name:<30} {count:>8,} units {cpu_seconds(action):8.2f} CPU-s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
