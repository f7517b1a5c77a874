"""What the local services remember between commands: paths, ports, processes (`.smelter/services.json`)."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from infra import airflow_services, ray_head
from infra.airflow_services import AirflowPorts
from infra.processes import Recorded, free_ports, is_free
from infra.ray_head import RayPorts

RAY = "ray"
SERVICES = (RAY, *airflow_services.COMMANDS)


@dataclass
class State:
    """What `services.json` remembers."""

    ray: RayPorts
    airflow: AirflowPorts
    processes: dict[str, list[Recorded]] = field(default_factory=dict)
    """Per service its process first, then the children it had when it became healthy."""
    settings: str = ""
    """Digest of the settings that the processes were started with."""
    migrated: str = ""
    """Version of Airflow that the database fits."""
    starts: int = 0
    """How often Ray was started by the present `up`."""

    def runs(self, name: str) -> bool:
        recorded = self.processes.get(name, [])
        return bool(recorded) and recorded[0].process() is not None


class Home:
    """The paths of one checkout's services."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.base = self.root / ".smelter"
        self.state = self.base / "services.json"
        self.airflow = self.base / "airflow"
        self.token = self.base / "ray_token"
        self.ray_temp = ray_head.temp_dir(self.root)

    def log(self, name: str) -> Path:
        return self.base / "logs" / f"{name}.log"


def ports_fit(state: State) -> bool:
    """Whether every service that does not run could still have its ports."""
    groups = {RAY: asdict(state.ray), "api-server": asdict(state.airflow)}
    return all(state.runs(name) or all(map(is_free, ports.values())) for name, ports in groups.items())


def with_free_ports(state: State) -> State:
    """The remembered ports, or new ones where somebody else took one meanwhile."""
    if ports_fit(state):
        return state
    fresh = new_state()
    return State(ray=fresh.ray, airflow=fresh.airflow, migrated=state.migrated)


def new_state() -> State:
    """Nothing runs yet; ports that are free now."""
    names = [item.name for item in fields(AirflowPorts)]
    return State(
        ray=ray_head.choose_ports(), airflow=AirflowPorts(**dict(zip(names, free_ports(len(names)), strict=True)))
    )


def load(home: Home) -> State:
    """What the file says, or a new state without one."""
    if not home.state.exists():
        return new_state()
    raw = json.loads(home.state.read_text())
    return State(
        ray=RayPorts(**raw["ray"]),
        airflow=AirflowPorts(**raw["airflow"]),
        processes={name: [Recorded(**item) for item in items] for name, items in raw["processes"].items()},
        settings=raw["settings"],
        migrated=raw["migrated"],
        starts=raw["starts"],
    )


def save(home: Home, state: State) -> None:
    """Write the file; a reader sees the old one or the new one."""
    temporary = home.state.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(state), indent=1))
    temporary.rename(home.state)


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """One `up` or `down` at a time."""
    home.base.mkdir(parents=True, exist_ok=True)
    with (home.base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
