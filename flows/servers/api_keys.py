"""The API keys of the model server, and where it may listen without one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from flows.servers.proxies import LOOPBACK

KEYS = "TEXTMILL_API_KEY"
"""The environment variable with the API key, or several separated by commas."""


class NotGuarded(Exception):
    """The server would answer strangers without a key."""


def api_keys(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the API keys of the environment."""
    return tuple(key for key in map(str.strip, environ.get(KEYS, "").split(",")) if key)


def check_guarded(host: str, keys: Sequence[str], *, unguarded: bool = False) -> None:
    """Raise NotGuarded if other machines could ask without a key and nobody said that they may."""
    if host not in LOOPBACK and not keys and not unguarded:
        raise NotGuarded(f"Whoever reaches {host} could use the models without a key; set {KEYS}.")
