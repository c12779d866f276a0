"""The part of a page that is given to trafilatura, and whether its answer is only a fraction of the text.

This part is the page's source without the elements in which no block is likely to be kept. trafilatura visits every
node several times, and two thirds of a page's nodes are menus, lists of links and footers that the block model clearly
rejects. Without them trafilatura takes a third of the time and finds the same text.
"""

from __future__ import annotations

import numpy as np

from tasks.corpus.clean.html.blocks import Blocks
from tasks.corpus.clean.html.vocabulary import INLINE, KIND, TAG

# A block with a lower score is left out. On the articles of the mixed pages (four cross-validations by domain) the F1
# of words is .9461 if trafilatura gets all blocks, .9469 with a limit of .05, .9472 with .1, .9460 with .15 and .943
# with .2.
UNLIKELY = 0.1

# trafilatura's text is only a fraction if it is shorter than FRACTION of the text in blocks that score above SURE. On
# the mixed pages, with trafilatura asked about all of them (two cross-validations by domain), the model's text is then
# better, by .5 F1 a page. On the articles that trafilatura is asked about, .3 to .8 give the same result; the lowest
# value is used, as some articles are followed by comments that look like text.
SURE, FRACTION = 0.8, 0.3

_CELLS = np.array([TAG["td"], TAG["th"]])  # kept if empty: else later cells would move to other columns


def likely_part(source: bytes, blocks: Blocks, scores: np.ndarray) -> bytes:
    """Return the canonical source of a page without its unlikely elements, and without those that have no text.

    scores: float32[blocks], how likely each block is to be text. A page with only unlikely blocks is returned whole.
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
    """Whether a text that was found for a page is much shorter than all the blocks together that are surely text."""
    sure = scores > SURE
    return len(text.encode("utf-8", "replace")) < FRACTION * float((blocks.end - blocks.start)[sure].sum())
