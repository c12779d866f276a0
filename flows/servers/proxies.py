"""Proxies of the environment and this machine's own servers: loopback never goes through a proxy."""

import ipaddress
import re
import urllib.request
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from tasks.corpus.crawl.proxies import KEPT, is_http_proxy

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def around_proxies(environ: Mapping[str, str], *own: str | None) -> dict[str, str]:
    """no_proxy and NO_PROXY with the loopback names added, for os.environ of every process of ours.

    `own` are further hosts on which our servers listen, or their URLs (`textmill up --host`).

    Prefect's client (httpx, websockets), MLflow's (requests) and urllib all read them. Both spellings get the same
    value, because each library prefers another one; a lone "*" (no proxy for anything) is left as it is.

    httpx reads the whole environment before its first request, and refuses to start if it does not understand a proxy
    or a name (SOCKS, [::1]). Names are therefore written as it reads them; a proxy that is not an HTTP proxy is hidden
    from it and kept for the crawl, which reports it if it would need it.
    """
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [known for name in re.split(r"[,\s]+", given) for known in _excepted(name)]
    if names != ["*"]:
        hosts = (urlsplit(host).hostname if "://" in host else host for host in own if host)
        names += [name for name in dict.fromkeys((*LOOPBACK, *hosts)) if name and name not in names]
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(names)) | _hidden(environ)


def _excepted(name: str) -> Iterator[str]:
    """Yield a name of no_proxy as httpx can read it; nothing for an IPv6 network, which none of our clients knows."""
    bare = re.sub(r"^\[([^\]]*)\](:\d+)?$", r"\1", name)
    if bare.count(":") > 1:
        try:
            bare = str(ipaddress.IPv6Address(bare))
        except ValueError:
            return
    elif not re.fullmatch(r"[^:]*(:\d{1,5}|://.*)?", bare):
        return
    if bare:
        yield bare


def _hidden(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of proxies that are not HTTP proxies, emptied, and their values under another name."""
    changed: dict[str, str] = {}
    for scheme in ("http", "https", "all"):
        spellings = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
        for proxy in (value for name in reversed(spellings) if (value := environ.get(name, ""))):
            if not is_http_proxy(proxy):
                changed |= dict.fromkeys(spellings, "") | {KEPT.format(scheme.upper()): proxy}
    return changed


def opener_of(url: str) -> urllib.request.OpenerDirector:
    """An opener for `url`: without a proxy on loopback, elsewhere as the environment says."""
    return _DIRECT if urlsplit(url).hostname in LOOPBACK else urllib.request.build_opener()
