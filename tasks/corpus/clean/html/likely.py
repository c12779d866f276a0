"""The part of a page that is given to trafilatura, and whether its answer is only a fraction of the text.

The part is the page's source without the elements in which no block is likely to be kept:
trafilatura visits every node several times, and two thirds of a page's nodes are menus, lists of links and footers that
the block model has no doubt about. Without them it takes a third of the time and finds the same.
"""

from __future__ import annotations

import numpy as np

from tasks.corpus.clean.html.blocks import Blocks
from tasks.corpus.clean.html.vocabulary import INLINE, KIND, TAG

# A block with a lower score is left out. On the articles of the mixed pages (four foldings by domain) F1 of words is
# .9461 where trafilatura gets all, .9469 from .05 on, .9472 from .1, .9460 from .15 and .943 from .2.
UNLIKELY = 0.1

# Text of which less than FRACTION of the SURE blocks' text is found is a fraction. On the mixed pages, with trafilatura
# asked about all (two foldings by domain), the model's text is then better, by .5 F1 a page. On the asked articles
# .3 to .8 give the same; the lowest of them is taken, as under some articles there are comments that look like text.
SURE, FRACTION = 0.8, 0.3

_CELLS = np.array([TAG["td"], TAG["th"]])  # without one, those behind it would stand in other columns


def likely_part(source: bytes, blocks: Blocks, scores: np.ndarray) -> bytes:
    """Return the canonical source of a page without its unlikely elements, and without those that have no text.

    scores: float32[blocks], how likely each block is to be text. A page of unlikely blocks only comes back whole.
    """
    likely = np.concatenate([[0], np.cumsum(scores >= UNLIKELY)])
    empty = (likely[blocks.last] == likely[blocks.first]) & (KIND[blocks.tag] != INLINE)
    empty &= ~np.isin(blocks.tag, _CELLS)
    if not likely[-1]:
        return source
    opens, closes = blocks.opens[empty], blocks.closes[empty]
    outermost = opens >= np.maximum.accumulate(np.append(0, closes[:-1])) if len(opens) else empty[:0]
    begins, ends = np.append(0, closes[outermost]), np.append(opens[outermost], len(source))
    return b" ".join(source[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True))


def is_fraction(text: str, blocks: Blocks, scores: np.ndarray) -> bool:
    """Whether a text that was found for a page is much shorter than the blocks that are surely text, together."""
    sure = scores > SURE
    return len(text.encode("utf-8", "replace")) < FRACTION * float((blocks.end - blocks.start)[sure].sum())
