"""Pages that show their text only where no scripts run: it lies in <noscript>, and around it there is next to nothing.

Elsewhere <noscript> holds pictures that are loaded later, counters, and the advice to allow scripts.
"""

from __future__ import annotations

import re

from tasks.clean.html.blocks import UNITS, Blocks, blocks_of

# A page that shows more letters than this is whole; the text for browsers without scripts is taken from so many on,
# and if it is several times what is shown. All five such pages of the mixed ones (of 373) are the same forum software:
# they show up to 70 letters, and hold 2,500 and more. The longest advice to allow scripts has 200.
MOST_SHOWN, LEAST_HELD, TIMES = 1_000, 500, 3

_TAG = re.compile(rb"<(/?)noscript\b[^>]*>")


def shown(source: bytes) -> tuple[bytes, Blocks]:
    """Return the canonical source of a page as a browser without scripts shows it where that matters, and its blocks.

    Elements that hold the page's text for such browsers become plain ones, for all that read the source afterwards.
    """
    blocks = blocks_of(source)
    letters = _letters(blocks)
    if letters <= MOST_SHOWN and b"<noscript" in source:
        body = max(0, source.find(b"<body"))
        opened = source[:body] + _TAG.sub(rb"<\1div>", source[body:])
        others = blocks_of(opened)
        if _letters(others) >= max(LEAST_HELD, TIMES * letters):
            return opened, others
    return source, blocks


def _letters(blocks: Blocks) -> float:
    return float(blocks.counts[:, UNITS].sum())
