"""A real S3 server for tests: SeaweedFS from PyPI on free loopback ports. Ready means that a first put succeeds."""

import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.errors import ServiceError
from stages.settings import Settings, load_settings
from stages.storage import Store

ACCESS_KEY, SECRET_KEY = "testkey1234", "testsecret12345678"
PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
PORTS += ("s3.port", "s3.port.grpc")
OFF = ("-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false", "-master.telemetry=false")


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; all held at once, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@dataclass
class SeaweedFS:
    """A running server; `settings(bucket)` gives what a Store needs."""

    process: subprocess.Popen[bytes]
    endpoint: str

    def settings(self, bucket: str, **fields: Any) -> Settings:
        values = {"s3_endpoint": self.endpoint, "s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY}
        return load_settings(store=f"s3://{bucket}", **{**values, **fields})

    def create_bucket(self, name: str) -> None:
        import s3fs

        fs = s3fs.S3FileSystem(key=ACCESS_KEY, secret=SECRET_KEY, endpoint_url=self.endpoint, skip_instance_cache=True)
        fs.mkdir(name)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def start(folder: Path) -> SeaweedFS:
    """Start a server with its data below `folder` and a bucket named `smelter`."""
    identity = {"name": "admin", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]}
    config = folder / "s3.json"
    config.write_text(
        json.dumps({"identities": [identity | {"actions": ["Admin", "Read", "Write", "List", "Tagging"]}]})
    )
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    command = [
        str(Path(sys.executable).parent / "weed"),
        "-logtostderr=true",
        "mini",
        f"-dir={folder}",
        "-ip=127.0.0.1",
    ]
    command += ["-ip.bind=127.0.0.1", f"-s3.config={config}", *OFF, *(f"-{k}={v}" for k, v in ports.items())]
    command += [f"-filer.localSocket={folder}/f.sock", f"-s3.localSocket={folder}/s3.sock"]
    with open(folder / "weed.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    server = SeaweedFS(process, f"http://127.0.0.1:{ports['s3.port']}")
    _wait(server, folder / "weed.log")
    return server


def _wait(server: SeaweedFS, log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            server.create_bucket("smelter")
            Store(server.settings("smelter")).put("ready", b"1")
            return
        except (OSError, ServiceError):
            time.sleep(0.2)
    server.stop()
    raise RuntimeError(f"SeaweedFS did not answer within {seconds} s:\n{log.read_text()[-2000:]}")
