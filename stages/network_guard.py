"""Keep a process that follows links from the web away from private addresses.

The check stands where a socket connects, not where a URL is read: no redirect, no embedded link and no name that
resolves differently the second time gets past it. Behind a proxy the socket goes to the proxy, which resolves names
itself; there the host that is asked for is resolved and checked here too, before each request.
"""

import contextlib
import http.client
import ipaddress
import socket
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

_EMBEDDED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
"""IPv6 ranges whose last 32 bits are an IPv4 address: NAT64, and the old IPv4-compatible form."""


class NetworkGuard:
    """Refuses connections to addresses that are not public.

    Args:
        allow_private_hosts: let everything through.
        proxy: URL of a proxy that may be private, beside those that the environment names.
    """

    def __init__(self, allow_private_hosts: bool, proxy: str = "") -> None:
        self.refused = ""
        self._allow_all = allow_private_hosts
        self._proxies = set() if allow_private_hosts else _proxy_addresses(proxy)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Watch every socket and every proxied request of this process."""
        with contextlib.ExitStack() as stack:
            for method in ("connect", "connect_ex"):
                stack.enter_context(_wrapped(socket.socket, method, self._check_socket))
            stack.enter_context(_wrapped(http.client.HTTPConnection, "putrequest", self._check_request))
            stack.enter_context(_wrapped(http.client.HTTPConnection, "set_tunnel", self._check_tunnel))
            yield

    def _check_socket(self, self_socket: socket.socket, address: Any, *_: Any, **__: Any) -> None:
        if self_socket.family in (socket.AF_INET, socket.AF_INET6) and str(address[0]) not in self._proxies:
            self._check(str(address[0]))

    def _check_request(self, _: Any, method: str, url: str, *__: Any, **___: Any) -> None:
        if host := urlsplit(url).hostname:  # an absolute URL is what a proxy gets
            self._check_name(host)

    def _check_tunnel(self, _: Any, host: str, *__: Any, **___: Any) -> None:
        self._check_name(host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0])

    def _check_name(self, host: str) -> None:
        for address in [] if self._allow_all else _resolve(host):
            self._check(address)

    def _check(self, address: str) -> None:
        if not self._allow_all and not is_public(address):
            self.refused = address
            raise PrivateAddress(f"{address} is not a public address")


class PrivateAddress(PermissionError):
    """A connection that the guard refused."""


@contextlib.contextmanager
def _wrapped(owner: Any, method: str, check: Callable[..., None]) -> Iterator[None]:
    """Call `check` with the same arguments before each call of a method."""
    original = getattr(owner, method)

    def guarded(*args: Any, **kwargs: Any) -> Any:
        check(*args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, method, guarded)
    try:
        yield
    finally:
        setattr(owner, method, original)


def is_public(address: str) -> bool:
    """Whether a numeric address belongs to the public internet; a name does not count as one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if any(ip in network for network in _EMBEDDED):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _proxy_addresses(proxy: str) -> set[str]:
    hosts = {urlsplit(url).hostname for url in (*urllib.request.getproxies().values(), proxy)}
    return {address for host in hosts if host for address in _resolve(host)}


def _resolve(host: str) -> set[str]:
    """A name's addresses; none for a name that only a proxy can resolve, which is not one of ours."""
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return set()
