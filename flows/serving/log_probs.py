"""Log-probabilities in the two shapes of OpenAI's API: of completions (legacy) and of chats."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from typing import Any

from tasks.delivery.serving.served import Served

LOWEST = -9999.0
"""What stands for minus infinity, which JSON has not; OpenAI's API uses the same number."""

Top = Sequence[tuple[int, float]]


def token_text(served: Served, token: int) -> str:
    r"""Return a token as text; one that is only part of a character as its bytes: bytes:\xe2\x82."""
    raw = served.token_bytes(token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def completion_log_probs(
    served: Served, ids: Sequence[int], log_probs: Sequence[float | None], top: Sequence[Top | None], offset: int = 0
) -> dict[str, Any]:
    """Return the legacy shape; `offset` is the number of characters before the first token."""
    characters = codecs.getincrementaldecoder("utf-8")(errors="replace")
    offsets = []
    for token in ids:
        offsets.append(offset)
        offset += len(characters.decode(served.token_bytes(token)))
    return {
        "tokens": [token_text(served, token) for token in ids],
        "token_logprobs": [None if value is None else _finite(value) for value in log_probs],
        "top_logprobs": [None if one is None else _named(served, one) for one in top] if top else None,
        "text_offset": offsets,
    }


def _named(served: Served, top: Top) -> dict[str, float]:
    """Return log-probabilities by the tokens' texts; the likelier one counts where two have the same."""
    named: dict[str, float] = {}
    for token, value in top:
        named.setdefault(token_text(served, token), _finite(value))
    return named


def chat_log_probs(
    served: Served, ids: Sequence[int], log_probs: Sequence[float], top: Sequence[Top], count: int
) -> list[dict[str, Any]]:
    """Return the `content` of a chat's logprobs, with `count` likeliest tokens at each place."""
    likeliest: Iterable[Top] = top or [()] * len(ids)
    return [
        {**_entry(served, token, value), "top_logprobs": [_entry(served, *other) for other in tops[:count]]}
        for token, value, tops in zip(ids, log_probs, likeliest, strict=True)
    ]


def _entry(served: Served, token: int, value: float) -> dict[str, Any]:
    raw = served.token_bytes(token)
    return {"token": token_text(served, token), "logprob": _finite(value), "bytes": list(raw)}


def _finite(value: float) -> float:
    return max(value, LOWEST)
