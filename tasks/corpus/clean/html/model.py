"""Choose the blocks that are a page's text: boosted trees score each block, then the best part of the page is chosen.

There are two pairs of models, one for articles and one for all pages; another model says how likely a page is to be an
article. In each pair the first model scores a block by itself, and the second scores it again with the first model's
scores of its neighbours. What is kept is decided for the page as a whole: one element is chosen, blocks inside it need
only a low score and blocks outside it a high one. The chosen element is the one with the highest expected F1, which is
also the confidence of the result.

The trees are trained by tasks/corpus/clean/html/train.py, which writes weights.py.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from data_lake.text.compiled import compiled
from tasks.corpus.clean.html.blocks import LINKS, WORDS, Blocks
from tasks.corpus.clean.html.context import more_features
from tasks.corpus.clean.html.features import NAMES, features, says
from tasks.corpus.clean.html.metadata import Declared
from tasks.corpus.clean.html.vocabulary import TAG

# The score above which a block is kept: inside the chosen element of an article, inside that of another page, and
# outside of it. Cross-validated on mixed pages: .3 and .7 give an F1 of .954 on articles, .5 and .5 give .950. On other
# pages the model is less sure, so a lower limit is better: .2 gives .004 more than .3 over all pages, as does .15.
INSIDE_ARTICLE, INSIDE_OTHER, OUTSIDE = np.float32(0.3), np.float32(0.2), np.float32(0.7)
ARTICLE = 0.5  # above this probability a page is judged by the models for articles

# A page with fewer blocks has nothing to separate: a page of five lines is kept as it is.
FEW_BLOCKS = 6

_PAGE = (
    "blocks page_units page_links page_para page_li articles top_share core_share named_share best_article_share "
    "says_article says_product says_forum says_list says_dated says_site"
)
PAGE_COLUMNS = np.array([NAMES.index(name) for name in _PAGE.split()])
_UNITS, _DENSITY, _HEADING, _GROUP_SHARE, _COMMENT = (
    NAMES.index(name) for name in ("units", "link_density", "is_heading", "group_share", "far_comment")
)


@dataclass(frozen=True)
class Trees:
    """Complete binary trees of equal depth: arrays of [trees, 2**depth - 1] and [trees, 2**depth]; sum = log odds."""

    feature: np.ndarray  # uint32, as an index that may be negative takes twice the time
    threshold: np.ndarray  # a value <= threshold goes left
    leaf: np.ndarray

    @classmethod
    def read(cls, text: str) -> Trees:
        """Read the output of `write`: for each tree its splits `feature:threshold`, then its leaves in thousandths."""
        feature, threshold, leaf = [], [], []
        for line in text.split(";"):
            splits, leaves = (part.split() for part in line.split("|"))
            feature.append([int(split.partition(":")[0]) for split in splits])
            threshold.append([float(split.partition(":")[2]) for split in splits])
            leaf.append([int(value) / 1000 for value in leaves])
        return cls(np.array(feature, dtype=np.uint32), np.array(threshold, dtype=np.float32), np.array(leaf))

    def write(self) -> str:
        """Return the trees as text."""
        trees = []
        for feature, threshold, leaf in zip(self.feature, self.threshold, self.leaf, strict=True):
            splits = " ".join(f"{f}:{t:.4g}" for f, t in zip(feature, threshold, strict=True))
            trees.append(f"{splits} | {' '.join(str(round(value * 1000)) for value in leaf)}")
        return "; ".join(trees)

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Return the probability of each row: float32[rows]."""
        return _scores(values, self.feature, self.threshold, self.leaf)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Model:
    """All trees: (first, second) for articles and for all pages, and the trees that recognise articles."""

    article: tuple[Trees, Trees]
    any_page: tuple[Trees, Trees]
    gate: Trees


@dataclass(frozen=True)
class Judgement:
    """Which blocks are the page's text, how good that is expected to be (F1, 0 to 1), and whether it is an article."""

    keep: np.ndarray  # bool[blocks]
    confidence: float
    article: bool
    scores: np.ndarray  # float32[blocks]: the probability that each block is text


def judge(blocks: Blocks, page: Declared, model: Model | None = None) -> Judgement:
    """Judge the blocks of a page; `page` is what it declares about itself."""
    n = len(blocks)
    if n < FEW_BLOCKS or not blocks.counts[:, LINKS].any():  # a page without any link has no navigation to drop
        return Judgement(np.ones(n, dtype=bool), 1.0, False, np.ones(n, dtype=np.float32))
    model = model or trained()
    values = features(blocks, says(page))
    article = bool(model.gate.scores(page_features(values))[0] > ARTICLE)
    first, second = model.article if article else model.any_page
    scores = second.scores(more_features(blocks, values, first.scores(values)))
    keep, confidence = choose(blocks, scores, INSIDE_ARTICLE if article else INSIDE_OTHER)
    return Judgement(keep, confidence, article, scores)


def page_features(values: np.ndarray) -> np.ndarray:
    """Return the features that recognise articles, float32[1, len(PAGE_COLUMNS) + 4], from those of a page's blocks."""
    return _page_features(values, PAGE_COLUMNS)  # type: ignore[no-any-return]


def choose(blocks: Blocks, scores: np.ndarray, need: np.float32) -> tuple[np.ndarray, float]:
    """Return which blocks to keep, bool[blocks], and the expected F1, from the scores (float32[blocks]).

    need: the score above which a block inside the chosen element is kept.
    """
    return _choose(  # type: ignore[no-any-return]
        scores, need, blocks.counts[:, WORDS], blocks.element, blocks.tag, blocks.first, blocks.last
    )


@functools.cache
def trained() -> Model:
    """Return the trained model."""
    from tasks.corpus.clean.html import weights

    return Model(
        (Trees.read(weights.ARTICLE_FIRST), Trees.read(weights.ARTICLE_SECOND)),
        (Trees.read(weights.ANY_FIRST), Trees.read(weights.ANY_SECOND)),
        Trees.read(weights.GATE),
    )


@compiled
def _scores(values, feature, threshold, leaf):  # type: ignore[no-untyped-def]
    rows, (trees, splits) = len(values), feature.shape
    out = np.empty(rows, np.float32)
    two, inner = np.uint32(2), np.uint32(splits)
    for i in range(rows):
        row, total = values[i], 0.0
        for tree in range(trees):
            splitting, limit, node = feature[tree], threshold[tree], np.uint32(0)
            while node < inner:  # arithmetic, not a branch: the processor could not predict it
                node = two * node + two - np.uint32(row[splitting[node]] <= limit[node])
            total += leaf[tree, node - inner]
        out[i] = 1 / (1 + np.exp(-total))
    return out


@compiled
def _page_features(values, columns):  # type: ignore[no-untyped-def]
    n, same = len(values), len(columns)
    out = np.empty((1, same + 4), np.float32)
    out[0, :same] = values[0][columns]
    headings, paragraphs, comments, most = 0, 0, 0, values[0, _GROUP_SHARE]
    for i in range(n):
        headings += values[i, _HEADING] > 0
        paragraphs += values[i, _UNITS] > 4 and values[i, _DENSITY] < np.float32(0.3)
        comments += values[i, _COMMENT] > 0
        most = max(most, values[i, _GROUP_SHARE])
    out[0, same:] = np.array([headings / n, paragraphs / n, most, comments / n])
    return out


_TR, _TD, _TH = TAG["tr"], TAG["td"], TAG["th"]


@compiled
def _choose(scores, need, words, owner, tags, first, last):  # type: ignore[no-untyped-def]
    n = len(scores)
    # running sums of weights and of weights times scores, over the blocks that pass the limit inside and outside
    size_in, likely_in = np.zeros(n + 1), np.zeros(n + 1)
    size_out, likely_out = np.zeros(n + 1), np.zeros(n + 1)
    everything = 0.0
    for i in range(n):
        weight = words[i] + 0.5
        likely = weight * scores[i]
        everything += likely
        inside, outside = scores[i] > need, scores[i] > OUTSIDE
        size_in[i + 1] = size_in[i] + (weight if inside else 0)
        likely_in[i + 1] = likely_in[i] + (likely if inside else 0)
        size_out[i + 1] = size_out[i] + (weight if outside else 0)
        likely_out[i + 1] = likely_out[i] + (likely if outside else 0)
    best, most = 0, -1.0
    for element in range(len(tags)):
        a, b = first[element], last[element]
        right = likely_in[b] - likely_in[a] + likely_out[n] - likely_out[b] + likely_out[a]
        size = size_in[b] - size_in[a] + size_out[n] - size_out[b] + size_out[a]
        expected = 2 * right / max(1e-9, size + everything)
        if expected > most:
            best, most = element, expected
    keep = np.empty(n, np.bool_)
    for i in range(n):
        keep[i] = scores[i] > (need if first[best] <= i < last[best] else OUTSIDE)
    # a row of a data table is kept or dropped as a whole
    for element in range(len(tags)):
        a, b = first[element], last[element]
        if tags[element] != _TR or b - a < 2 or b - a > 50:
            continue
        kept, whole, cells = 0.0, 0.0, True
        for i in range(a, b):
            cells = cells and (tags[owner[i]] == _TD or tags[owner[i]] == _TH)
            whole += words[i] + 0.5
            kept += words[i] + 0.5 if keep[i] else 0.0
        if cells:
            keep[a:b] = kept >= whole / 2
    return keep, most
