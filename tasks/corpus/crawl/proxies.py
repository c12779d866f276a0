"""The proxies that the environment names, read as curl and requests do: http_proxy, https_proxy, all_proxy, no_proxy.

Requests to this machine never use one, nor do hosts that the recipe maps to an address or allows as private.
"""

from __future__ import annotations

import ipaddress
import os
import urllib.request
from collections.abc import Collection
from urllib.parse import urlsplit

from tasks.stage.errors import PermanentError

_DEFAULT_PORTS = {"http": 80, "https": 443}
# The variable in which our processes keep a proxy that other libraries refuse to read; see flows/servers/proxies.py.
KEPT = "TEXTMILL_GIVEN_{}_PROXY"


class Proxies:
    """Which proxy a URL uses. `direct`: hosts that need no proxy, whatever the environment says."""

    def __init__(self, direct: Collection[str] = ()) -> None:
        self._direct = frozenset(host.lower().strip("[]") for host in direct)
        kept = {name: os.environ.get(KEPT.format(name.upper())) for name in ("http", "https", "all")}
        found = {name: proxy for name, proxy in kept.items() if proxy} | urllib.request.getproxies_environment()
        # urllib calls all_proxy "all"; a variable for the scheme itself comes first
        self._by_scheme = {scheme: found.get(scheme) or found.get("all") or None for scheme in ("http", "https")}

    def of(self, url: str) -> str | None:
        """Return the proxy's URL, or None for a direct connection.

        Raises PermanentError if the environment names a proxy that is not an HTTP proxy (SOCKS, say).
        """
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        proxy = self._by_scheme.get(parts.scheme)
        if not proxy or host in self._direct or is_loopback(host) or self._is_excepted(host):
            return None
        address = proxy if "://" in proxy else f"http://{proxy}"
        if not is_http_proxy(address):
            raise PermanentError(
                f"The environment names a proxy for {parts.scheme} that is not an HTTP proxy "
                f"({_without_password(address)}); set {parts.scheme}_proxy to http://host:port, or unset it."
            )
        return address

    @staticmethod
    def _is_excepted(host: str) -> bool:
        return bool(urllib.request.proxy_bypass_environment(host))  # type: ignore[attr-defined]  # typeshed lacks it

    def addresses(self) -> set[tuple[str, int]]:
        """Return host and port of every proxy: connections to these are allowed even if the address is private."""
        found = set()
        for proxy in filter(None, self._by_scheme.values()):
            try:
                parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
                found.add(((parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)))
            except ValueError:
                continue
        return found


def is_http_proxy(proxy: str) -> bool:
    """Whether a proxy from the environment, with or without its scheme, is an HTTP proxy."""
    try:
        named = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return named.scheme in _DEFAULT_PORTS and bool(named.hostname) and named.port != 0
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _without_password(proxy: str) -> str:
    scheme, _, rest = proxy.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
