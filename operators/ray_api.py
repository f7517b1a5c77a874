"""The Ray Jobs REST API, without Ray: submit, status, log, stop.

`RayJobs` blocks and serves tasks; `AsyncRayJobs` never blocks and serves the triggerer. Both repeat what may pass by
itself (a refused connection, a 5xx) with growing pauses for `patience_s`, and raise one of

    RayApiError
     |-- RayUnreachable    no answer, or the server is in trouble, for longer than the patience
     |-- RayUnauthorized   the token is missing or wrong
     |-- RayJobExists      this submission id is taken: somebody submitted it already, so attach to it
     |-- RayJobUnknown     the head has no such job: it restarted and lost its table
"""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from airflow.sdk.exceptions import AirflowException
from tenacity import AsyncRetrying, Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

ACTIVE = frozenset({"PENDING", "RUNNING"})
SUCCEEDED = "SUCCEEDED"
PATIENCE_S = 60.0
LOG_PATIENCE_S = 10.0
REQUEST_TIMEOUT_S = 20.0  # submit waits for a job agent; everything else answers within a second


class RayApiError(AirflowException):
    """The Jobs API did not do what was asked."""


class RayUnreachable(RayApiError):
    """Nothing answers, or the server answers 5xx."""


class RayUnauthorized(RayApiError):
    """401 or 403."""


class RayJobExists(RayApiError):
    """The submission id is taken."""


class RayJobUnknown(RayApiError):
    """The head has no such job."""


@dataclass(frozen=True)
class RayEndpoint:
    """Where the dashboard listens, as in http://head:8265, and the token that opens it ("" for none)."""

    address: str
    token: str = field(default="", repr=False)

    def job_url(self, job_id: str) -> str:
        """The job's page in the Ray dashboard."""
        return f"{self.address}/#/jobs/{quote(job_id)}"

    def options(self) -> dict[str, Any]:
        """Arguments of an httpx client."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        https = self.address.startswith("https:")  # loading certificates takes 50 ms that plain http need not pay
        return {"base_url": self.address, "headers": headers, "timeout": REQUEST_TIMEOUT_S, "verify": https}


@dataclass(frozen=True)
class JobInfo:
    """What the head knows of a job; `status` is PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED."""

    job_id: str
    status: str
    message: str = ""
    exit_code: int | None = None

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    @classmethod
    def parse(cls, job_id: str, body: dict[str, Any]) -> "JobInfo":
        return cls(job_id, body["status"], body.get("message") or "", body.get("driver_exit_code"))


@dataclass(frozen=True)
class JobRequest:
    """A job to submit. `entrypoint_num_cpus` stays 0: a driver that holds a CPU can starve its own workers."""

    submission_id: str
    entrypoint: str
    metadata: dict[str, str] = field(default_factory=dict)
    env_vars: dict[str, str] = field(default_factory=dict, repr=False)

    def body(self) -> dict[str, Any]:
        return {
            "submission_id": self.submission_id,
            "entrypoint": self.entrypoint,
            "metadata": self.metadata,
            "entrypoint_num_cpus": 0,
            "runtime_env": {"env_vars": self.env_vars} if self.env_vars else {},
        }


def read_reply(endpoint: RayEndpoint, job_id: str, response: httpx.Response) -> dict[str, Any]:
    """The reply's body, or the error it stands for."""
    status, text = response.status_code, response.text
    if response.is_success:
        return response.json()
    if status in (401, 403):
        sent = "a token that it refuses" if endpoint.token else "no token"
        raise RayUnauthorized(
            f"expected Ray at {endpoint.address} to accept us, got {status}: we sent {sent}; set "
            "RAY_AUTH_TOKEN_PATH, RAY_AUTH_TOKEN or the password of the connection smelter_ray to the head's token"
        )
    if status == 404:
        raise RayJobUnknown(f"expected Ray at {endpoint.address} to know job {job_id}, got 404: the head restarted")
    if "already exists" in text:
        raise RayJobExists(f"Ray at {endpoint.address} already has a job {job_id}")
    reason = (text.strip().splitlines() or ["(empty)"])[-1][:300]
    if status >= 500 or status == 429:
        raise RayUnreachable(f"expected Ray at {endpoint.address} to serve job {job_id}, got {status}: {reason}")
    raise RayApiError(f"expected Ray at {endpoint.address} to take job {job_id}, got {status}: {reason}")


def no_answer(endpoint: RayEndpoint, error: httpx.TransportError) -> RayUnreachable:
    """The error for a connection that fails."""
    return RayUnreachable(
        f"expected a Ray dashboard at {endpoint.address}, got {type(error).__name__}: {error}; start the head "
        "(`make up`) or set SMELTER_RAY_ADDRESS or the connection smelter_ray"
    )


def _retrying(patience_s: float) -> dict[str, Any]:
    return {
        "retry": retry_if_exception_type(RayUnreachable),
        "wait": wait_exponential_jitter(initial=0.5, max=10),
        "stop": stop_after_delay(patience_s),
        "reraise": True,
    }


class RayJobs:
    """The Jobs API for a task: every call blocks until it is answered or the patience is over."""

    def __init__(self, endpoint: RayEndpoint, patience_s: float = PATIENCE_S) -> None:
        self.endpoint = endpoint
        self.patience_s = patience_s

    def submit(self, job: JobRequest) -> None:
        """Start a job. A repeat after a lost answer raises RayJobExists, which means that it runs."""
        self._call("POST", "/api/jobs/", job.submission_id, job.body())

    def status(self, job_id: str) -> JobInfo:
        """What the head knows of the job."""
        return JobInfo.parse(job_id, self._call("GET", f"/api/jobs/{quote(job_id)}", job_id))

    def logs(self, job_id: str) -> str:
        """The whole log so far: the API has no ranges."""
        return self._call("GET", f"/api/jobs/{quote(job_id)}/logs", job_id)["logs"] or ""

    def stop(self, job_id: str) -> bool:
        """Ask the job to stop; False if it had ended."""
        return bool(self._call("POST", f"/api/jobs/{quote(job_id)}/stop", job_id)["stopped"])

    def _call(self, method: str, path: str, job_id: str, body: Any = None) -> dict[str, Any]:
        return Retrying(**_retrying(self.patience_s))(self._once, method, path, job_id, body)

    def _once(self, method: str, path: str, job_id: str, body: Any) -> dict[str, Any]:
        try:
            with httpx.Client(**self.endpoint.options()) as client:
                response = client.request(method, path, content=json.dumps(body) if body else None)
        except httpx.TransportError as error:
            raise no_answer(self.endpoint, error) from None
        return read_reply(self.endpoint, job_id, response)


class AsyncRayJobs:
    """The part of the Jobs API that the triggerer needs; nothing here blocks its event loop."""

    def __init__(self, endpoint: RayEndpoint, patience_s: float = PATIENCE_S) -> None:
        self.endpoint = endpoint
        self.patience_s = patience_s
        self._client = httpx.AsyncClient(**endpoint.options())

    async def __aenter__(self) -> "AsyncRayJobs":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def status(self, job_id: str) -> JobInfo:
        """What the head knows of the job."""
        return JobInfo.parse(job_id, await self._call("GET", f"/api/jobs/{quote(job_id)}", job_id))

    async def logs(self, job_id: str) -> str:
        """The whole log so far; without much patience, because a log can be gone for good while the job is not."""
        reply = await self._call("GET", f"/api/jobs/{quote(job_id)}/logs", job_id, min(self.patience_s, LOG_PATIENCE_S))
        return reply["logs"] or ""

    async def stop(self, job_id: str) -> bool:
        """Ask the job to stop; False if it had ended."""
        return bool((await self._call("POST", f"/api/jobs/{quote(job_id)}/stop", job_id))["stopped"])

    async def _call(self, method: str, path: str, job_id: str, patience_s: float | None = None) -> dict[str, Any]:
        patience_s = self.patience_s if patience_s is None else patience_s
        return await AsyncRetrying(**_retrying(patience_s))(self._once, method, path, job_id)

    async def _once(self, method: str, path: str, job_id: str) -> dict[str, Any]:
        try:
            response = await self._client.request(method, path)
        except httpx.TransportError as error:
            raise no_answer(self.endpoint, error) from None
        return read_reply(self.endpoint, job_id, response)
