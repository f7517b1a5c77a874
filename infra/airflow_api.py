"""Airflow's REST API as the demo and the end-to-end tests use it: trigger a DAG, watch its tasks, wait for its end."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx

from stages.errors import ServiceError

FINAL = ("success", "failed")


class AirflowApi:
    """A logged-in client of one Airflow."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._login = {"username": user, "password": password}
        self._client = httpx.Client(base_url=self.url, timeout=30)

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run; returns its id. Waits until the DAG is known, which takes a few seconds after a start."""
        self._wait_for_dag(dag_id)
        body = {"logical_date": None, "conf": conf}
        return self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]

    def runs_since(self, dag_id: str, moment: datetime) -> list[dict[str, Any]]:
        """Runs queued after a moment, oldest first: how a run that an asset started is found."""
        query = {"run_after_gte": moment.isoformat(), "order_by": "run_after"}
        return self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=query)["dag_runs"]

    def state(self, dag_id: str, run_id: str) -> str:
        return self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"]

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]

    def log(self, dag_id: str, run_id: str, task: dict[str, Any]) -> str:
        """The text of a task's last log."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        content = self._call("GET", path, params={"full_content": True, "map_index": task["map_index"]})["content"]
        return "\n".join(str(line.get("event", line)) if isinstance(line, dict) else str(line) for line in content)

    def wait(
        self,
        dag_id: str,
        run_id: str,
        *,
        every_s: float = 1.0,
        limit_s: float = 1800,
        seen: Callable[[], None] | None = None,
    ) -> None:
        """Wait for a run to succeed; `seen` is called after every look.

        Raises:
            ServiceError: the run failed (with the end of the failed task's log) or took longer than `limit_s`.
        """
        deadline = time.monotonic() + limit_s
        while (state := self.state(dag_id, run_id)) not in FINAL:
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"expected {dag_id} to end within {limit_s:.0f} s, it is {state}; see {self.url}/dags/{dag_id}"
                )
            if seen:
                seen()
            time.sleep(every_s)
        if state == "failed":
            raise ServiceError(
                f"{dag_id} failed; see {self.url}/dags/{dag_id}/runs/{run_id}\n{self._failure(dag_id, run_id)}"
            )

    def _failure(self, dag_id: str, run_id: str) -> str:
        failed = [task for task in self.tasks(dag_id, run_id) if task["state"] == "failed"]
        return "\n".join(
            f"{t['task_id']}:\n" + "\n".join(self.log(dag_id, run_id, t).splitlines()[-25:]) for t in failed[:1]
        )

    def _wait_for_dag(self, dag_id: str, limit_s: float = 90) -> None:
        deadline = time.monotonic() + limit_s
        while self._client.get(f"/api/v2/dags/{dag_id}", headers=self._headers()).status_code == 404:
            if time.monotonic() > deadline:
                errors = self._call("GET", "/api/v2/importErrors")["import_errors"]
                raise ServiceError(f"expected the DAG {dag_id} in Airflow, it is not there; import errors: {errors}")
            time.sleep(1)

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = self._client.request(method, path, headers=self._headers(), **options)
        if response.is_error:
            raise ServiceError(
                f"expected Airflow to answer {method} {path}, got {response.status_code}: {response.text[:500]}"
            )
        return response.json()

    def _headers(self) -> dict[str, str]:
        if not hasattr(self, "_token"):
            response = self._client.post("/auth/token", json=self._login)
            if response.is_error:
                raise ServiceError(f"expected Airflow at {self.url} to accept the login, got {response.status_code}")
            self._token = response.json()["access_token"]
        return {"Authorization": f"Bearer {self._token}"}


def now() -> datetime:
    """The present moment with its zone, as the API wants it."""
    return datetime.now(UTC)


def task_states(tasks: list[dict[str, Any]]) -> Iterator[str]:
    """`task state`, one per task instance, for a person who wonders what is going on."""
    for task in tasks:
        index = f"[{task['map_index']}]" if task["map_index"] >= 0 else ""
        yield f"{task['task_id']}{index} {task['state'] or 'waiting'}"
