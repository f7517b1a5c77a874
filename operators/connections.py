"""Settings inside Airflow: the connections `smelter_store`, `smelter_ray`, `smelter_web`, else the environment.

| connection      | field             | setting                                            |
|-----------------|-------------------|----------------------------------------------------|
| `smelter_store` | extra `store`     | URI of the store, as in s3://bucket/prefix         |
|                 | extra `endpoint`, `region` | S3 endpoint and region                    |
|                 | login, password   | S3 access key and secret key                       |
| `smelter_ray`   | host, port, schema | dashboard URL: host may hold the scheme           |
|                 | password          | token of the head                                  |
| `smelter_web`   | host, port, schema, login, password | proxy that scrape goes through   |
|                 | extra `cookies_file` | cookies for scrape: a file on each worker       |

The triggerer must not block, hence the two ways to the Ray endpoint. A token never enters a trigger's arguments: these
lie in the metadata database.
"""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlparse

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from operators.ray_api import RayEndpoint
from stages.errors import ConfigError
from stages.settings import Settings, load_settings

STORE_CONNECTION = "smelter_store"
RAY_CONNECTION = "smelter_ray"
WEB_CONNECTION = "smelter_web"

_FORWARDED = ("s3_endpoint", "s3_region", "max_workers", "allow_private_hosts")
"""Settings that jobs take from Airflow. Not `cache_dir`: it belongs to the worker's own disk."""


def store_settings() -> Settings:
    """Where the store is, as seen from Airflow."""
    connection = _find(STORE_CONNECTION)
    if connection is None:
        return load_settings()
    extra = connection.extra_dejson
    return load_settings(
        store=extra.get("store"),
        s3_endpoint=extra.get("endpoint"),
        s3_region=extra.get("region"),
        s3_access_key=connection.login,
        s3_secret_key=connection.password,
    )


def job_environment(settings: Settings) -> dict[str, str]:
    """Environment variables of a job: what differs from the defaults.

    Credentials are passed on only if Airflow has a connection with them, because Ray shows a job's environment in its
    dashboard; better give the workers a role or their own variables.
    """
    defaults = Settings.model_fields
    values = {name: getattr(settings, name) for name in _FORWARDED}
    env = {f"SMELTER_{name.upper()}": str(v) for name, v in values.items() if v != defaults[name].default}
    connection = _find(STORE_CONNECTION)
    if connection is not None and connection.login and connection.password:
        env |= {"AWS_ACCESS_KEY_ID": connection.login, "AWS_SECRET_ACCESS_KEY": connection.password}
    return env | _web_environment()


def _web_environment() -> dict[str, str]:
    """Proxy and cookies of scrape, if Airflow has a connection with them; workers may have their own variables."""
    connection = _find(WEB_CONNECTION)
    if connection is None:
        return {}
    cookies = connection.extra_dejson.get("cookies_file", "")
    found = {"SMELTER_PROXY": proxy_url(connection) or "", "SMELTER_COOKIES_FILE": cookies}
    return {name: value for name, value in found.items() if value}


def proxy_url(connection: Any) -> str | None:
    """The proxy's URL with its name and password. None without a host."""
    url = connection_url(connection)
    if url is None or not connection.login:
        return url
    user = f"{quote(connection.login, safe='')}:{quote(connection.password or '', safe='')}"
    return url.replace("://", f"://{user}@", 1)


def saved_searches(variable: str | None) -> list[str]:
    """What `label_nightly` scrapes: the Airflow Variable `smelter_searches`, else the setting `searches`.

    Args:
        variable: text of the Variable, a JSON list or one source per line; None if there is none.
    """
    if variable is None:
        return [source.strip() for source in load_settings().searches.split(",") if source.strip()]
    if not variable.lstrip().startswith("["):
        return [line.strip() for line in variable.splitlines() if line.strip()]
    try:
        return [str(source) for source in json.loads(variable)]
    except json.JSONDecodeError as error:
        raise ConfigError(f"Variable smelter_searches: expected a JSON list or lines, got {error}") from None


def ray_endpoint() -> RayEndpoint:
    """The Jobs API, for a task."""
    return _endpoint(_find(RAY_CONNECTION))


async def aray_endpoint() -> RayEndpoint:
    """The Jobs API, for the triggerer: looked up without blocking."""
    try:
        return _endpoint(await BaseHook.aget_connection(RAY_CONNECTION))
    except AirflowNotFoundException:
        return _endpoint(None)


def _find(conn_id: str) -> Connection | None:
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None


def _endpoint(connection: Any) -> RayEndpoint:
    if connection is None:
        settings = load_settings()
        return RayEndpoint(settings.ray_address, _environment_token(settings))
    settings = load_settings(ray_address=connection_url(connection))
    return RayEndpoint(settings.ray_address, connection.password or _environment_token(settings))


def connection_url(connection: Any) -> str | None:
    """The URL of an http connection: `host` may hold the scheme, the port stands apart. None without a host."""
    if not connection.host:
        return None
    url = connection.host if "://" in connection.host else f"{connection.schema or 'http'}://{connection.host}"
    return f"{url}:{connection.port}" if connection.port and urlparse(url).port is None else url


def _environment_token(settings: Settings) -> str:
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token
    path = settings.ray_token_path
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"expected a Ray token in {path}, got {error.strerror}; correct RAY_AUTH_TOKEN_PATH or run `make up`"
        ) from None
