"""Connections that only go where a crawl may go: each address is checked after DNS, at the moment of connecting."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import httpcore


class ForbiddenAddress(Exception):
    """A host resolves to an address inside the own network."""


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the open internet.

    False for private, loopback, link-local, multicast and reserved ranges (IANA's special-purpose registries, as in
    Python's `ipaddress`), and for IPv6 addresses that wrap such an IPv4 address (mapped, 6to4, Teredo, NAT64).
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in ipaddress.ip_network("64:ff9b::/96"):  # RFC 6052: how an IPv6-only network reaches IPv4
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if not all(is_public(str(wrapped)) for wrapped in inner if wrapped is not None):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves names itself, refuses addresses of the own network, connects to the very address it checked.

    So a name that answers differently the second time (DNS rebinding) and a redirect to an internal host both fail.
    `resolve` maps a host to ip:port addresses, used in turn; it is the user's word, so it is not checked.
    """

    def __init__(self, allow_private: Collection[str] = (), resolve: Mapping[str, Iterable[str]] | None = None) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._allow_private = frozenset(host.lower() for host in allow_private)
        self._resolve: dict[str, Iterator[str]] = {
            host.lower(): itertools.cycle(list(addresses)) for host, addresses in (resolve or {}).items()
        }

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one of the host's addresses; raises ForbiddenAddress where one of them is not public."""
        name = host.strip("[]").lower()
        if name in self._resolve:
            address, _, number = next(self._resolve[name]).rpartition(":")
            addresses, port = [address.strip("[]")], int(number)
        else:
            addresses = await self._addresses(name, port)
            if name not in self._allow_private and (inside := [ip for ip in addresses if not is_public(ip)]):
                raise ForbiddenAddress(
                    f"{host} resolves to {inside[0]}, which is not on the open internet; name the host in "
                    "crawl.allow_private_hosts if it shall be crawled."
                )
        error: Exception | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error or httpcore.ConnectError(f"{host} has no address.")

    async def sleep(self, seconds: float) -> None:
        """Sleep; part of the backend's interface."""
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {error}") from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))
