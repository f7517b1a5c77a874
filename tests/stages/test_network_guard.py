"""What counts as public, and that no socket of a guarded process reaches anything else."""

import http.client
import socket

import pytest

from stages.network_guard import NetworkGuard, PrivateAddress, is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # a cloud's metadata service
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),  # 6to4 of 127.0.0.1
        ("64:ff9b::a00:1", False),  # NAT64 of 10.0.0.1
        ("64:ff9b::808:808", True),
        ("::10.0.0.1", False),
        ("240.0.0.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("localhost", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.fixture
def port() -> int:
    """A port of this machine that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_guarded_process_cannot_connect_to_itself(port: int, host: str) -> None:
    guard = NetworkGuard(allow_private_hosts=False)
    with guard.active(), pytest.raises(PermissionError, match="not a public address"):
        socket.create_connection((host, port), timeout=5)
    assert guard.refused in ("127.0.0.1", "::1")
    with guard.active(), pytest.raises(PermissionError), socket.socket() as direct:
        direct.connect_ex((host, port))


def test_permission_opens_the_way_and_the_guard_leaves_nothing_behind(port: int) -> None:
    with NetworkGuard(allow_private_hosts=True).active():
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with NetworkGuard(allow_private_hosts=False).active():
        pass
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_proxies_of_the_environment_may_be_private(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    guard = NetworkGuard(allow_private_hosts=False)
    with guard.active():
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    assert guard.refused == ""


def test_a_proxy_of_the_settings_may_be_private_but_not_what_is_asked_of_it(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket goes to the proxy, so the host in the request is what must be judged."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    guard = NetworkGuard(allow_private_hosts=False, proxy=f"http://user:word@127.0.0.1:{port}")
    with guard.active():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.connect()
        with pytest.raises(PrivateAddress):
            connection.putrequest("GET", "http://169.254.169.254/latest/meta-data/")
        connection.close()
        with pytest.raises(PrivateAddress):
            http.client.HTTPConnection("127.0.0.1", port).set_tunnel("[::1]:443")
        with pytest.raises(PrivateAddress):
            http.client.HTTPConnection("127.0.0.1", port).set_tunnel("localhost", 443)
    assert guard.refused in ("127.0.0.1", "::1")


def test_a_name_that_changes_its_mind_is_judged_by_the_address_it_connects_to(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when it is checked, private when it is used."""
    answers = iter(["8.8.8.8", "127.0.0.1"])
    found = lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", found)
    guard = NetworkGuard(allow_private_hosts=False)
    assert is_public(socket.getaddrinfo("rebind.example", port)[0][4][0])
    with guard.active(), pytest.raises(PrivateAddress):
        socket.create_connection(("rebind.example", port), timeout=5)
