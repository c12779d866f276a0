"""Proxies of the environment and this machine's own servers: loopback never goes through a proxy."""

import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def around_proxies(environ: Mapping[str, str], *own: str | None) -> dict[str, str]:
    """no_proxy and NO_PROXY with the loopback names added, for os.environ of every process of ours.

    `own` are further hosts on which servers of ours listen, or their URLs (`textmill up --host`).

    Prefect's client (httpx, websockets), MLflow's (requests) and urllib all read them. Both spellings get the same
    value, since each library prefers another one; a lone "*" (no proxy for anything) stays what it is.
    """
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [name.strip() for name in given.split(",") if name.strip()]
    if names != ["*"]:
        hosts = (urlsplit(host).hostname if "://" in host else host for host in own if host)
        names += [name for name in dict.fromkeys((*LOOPBACK, *hosts)) if name and name not in names]
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(names))


def opener_of(url: str) -> urllib.request.OpenerDirector:
    """What opens `url`: without a proxy on loopback, as the environment says elsewhere."""
    return _DIRECT if urlsplit(url).hostname in LOOPBACK else urllib.request.build_opener()
