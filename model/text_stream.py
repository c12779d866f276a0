"""Tokens become text piece by piece: no character is ever cut, and a text ends before its stop string."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence


class TextStream:
    """Turns the tokens of one text into pieces that can be shown at once.

    A character may span several tokens, and so may a stop string: what may still become one is held back until it is
    decided, and comes out with `end` at the latest. Bytes that are no UTF-8 become U+FFFD, as in `Tokenizer.decode`.
    The pieces together do not depend on how the text is divided into tokens.
    """

    def __init__(self, decode_bytes: Callable[[Sequence[int]], bytes], stop: Sequence[str] = ()) -> None:
        """`decode_bytes` gives the bytes of token ids (Tokenizer.decode_bytes)."""
        self._decode_bytes, self._stop = decode_bytes, stop
        self._characters = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """Return the text that is certain after one more token; sets `stopped` once a stop string is complete."""
        return self._release(self._characters.decode(self._decode_bytes([token])))

    def end(self) -> str:
        """Return what is still held back: the text ends here."""
        if self.stopped:
            return ""
        piece = self._release(self._characters.decode(b"", final=True))
        rest, self._held = self._held, ""
        return piece if self.stopped else piece + rest

    def _release(self, text: str) -> str:
        text, self._held = self._held + text, ""
        ends = [(at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0]
        if ends:  # the stop string that is complete first counts; of those that end together, the longest
            self.stopped = True
            return text[: min(ends)[1]]
        held = max((_overlap(text, stop) for stop in self._stop), default=0)
        keep = len(text) - held
        self._held = text[keep:]
        return text[:keep]


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of `text` may be the beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
