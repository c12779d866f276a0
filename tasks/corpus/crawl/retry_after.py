"""The Retry-After header: how long a server asks a client to wait."""

from __future__ import annotations

import email.utils
import time


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date (RFC 9110 § 10.2.3); None if it says neither."""
    if value is None or value.strip().isdigit():
        return None if value is None else float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
