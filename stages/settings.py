"""Where Smelter runs: one typed object, read from the environment, checked before any work.

Every field is an environment variable with the prefix `SMELTER_` (`infra/env.example` lists them). In Airflow the
connections `smelter_store` and `smelter_ray` come first (`operators/connections.py`). Nothing here is part of a work
key: the same input gives the same bytes on any store.
"""

from functools import lru_cache
from typing import Any
from urllib.parse import urlparse

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from stages.errors import ConfigError

STORE_SCHEMES = ("file", "s3")


class Settings(BaseSettings):
    """Typed settings; build them with `load_settings` to get readable errors."""

    model_config = SettingsConfigDict(env_prefix="SMELTER_", extra="ignore", frozen=True, populate_by_name=True)

    store: str = Field(default="", description="URI of the store: file:///path or s3://bucket/prefix")
    s3_endpoint: str = Field(default="", description="S3 endpoint URL; empty means the cloud's own")
    s3_region: str = Field(
        default="us-east-1", validation_alias=AliasChoices("SMELTER_S3_REGION", "AWS_REGION"), description="S3 region"
    )
    s3_access_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("SMELTER_S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
        description="S3 access key; empty means the machine's own role",
    )
    s3_secret_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("SMELTER_S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
        description="S3 secret key",
    )
    ray_address: str = Field(default="http://127.0.0.1:8265", description="Ray dashboard URL, for the Jobs API")
    ray_token_path: str = Field(
        default="",
        validation_alias=AliasChoices("SMELTER_RAY_TOKEN_PATH", "RAY_AUTH_TOKEN_PATH"),
        description="file that holds the Ray token; empty means no token",
    )
    max_workers: int = Field(default=0, ge=0, description="Ray actors per stage; 0 means as many as the cluster holds")
    train_workers: int = Field(default=1, ge=1, description="workers that train one model together, through Ray Train")
    allow_private_hosts: bool = Field(default=False, description="let scrape fetch from private and loopback hosts")
    proxy: SecretStr = Field(
        default=SecretStr(""), description="http(s) or socks5 proxy URL that scrape goes through; may be private"
    )
    cookies_file: str = Field(default="", description="cookies for scrape, in Netscape format, a file on each worker")
    searches: str = Field(default="", description="sources that label_nightly scrapes, separated by commas")
    cache_dir: str = Field(default="", description="where workers keep models; empty means the system's temp folder")

    @field_validator("store")
    @classmethod
    def _check_store(cls, uri: str) -> str:
        parts = urlparse(uri)
        if uri and (parts.scheme not in STORE_SCHEMES or (parts.scheme == "s3" and not parts.netloc)):
            raise ValueError(f"expected file:///path or s3://bucket/prefix, got {uri!r}")
        if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
            raise ValueError(f"expected an absolute path as in file:///data/store, got {uri!r}")
        return uri.rstrip("/")

    @field_validator("ray_address")
    @classmethod
    def _check_ray_address(cls, url: str) -> str:
        if urlparse(url).scheme not in ("http", "https"):
            raise ValueError(f"expected the dashboard's http:// or https:// URL, got {url!r}")
        return url.rstrip("/")

    def require_store(self) -> str:
        """The store's URI, or a ConfigError that says how to set it."""
        if not self.store:
            raise ConfigError(
                "expected a store, got none; give --store file:///path or set SMELTER_STORE (infra/env.example)"
            )
        return self.store


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment, with overrides by field name.

    Raises:
        ConfigError: a value is malformed; the message names the field, what was expected and what was found.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"settings are wrong: {problems}; see infra/env.example for every variable") from None


@lru_cache(maxsize=1)
def environment_settings() -> Settings:
    """Settings of this process's environment, read once."""
    return load_settings()
