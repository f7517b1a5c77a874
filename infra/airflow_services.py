"""Airflow on one machine: SQLite, LocalExecutor, four processes. Their commands, their environment, their health.

Four processes instead of `airflow standalone`, which leaves orphans behind when it is asked to end. The settings below
keep an idle installation quiet on two cores; each says what it costs.
"""

import json
import os
import secrets
import subprocess
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from infra.processes import get_json, tail
from infra.ray_head import BIN
from stages.errors import ServiceError

USER = "admin"
MIGRATE_TIMEOUT_S = 300.0
COMMANDS = {
    # One worker: two would double the memory (250 MB) for a UI that one person looks at.
    "api-server": ["api-server", "--workers", "1"],
    # The logs lie on this machine's disk, so nobody needs the two servers that hand them out (160 MB).
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
"""What runs, in the order in which it is worth starting."""

QUIET = {
    "CORE__PARALLELISM": "4",  # tasks only submit and publish; the default of 32 forks as many workers
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",  # a parse is a fork of about 1 CPU second; edits are seen anyway
    "DAG_PROCESSOR__REFRESH_INTERVAL": "15",  # edited and new files are seen within this time
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",  # seconds from one task to the next; 0.5 would double the idle load
    "SCHEDULER__POOL_METRICS_INTERVAL": "600",  # nobody collects metrics here
    "SCHEDULER__TI_METRICS_INTERVAL": "600",
    "SCHEDULER__DAGRUN_METRICS_INTERVAL": "600",
    "USAGE_DATA_COLLECTION__ENABLED": "False",
}


@dataclass(frozen=True, kw_only=True)
class AirflowPorts:
    """Ports of one installation. The log ports stay silent; they are set so that nobody else's are asked."""

    api: int
    worker_log: int
    trigger_log: int


def airflow_url(ports: AirflowPorts) -> str:
    """Where UI and REST API listen."""
    return f"http://127.0.0.1:{ports.api}"


def write_secrets(home: Path) -> dict[str, str]:
    """The installation's keys and the password of `admin`: made once, readable by this user only."""
    path = home / "secrets.json"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        made = {
            "secret_key": secrets.token_hex(32),
            "jwt_secret": secrets.token_hex(32),
            "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "password": secrets.token_urlsafe(12),
        }
        _write_private(path, json.dumps(made))
        _write_private(home / "passwords.json", json.dumps({USER: made["password"]}))
    return json.loads(path.read_text())


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def airflow_environment(root: Path, home: Path, ports: AirflowPorts, base: dict[str, str]) -> dict[str, str]:
    """The environment of the four processes, and of every task; `base` holds Smelter's and Ray's variables."""
    keys, url = write_secrets(home), airflow_url(ports)
    options = {
        **QUIET,
        "CORE__DAGS_FOLDER": str(root / "dags"),
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__FERNET_KEY": keys["fernet_key"],
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(ports.worker_log),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports.trigger_log),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(ports.api),
        "API__BASE_URL": url,
        "API__SECRET_KEY": keys["secret_key"],
        "API_AUTH__JWT_SECRET": keys["jwt_secret"],
    }
    airflow = {f"AIRFLOW__{name}": value for name, value in options.items()}
    path = f"{BIN}{os.pathsep}{base.get('PATH', '')}"
    # PYTHONPATH: Airflow puts only dags/ on the path, and the triggerer not even that.
    return {**base, **airflow, "AIRFLOW_HOME": str(home), "PYTHONPATH": str(root), "PATH": path}


def migrate(env: dict[str, str], log: Path) -> None:
    """Bring the database to this version of Airflow.

    Raises:
        ServiceError: it failed or hung; the message carries the end of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as sink:
            done = subprocess.run(
                [str(BIN / "airflow"), "db", "migrate"], env=env, stdout=sink, stderr=sink, timeout=MIGRATE_TIMEOUT_S
            )
    except subprocess.TimeoutExpired:
        raise ServiceError(
            f"expected `airflow db migrate` within {MIGRATE_TIMEOUT_S:.0f} s; end of {log}:\n{tail(log)}"
        ) from None
    if done.returncode:
        raise ServiceError(f"expected `airflow db migrate` to work, it ended {done.returncode}; {log}:\n{tail(log)}")


def unhealthy(ports: AirflowPorts) -> list[str]:
    """Which parts of Airflow are not well, as its own monitor sees it; all of them if it does not answer."""
    parts = get_json(f"{airflow_url(ports)}/api/v2/monitor/health")
    if parts is None:
        return ["api-server"]
    return [name for name, part in parts.items() if part.get("status") != "healthy"]
