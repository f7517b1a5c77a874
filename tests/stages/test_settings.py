"""Settings: from the environment, validated, secrets hidden, every variable documented."""

from pathlib import Path

import pytest

from stages.errors import ConfigError
from stages.settings import Settings, load_settings


def test_environment_and_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMELTER_STORE", "s3://bucket/prefix/")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    settings = load_settings()
    assert (settings.store, settings.s3_access_key.get_secret_value()) == ("s3://bucket/prefix", "key")
    assert load_settings(store="file:///x", s3_region=None).store == "file:///x"


def test_secrets_do_not_print() -> None:
    assert "hunter2" not in repr(load_settings(s3_secret_key="hunter2"))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("store", "bucket/prefix", "expected file:///path or s3://bucket/prefix, got 'bucket/prefix'"),
        ("store", "file://relative/path", "expected an absolute path"),
        ("store", "s3://", "expected file:///path or s3://bucket"),
        ("ray_address", "127.0.0.1:8265", "expected the dashboard's http"),
        ("max_workers", -1, "greater than or equal to 0"),
    ],
)
def test_wrong_values_name_the_field(field: str, value: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"{field}: .*{problem}"):
        load_settings(**{field: value})


def test_every_variable_is_documented() -> None:
    example = (Path(__file__).parents[2] / "infra" / "env.example").read_text()
    documented = {line.split("=")[0] for line in example.splitlines() if line.startswith("SMELTER_")}
    assert documented == {f"SMELTER_{name.upper()}" for name in Settings.model_fields}
