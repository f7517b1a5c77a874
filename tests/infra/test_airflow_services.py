"""The environment of Airflow's processes: secrets kept private, everything on loopback, one address everywhere."""

import stat

from infra.airflow_services import AirflowPorts, airflow_environment, unhealthy, write_secrets
from infra.processes import free_ports

PORTS = AirflowPorts(api=18080, worker_log=18081, trigger_log=18082)


def test_secrets_are_made_once_and_readable_by_their_owner_only(tmp_path):
    first = write_secrets(tmp_path)
    assert write_secrets(tmp_path) == first
    assert len(set(first.values())) == 4
    for name in ("secrets.json", "passwords.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_tasks_find_the_api_server_and_our_packages(tmp_path):
    env = airflow_environment(tmp_path / "repo", tmp_path / "home", PORTS, {"SMELTER_STORE": "file:///s"})
    assert env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:18080/execution/"
    assert env["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert env["PYTHONPATH"] == str(tmp_path / "repo")
    assert env["SMELTER_STORE"] == "file:///s"


def test_nothing_answers_means_the_api_server_is_ill():
    assert unhealthy(AirflowPorts(api=free_ports(1)[0], worker_log=1, trigger_log=2)) == ["api-server"]
