"""One real Ray head for all tests of this session: random ports, token authentication, ended when Python ends."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.processes import Recorded, end
from infra.ray_head import choose_ports, dashboard_url, start_head, write_token

if TYPE_CHECKING:
    from operators.ray_api import RayEndpoint

ROOT = Path(__file__).resolve().parents[2]


class Head:
    """A running head; `restart` kills it and starts an empty one on the same ports, as after a lost node."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="srt-", dir="/tmp"))
        self.token_path = self.folder / "token"
        self.ports = choose_ports()
        self.token = write_token(self.token_path)
        self.process = self._start()

    def _start(self) -> Recorded:
        return start_head(
            ROOT,
            ports=self.ports,
            token_path=self.token_path,
            temp=self.folder / "ray",
            log=self.folder / "head.log",
            cpus=2,
        )

    @property
    def endpoint(self) -> "RayEndpoint":
        """The Jobs API; imported late, because it imports Airflow, which must find its home set."""
        from operators.ray_api import RayEndpoint

        return RayEndpoint(dashboard_url(self.ports), self.token)

    def restart(self) -> None:
        end([self.process], grace_s=5)
        self.process = self._start()

    def environment(self) -> dict[str, str]:
        """What an Airflow process needs to reach this head."""
        return {"SMELTER_RAY_ADDRESS": dashboard_url(self.ports), "RAY_AUTH_TOKEN_PATH": str(self.token_path)}

    def close(self) -> None:
        end([self.process], grace_s=5)
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def shared_head() -> Head:
    """Started at the first call; two test folders share it."""
    head = Head()
    atexit.register(head.close)
    return head
