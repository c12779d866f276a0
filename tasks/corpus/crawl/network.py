"""Connections only to addresses a crawl may visit: each one is checked after DNS, at the moment of connecting."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Iterable, Mapping

from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


class ForbiddenAddress(Exception):
    """A host resolves to an address inside our own network."""


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the open internet.

    False for private, loopback, link-local, multicast and reserved ranges (IANA's special-purpose registries, as in
    Python's `ipaddress`), and for IPv6 addresses that wrap such an IPv4 address (mapped, compatible, 6to4, Teredo,
    NAT64).
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64[0]:  # RFC 6052: how an IPv6-only network reaches IPv4
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip in _NAT64[1] or int(ip) >> 32 == 0:  # RFC 8215: a network's own translator; RFC 4291: IPv4-compatible
            return False
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if not all(is_public(str(wrapped)) for wrapped in inner if wrapped is not None):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not ip.is_unspecified


class GuardedResolver(AbstractResolver):
    """Resolves names for aiohttp and refuses addresses of our own network; aiohttp connects to the addresses it gets.

    So a name that answers differently the second time (DNS rebinding) and a redirect to an internal host both fail.
    aiohttp does not ask about hosts that are already addresses: `check_literal` is for those. `resolve` maps a host
    to ip:port addresses; the user chose them, so they are not checked. Nor is the host:port of a `gateway`, a proxy
    that the environment names.
    """

    def __init__(
        self,
        allow_private: Collection[str] = (),
        resolve: Mapping[str, Iterable[str]] | None = None,
        gateways: Collection[tuple[str, int]] = (),
    ) -> None:
        self._allow_private = frozenset(host.lower().strip("[]") for host in allow_private)
        self._resolve = {host.lower(): tuple(addresses) for host, addresses in (resolve or {}).items()}
        self._gateways = frozenset(gateways)
        self._checked: dict[str, ForbiddenAddress | None] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the host's addresses; raises ForbiddenAddress if one of them is not public, OSError if none exist."""
        name = host.lower()
        if name in self._resolve:
            pairs = [address.rpartition(":")[::2] for address in self._resolve[name]]
            return [_result(host, ip.strip("[]"), int(number)) for ip, number in pairs]
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        except UnicodeError as error:  # a label that IDNA cannot encode
            raise OSError(f"{host} is not a possible DNS name: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if (name, port) not in self._gateways:
            for address in addresses:
                self.check(name, address)
        return [_result(host, address, port) for address in addresses]

    async def check_name(self, host: str) -> None:
        """Raise ForbiddenAddress if a host that a proxy will connect to is private as seen from here.

        Behind a proxy, DNS may not resolve outside names: hosts that are unknown here are left to the proxy.
        """
        name = host.lower()
        if name in self._resolve or name in self._allow_private:
            return
        if name not in self._checked:
            self._checked[name] = None
            try:
                found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
                for address in dict.fromkeys(str(entry[4][0]) for entry in found):
                    self.check(name, address)
            except ForbiddenAddress as error:
                self._checked[name] = error
            except (OSError, UnicodeError):
                pass
        if (forbidden := self._checked[name]) is not None:
            raise ForbiddenAddress(str(forbidden))

    def check_literal(self, host: str) -> None:
        """Raise ForbiddenAddress if the host of a canonical URL is itself an address that is not public."""
        if host in self._resolve:
            return
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return
        self.check(host, host)

    def check(self, host: str, address: str) -> None:
        """Raise ForbiddenAddress if the address is not public and the host may not be private."""
        if host not in self._allow_private and not is_public(address):
            raise ForbiddenAddress(
                f"{host} resolves to {address}, which is not on the open internet; name the host in "
                "crawl.allow_private_hosts if it shall be crawled."
            )

    async def close(self) -> None:
        """Do nothing, as nothing is held open; aiohttp's interface requires this method."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)
