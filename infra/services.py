"""Ray and Airflow on this machine: `python -m infra.services up|down|status`.

Everything lies under `.smelter/`: Airflow's home, the Ray token, logs, and `services.json` with ports and processes.
Ports are chosen once and remembered. `up` is idempotent: it starts what does not run, and starts all of it again when
the settings (SMELTER_*, AWS_*) changed. `down` ends the processes it recorded, recognised by pid and start time.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infra import airflow_services as airflow
from infra import ray_head
from infra.processes import end, family, spawn, tail
from infra.service_state import RAY, SERVICES, Home, State, load, locked, ports_fit, save, with_free_ports
from stages.errors import ServiceError, SmelterError

START_TIMEOUT_S = 240.0  # 25 s on a quiet machine; two cores that also do other things take longer


@dataclass(frozen=True)
class Endpoints:
    """Where a person finds the services."""

    airflow_url: str
    user: str
    password: str
    ray_dashboard: str
    token_path: Path


def up(root: Path, say: Callable[[str], Any] = print) -> Endpoints:
    """Start what does not run and wait until all of it is healthy.

    Raises:
        ServiceError: something ended or did not become healthy; the message carries the end of its log.
    """
    home = Home(root)
    with locked(home):
        state, settings = load(home), _settings_digest(home)
        if state.settings not in ("", settings) or not ports_fit(state):
            _end_all(state)
        missing = [name for name in SERVICES if not state.runs(name)]
        if missing:
            started = time.monotonic()
            say(f"starting   {', '.join(missing)}; logs in {home.base / 'logs'}")
            state = _start(home, state, settings, missing)
            say(f"started    Ray and Airflow in {time.monotonic() - started:.0f} s")
    return _endpoints(home, state)


def down(root: Path, say: Callable[[str], Any] = print) -> None:
    """End what `up` started, and nothing else."""
    home = Home(root)
    if not home.state.exists():
        say("nothing runs")
        return
    with locked(home):
        state = load(home)
        ended = _end_all(state)
        save(home, state)
    say(f"ended      {', '.join(ended) if ended else 'nothing, it was down'}")


def status(root: Path) -> dict[str, str]:
    """Each service with `down`, `starting or ill`, or `up`."""
    home = Home(root)
    if not home.state.exists():
        return dict.fromkeys(SERVICES, "down")
    state = load(home)
    sick = _sick(home, state)
    return {name: "down" if not state.runs(name) else "starting or ill" if name in sick else "up" for name in SERVICES}


def _start(home: Home, state: State, settings: str, missing: list[str]) -> State:
    if not any(state.runs(name) for name in SERVICES):
        state = with_free_ports(state)
        shutil.rmtree(home.ray_temp, ignore_errors=True)
    state.settings, state.starts = settings, 0
    env = airflow.airflow_environment(home.root, home.airflow, state.airflow, _smelter_environment(home, state))
    if RAY in missing:  # first: Airflow's database is migrated while Ray starts
        _spawn_ray(home, state)
    if state.migrated != version("apache-airflow"):
        airflow.migrate(env, home.log("migrate"))
        state.migrated = version("apache-airflow")
    for name in (name for name in missing if name != RAY):
        _spawn(home, state, name, [str(ray_head.BIN / "airflow"), *airflow.COMMANDS[name]], env)
    _wait(home, state)
    state.processes = {name: family(recorded[0]) for name, recorded in state.processes.items()}
    save(home, state)
    return state


def _spawn_ray(home: Home, state: State) -> None:
    ray_head.write_token(home.token)
    command = ray_head.head_command(state.ray, home.ray_temp, os.cpu_count() or 1)
    _spawn(home, state, RAY, command, ray_head.ray_environment(home.root, home.token))
    state.starts += 1


def _spawn(home: Home, state: State, name: str, command: list[str], env: dict[str, str]) -> None:
    state.processes[name] = [spawn(command, env=env, log=home.log(name), cwd=home.root)]
    save(home, state)  # at once: `down` must find it even if we are killed now


def _wait(home: Home, state: State) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while sick := _sick(home, state):
        for name in (name for name in SERVICES if not state.runs(name)):
            if name != RAY or state.starts == ray_head.STARTS:
                log = home.log(name)
                raise ServiceError(f"{name} ended while it started; the end of {log}:\n{tail(log)}")
            _spawn_ray(home, state)
        if time.monotonic() > deadline:
            logs = "\n".join(f"{home.log(name)}:\n{tail(home.log(name))}" for name in sick)
            raise ServiceError(f"{', '.join(sick)} not healthy after {START_TIMEOUT_S:.0f} s; run `make down`; {logs}")
        time.sleep(0.5)


def _sick(home: Home, state: State) -> list[str]:
    """Services that do not answer or that Airflow's monitor calls unhealthy."""
    token = home.token.read_text().strip() if home.token.exists() else ""
    ill = set(airflow.unhealthy(state.airflow))
    if "api-server" in ill:  # it is the one that knows about the others
        ill |= {name.replace("-", "_") for name in airflow.COMMANDS}
    sick = [name for name in airflow.COMMANDS if name.replace("-", "_") in ill or name in ill]
    return sick if ray_head.is_healthy(state.ray, token) else [RAY, *sick]


def _end_all(state: State) -> list[str]:
    """End the processes together: Airflow's first hear of it when Ray does, so none waits for another."""
    ended = [name for name in SERVICES if state.runs(name)]
    end(recorded for members in state.processes.values() for recorded in members)
    state.processes = {}
    return ended


def _smelter_environment(home: Home, state: State) -> dict[str, str]:
    """What the settings are made of: the user's variables, with the local store and head as defaults."""
    return {
        **os.environ,
        "SMELTER_STORE": os.environ.get("SMELTER_STORE") or f"file://{home.base}/store",
        "SMELTER_RAY_ADDRESS": ray_head.dashboard_url(state.ray),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(home.token),
    }


def _settings_digest(home: Home) -> str:
    kept = {k: v for k, v in os.environ.items() if k.startswith(("SMELTER_", "AWS_"))}
    kept.setdefault("SMELTER_STORE", f"file://{home.base}/store")
    return hashlib.sha256(json.dumps([str(home.root), kept], sort_keys=True).encode()).hexdigest()[:16]


def _endpoints(home: Home, state: State) -> Endpoints:
    password = airflow.write_secrets(home.airflow)["password"]
    return Endpoints(
        airflow.airflow_url(state.airflow), airflow.USER, password, ray_head.dashboard_url(state.ray), home.token
    )


def main(argv: list[str]) -> int:
    """Run one command; returns the exit status."""
    root = Path(__file__).resolve().parent.parent
    if argv not in (["up"], ["down"], ["status"]):
        print("expected `python -m infra.services up|down|status`", file=sys.stderr)
        return 2
    try:
        if argv == ["status"]:
            states = status(root)
            print("\n".join(f"{name:14} {text}" for name, text in states.items()))
            return 0 if set(states.values()) == {"up"} else 1
        if argv == ["down"]:
            down(root)
            return 0
        found = up(root)
    except SmelterError as error:
        print(f"services: {error}", file=sys.stderr)
        return 1
    print(f"Airflow    {found.airflow_url}   user {found.user}, password {found.password}")
    print(f"Ray        {found.ray_dashboard}   token in {found.token_path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
