"""A local Ray head with token authentication: the command line, its environment and its health.

Ray decides about authentication by a file in the home directory unless it is told; here it is always told. Ports are
all set, because Ray's defaults (10002-19999 for workers) collide with anything else that runs on the machine.
"""

import hashlib
import os
import random
import secrets
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path

from infra.processes import Recorded, end, free_ports, get_json, spawn, tail
from stages.errors import ServiceError

OBJECT_STORE_BYTES = 500_000_000  # stages pass work keys and small arrays through Ray, never videos
WORKER_PORTS = 200
START_TIMEOUT_S = 120.0
STARTS = 3
"""Ray gives up when a node does not register within 30 s, which a busy machine can exceed; then it is started again."""
BIN = Path(sys.executable).parent


@dataclass(frozen=True, kw_only=True)
class RayPorts:
    """Ports of one head; `worker` is the first of WORKER_PORTS in a row."""

    gcs: int
    dashboard: int
    client: int
    node_manager: int
    object_manager: int
    agent_http: int
    agent_grpc: int
    runtime_env: int
    metrics: int
    worker: int


def choose_ports() -> RayPorts:
    """Ports that are free now."""
    names = [field.name for field in fields(RayPorts) if field.name != "worker"]
    first = random.randrange(15_000, 32_000, WORKER_PORTS)  # Ray skips the ones that are taken
    return RayPorts(**dict(zip(names, free_ports(len(names)), strict=True)), worker=first)


def write_token(path: Path) -> str:
    """The head's token: what the file holds, or a new one that only this user can read."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_text().strip()


def temp_dir(root: Path) -> Path:
    """Ray's session folder: short, because socket paths inside it must stay below 107 characters."""
    return Path("/tmp") / f"smelter-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"


def ray_environment(root: Path, token_path: Path) -> dict[str, str]:
    """The environment of the head, which its jobs inherit: our Python first, our packages importable."""
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(root),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_path),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
    }


def head_command(ports: RayPorts, temp: Path, cpus: int) -> list[str]:
    """`ray start --head` in the foreground, so that ending this one process ends the head."""
    flags = {
        "port": ports.gcs,
        "dashboard-host": "127.0.0.1",
        "dashboard-port": ports.dashboard,
        "ray-client-server-port": ports.client,
        "node-manager-port": ports.node_manager,
        "object-manager-port": ports.object_manager,
        "dashboard-agent-listen-port": ports.agent_http,
        "dashboard-agent-grpc-port": ports.agent_grpc,
        "runtime-env-agent-port": ports.runtime_env,
        "metrics-export-port": ports.metrics,
        "min-worker-port": ports.worker,
        "max-worker-port": ports.worker + WORKER_PORTS - 1,
        "num-cpus": cpus,
        "object-store-memory": OBJECT_STORE_BYTES,
        "temp-dir": temp,
    }
    pairs = [f"--{name}={value}" for name, value in flags.items()]
    return [str(BIN / "ray"), "start", "--head", "--block", "--disable-usage-stats", *pairs]


def dashboard_url(ports: RayPorts) -> str:
    """Where the dashboard and the Jobs API listen."""
    return f"http://127.0.0.1:{ports.dashboard}"


def is_healthy(ports: RayPorts, token: str) -> bool:
    """Whether the head has a live node; the dashboard answers before that, and before Ray may still give up."""
    nodes = get_json(f"{dashboard_url(ports)}/api/v0/nodes", {"Authorization": f"Bearer {token}"})
    found = nodes["data"]["result"]["result"] if nodes else []
    return any(node["state"] == "ALIVE" for node in found)


def start_head(
    root: Path, *, ports: RayPorts, token_path: Path, temp: Path, log: Path, cpus: int | None = None
) -> Recorded:
    """Start a head and wait until it takes jobs.

    Args:
        root: the repository, importable by jobs.
        cpus: CPUs that Ray may give away; None means all of the machine's.

    Raises:
        ServiceError: it ended STARTS times or does not answer; the message carries the end of `log`.
    """
    token, env = write_token(token_path), ray_environment(root, token_path)
    command = head_command(ports, temp, cpus or os.cpu_count() or 1)
    for _ in range(STARTS):
        head = spawn(command, env=env, log=log, cwd=root)
        deadline = time.monotonic() + START_TIMEOUT_S
        while head.process() and time.monotonic() < deadline:
            if is_healthy(ports, token):
                return head
            time.sleep(0.3)
        end([head])
    raise ServiceError(f"expected the Ray head to run, it ended or hung {STARTS} times; the end of {log}:\n{tail(log)}")
