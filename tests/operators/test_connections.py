"""Settings inside Airflow: connections over environment."""

import json

import pytest

from operators.connections import job_environment, ray_endpoint, saved_searches, store_settings
from stages.errors import ConfigError


def define(monkeypatch, conn_id: str, **values: object) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(values))


def test_without_connections_the_environment_counts(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("abc\n")
    monkeypatch.setenv("SMELTER_RAY_ADDRESS", "http://head:1234/")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("SMELTER_STORE", "s3://bucket/x")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    endpoint = ray_endpoint()
    assert (endpoint.address, endpoint.token) == ("http://head:1234", "abc")
    assert store_settings().store == "s3://bucket/x"


def test_connections_come_first(monkeypatch):
    monkeypatch.setenv("SMELTER_RAY_ADDRESS", "http://other:1")
    monkeypatch.setenv("SMELTER_STORE", "file:///other")
    define(monkeypatch, "smelter_ray", conn_type="http", host="head", schema="https", port=8265, password="tok")
    extra = {"store": "s3://bucket/p", "endpoint": "http://s3:8333"}
    define(monkeypatch, "smelter_store", conn_type="aws", login="key", password="hidden", extra=json.dumps(extra))
    assert (ray_endpoint().address, ray_endpoint().token) == ("https://head:8265", "tok")
    settings = store_settings()
    assert (settings.store, settings.s3_endpoint) == ("s3://bucket/p", "http://s3:8333")
    assert settings.s3_secret_key.get_secret_value() == "hidden"
    wanted = {"SMELTER_S3_ENDPOINT": "http://s3:8333", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hidden"}
    assert job_environment(settings) == wanted


def test_proxy_and_cookies_come_from_a_connection(monkeypatch):
    monkeypatch.setenv("SMELTER_PROXY", "http://user:hidden@own:1")
    assert job_environment(store_settings()) == {}, "Ray shows a job's environment in its dashboard"
    extra = json.dumps({"cookies_file": "/etc/smelter/cookies.txt"})
    proxy = {"conn_type": "http", "host": "proxy", "port": 3128, "login": "me", "password": "a@b"}
    define(monkeypatch, "smelter_web", **proxy, extra=extra)
    wanted = {"SMELTER_PROXY": "http://me:a%40b@proxy:3128", "SMELTER_COOKIES_FILE": "/etc/smelter/cookies.txt"}
    assert job_environment(store_settings()) == wanted


def test_keys_of_the_environment_are_not_sent_with_jobs(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    assert job_environment(store_settings()) == {}, "Ray shows a job's environment in its dashboard"


def test_a_missing_token_file_is_named(monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere/token")
    with pytest.raises(ConfigError, match="/nowhere/token, got No such file"):
        ray_endpoint()


@pytest.mark.parametrize(
    ("variable", "setting", "found"),
    [
        (None, "a, b ,", ["a", "b"]),
        (None, "", []),
        ('["x", "y"]', "a", ["x", "y"]),
        ("x\n\n y\n", "a", ["x", "y"]),
    ],
)
def test_saved_searches(monkeypatch, variable, setting, found):
    monkeypatch.setenv("SMELTER_SEARCHES", setting)
    assert saved_searches(variable) == found


def test_a_broken_list_of_searches_is_refused():
    with pytest.raises(ConfigError, match="smelter_searches"):
        saved_searches('["x"')
