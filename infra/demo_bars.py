"""Live progress bars of the stages that run on Ray, read from the logs of its jobs."""

import re
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

LINE = re.compile(r"\[(?P<stage>\w+)\] (?P<done>\d+)/(?P<total>\d+) \d+% (?P<note>.*)")
"""What `stages/progress.py` prints."""
LOOK_EVERY_S = 2.0


class StageBars:
    """One bar per Ray job; on a pipe instead of a terminal, one line when a job starts and one when it ends."""

    def __init__(self, ray_dashboard: str, token_path: Path | str) -> None:
        token = Path(token_path).read_text().strip()
        self._ray = httpx.Client(base_url=ray_dashboard, headers={"Authorization": f"Bearer {token}"}, timeout=10)
        self._console = Console(stderr=True)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<14}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._progress = Progress(*columns, TimeElapsedColumn(), console=self._console, disable=not sys.stderr.isatty())
        self._bars: dict[str, TaskID] = {}
        self._ended: set[str] = set(self._jobs())
        self._looked = 0.0

    def refresh(self) -> None:
        """Look at the jobs again, at most every two seconds."""
        if time.monotonic() - self._looked < LOOK_EVERY_S:
            return
        self._looked = time.monotonic()
        for job_id, job in self._jobs().items():
            if job_id not in self._ended:
                self._show(job_id, job)

    def _show(self, job_id: str, job: dict[str, Any]) -> None:
        stage = _stage_of(job)
        if job_id not in self._bars:
            self._bars[job_id] = self._progress.add_task(stage, total=None, note="starting")
            self._say(f"{stage}: started")
        bar = self._bars[job_id]
        if found := self._last_line(job_id):
            self._progress.update(bar, total=int(found["total"]), completed=int(found["done"]), note=found["note"])
        if job["status"] not in ("PENDING", "RUNNING"):
            self._ended.add(job_id)
            seconds = (job["end_time"] - job["start_time"]) / 1000
            total = self._progress.tasks[bar].total or 1
            self._progress.update(bar, total=total, completed=total, note=f"{job['status'].lower()} in {seconds:.0f} s")
            self._progress.stop_task(bar)
            self._say(f"{stage}: {job['status'].lower()} in {seconds:.0f} s")

    def _say(self, text: str) -> None:
        if self._progress.disable:
            self._console.print(text)

    def _jobs(self) -> dict[str, dict[str, Any]]:
        try:
            jobs = self._ray.get("/api/jobs/").raise_for_status().json()
        except httpx.HTTPError:  # bars are a courtesy: the DAG runs decide
            return {}
        return {job["submission_id"]: job for job in jobs if job.get("submission_id")}

    def _last_line(self, job_id: str) -> dict[str, str]:
        try:
            log = self._ray.get(f"/api/jobs/{job_id}/logs").raise_for_status().json()["logs"] or ""
        except httpx.HTTPError:
            return {}
        found = list(LINE.finditer(log))
        return found[-1].groupdict() if found else {}

    def __enter__(self) -> "StageBars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refresh()
        self._progress.stop()
        self._ray.close()


def _stage_of(job: dict[str, Any]) -> str:
    """`segment 0/2` of `python -m stages.segment ... --batch 0/2`."""
    words = job["entrypoint"].split()
    stage = next((word.removeprefix("stages.") for word in words if word.startswith("stages.")), "job")
    return f"{stage} {words[words.index('--batch') + 1]}" if "--batch" in words else stage
