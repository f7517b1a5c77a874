"""Keep a process that follows links from the web away from private addresses.

The check stands where a socket connects, not where a URL is read: no redirect, no embedded link and no name that
resolves differently the second time gets past it.
"""

import contextlib
import ipaddress
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit


class NetworkGuard:
    """Refuses connections to addresses that are not public. Proxies of the environment are allowed."""

    def __init__(self, allow_private_hosts: bool) -> None:
        self.refused = ""
        self._allow_all = allow_private_hosts
        self._proxies = set() if allow_private_hosts else _proxy_addresses()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Watch every socket of this process."""
        connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

        def guarded(self_socket: socket.socket, address: Any) -> None:
            self._check(self_socket, address)
            connect(self_socket, address)

        def guarded_ex(self_socket: socket.socket, address: Any) -> int:
            self._check(self_socket, address)
            return connect_ex(self_socket, address)

        socket.socket.connect, socket.socket.connect_ex = guarded, guarded_ex  # type: ignore[assignment,method-assign]
        try:
            yield
        finally:
            socket.socket.connect, socket.socket.connect_ex = connect, connect_ex  # type: ignore[method-assign]

    def _check(self, self_socket: socket.socket, address: Any) -> None:
        if self._allow_all or self_socket.family not in (socket.AF_INET, socket.AF_INET6):
            return
        host = str(address[0])
        if host not in self._proxies and not is_public(host):
            self.refused = host
            raise PermissionError(f"{host} is not a public address")


def is_public(address: str) -> bool:
    """Whether a numeric address belongs to the public internet; a name does not count as one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    return (mapped or ip).is_global and not ip.is_multicast


def _proxy_addresses() -> set[str]:
    hosts = {urlsplit(proxy).hostname for proxy in urllib.request.getproxies().values()}
    found: set[str] = set()
    for host in filter(None, hosts):
        with contextlib.suppress(OSError):
            found |= {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    return found
