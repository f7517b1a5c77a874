"""What the local services remember, and when they start over."""

import os
import socket

import psutil

from infra.processes import record
from infra.service_state import RAY, SERVICES, Home, State, load, locked, ports_fit, save, with_free_ports
from infra.services import down, status


def test_state_survives_between_commands(tmp_path):
    home = Home(tmp_path)
    with locked(home):
        state = load(home)
        state.processes = {RAY: [record(psutil.Process(os.getpid()))]}
        state.settings, state.migrated = "abc", "3.3.2"
        save(home, state)
    again = load(home)
    assert again == state
    assert again.runs(RAY)
    assert not again.runs("scheduler")


def test_ports_are_kept_unless_somebody_took_one(tmp_path):
    state = load(Home(tmp_path))
    assert with_free_ports(state) is state
    with socket.socket() as other:
        other.bind(("0.0.0.0", state.airflow.api))
        other.listen()
        assert not ports_fit(state)
        fresh = with_free_ports(state)
    assert fresh.airflow.api != state.airflow.api


def test_a_recorded_pid_of_another_process_does_not_count_and_is_not_ended(tmp_path):
    home = Home(tmp_path)
    me = record(psutil.Process(os.getpid()))
    with locked(home):
        state: State = load(home)
        state.processes = {"scheduler": [type(me)(me.pid, me.started - 999)]}
        save(home, state)
    assert status(tmp_path) == dict.fromkeys(SERVICES, "down")
    said: list[str] = []
    down(tmp_path, said.append)  # would end this very test
    assert said == ["ended      nothing, it was down"]
    assert load(home).processes == {}


def test_status_and_down_without_a_state_say_that_nothing_runs(tmp_path):
    said: list[str] = []
    down(tmp_path, said.append)
    assert said == ["nothing runs"]
    assert set(status(tmp_path).values()) == {"down"}
