"""Features of a block for the first model: its text, its place in the tree and on the page, and its neighbours.

The features do not depend on the language of the text: words in the markup count (names in `class` are English
everywhere), words of the text do not. The kinds of features come from boilerpipe (Kohlschütter et al. 2010),
Readability and dragnet (Peters & Lecocq 2013).
"""

from __future__ import annotations

import numpy as np

from data_lake.text.compiled import compiled
from tasks.corpus.clean.html.blocks import Blocks
from tasks.corpus.clean.html.containers import core_element, groups_of, signed, sums, top_element
from tasks.corpus.clean.html.metadata import Declared
from tasks.corpus.clean.html.vocabulary import BODY_BIT, HINT_NAMES, TAG, TAGS

# Tags ordered by how likely they hold text, the least likely first: a decision tree splits such an order in two.
_ORDER = (
    "nav button label legend footer aside header form option a span li ul ol address figcaption caption td th tr tbody "
    "table dd dt div center section main article h6 h5 h4 h3 h2 h1 blockquote p pre"
)
_RANK = np.full(len(TAGS) + 1, _ORDER.split().index("div"), dtype=np.float32)
for _name in _ORDER.split():
    if _name in TAG:
        _RANK[TAG[_name]] = _ORDER.split().index(_name)

_AROUND_NAMES = "nav header footer aside form article main section table ul ol figure blockquote li dl pre label button"
_AROUND = _AROUND_NAMES.split()
_AROUND_BIT = np.zeros(len(TAGS) + 1, dtype=np.uint32)
for _i, _name in enumerate(_AROUND):
    _AROUND_BIT[TAG[_name]] = 1 << _i

_LEVELS = 4
_LOCAL = (
    "units unit_per_word link_density links commas ends ends_per_word last_is_end digits upper breaks marks bold tag "
    "is_p is_heading is_li is_pre depth"
)
LOCAL = _LOCAL.split()
CONTAINER = [f"{name}_{k}" for k in range(_LEVELS) for name in ("share", "links", "para", "mean", "blocks")]
_PLACE = (
    "in_top in_top_parent top_distance top_share in_core core_distance core_share place units_before blocks page_units "
    "page_links page_para page_li articles since_h1 to_h1 paras_before paras_after last_para next_para in_named "
    "named_distance named_share in_best_article best_article_share repeated"
)
PLACE = _PLACE.split()
NEAR = [f"{name}{k:+d}" for k in (-2, -1, 1, 2) for name in ("units", "links", "ends", "tag", "same")]
SAYS = ("says_article", "says_product", "says_forum", "says_list", "says_dated", "says_site")
GROUP = ("group_size", "group_share", "group_mean", "group_links")
NAMES = (
    *LOCAL,
    *(f"in_{name}" for name in _AROUND),
    *(f"near_{name}" for name in HINT_NAMES),
    *(f"far_{name}" for name in HINT_NAMES),
    *CONTAINER,
    *PLACE,
    *NEAR,
    *GROUP,
    *SAYS,
)


# The kind of page that a page declares to be, in the terms of Open Graph and schema.org; in the order of SAYS.
_KINDS = (
    "article newsarticle blogposting reportagenewsarticle techarticle scholarlyarticle report review",
    "product product.item product.group offer og:product productgroup individualproduct",
    "discussionforumposting qapage question socialmediaposting",
    "collectionpage itemlist offercatalog searchresultspage",
    "",
    "website profile object",
)
_KIND_NAMES = [frozenset(names.split()) for names in _KINDS]


def says(page: Declared) -> np.ndarray:
    """Return float32[SAYS]: 1 for each kind that the page declares to be, else 0."""
    kinds = page.kinds
    found = np.array([not kinds.isdisjoint(names) for names in _KIND_NAMES], dtype=np.float32)
    dates = [*page.named.get("article:published_time", ()), *(item.get("datePublished") for item in page.linked)]
    found[SAYS.index("says_dated")] = any(dates)
    return found


def features(blocks: Blocks, kind: np.ndarray) -> np.ndarray:
    """Return float32[blocks, NAMES]; `kind` is the result of says()."""
    return first_features(  # type: ignore[no-any-return]
        blocks.text,
        blocks.start,
        blocks.end,
        blocks.element,
        blocks.counts,
        blocks.tag,
        blocks.parent,
        blocks.hints,
        blocks.path,
        blocks.first,
        blocks.last,
        _RANK,
        _AROUND_BIT,
        kind,
    )


_P, _LI, _PRE, _H1, _H6, _ARTICLE = (TAG[name] for name in ("p", "li", "pre", "h1", "h6", "article"))
_N = len(NAMES)
_HINTS = len(HINT_NAMES)
_NAROUND = len(_AROUND)


@compiled
def _text_hashes(text, start, end):  # type: ignore[no-untyped-def]
    out = np.empty(len(start), np.uint32)
    for i in range(len(start)):
        value = np.uint32(2166136261)
        for k in range(start[i], end[i]):
            if text[k] != 32 and text[k] != 10:
                value = np.uint32((value ^ np.uint32(text[k])) * np.uint32(16777619))
        out[i] = value
    return out


@compiled
def first_features(text, start, end, owner, counts, tags, parents, hints, paths, first, last, rank, around, kind):  # type: ignore[no-untyped-def]
    n = len(owner)
    out = np.zeros((n, _N), np.float32)
    if n == 0:
        return out
    units, links, commas = counts[:, 0], counts[:, 2], counts[:, 4]
    density = np.empty(n, np.float32)
    good = np.zeros(n, np.bool_)
    paragraph = np.zeros(n, np.float32)
    listed = np.zeros(n, np.float32)
    for i in range(n):
        density[i] = links[i] / max(np.float32(1), units[i])
        good[i] = density[i] < 0.4 and units[i] >= 50 and (counts[i, 5] >= 1 or commas[i] >= 2)
        if good[i]:
            paragraph[i] = units[i]
    total, linked, para = sums(units), sums(links), sums(paragraph)
    page = max(1.0, total[-1])
    top = top_element(owner, tags, parents, first, last, units, links, good, commas)
    above = parents[top]
    core = core_element(tags, parents, first, last, para, 0.7)
    # the element with the most text in paragraphs: of those that are named as the text, and of the articles
    articles, named, article, most_named, most_article = 0, 0, 0, 0.0, 0.0
    for element in range(len(tags)):
        mass = para[last[element]] - para[first[element]]
        if hints[element] & BODY_BIT and mass > most_named:
            named, most_named = element, mass
        if tags[element] == _ARTICLE:
            articles += 1
            if mass > most_article:
                article, most_article = element, mass
    same, sames = groups_of(_text_hashes(text, start, end))
    of_same = np.zeros(sames)
    for i in range(n):
        of_same[same[i]] += 1
    # hints of the elements around: near (3 levels) and far; those of an element with nearly the whole page are ignored
    elements = len(tags)
    said, hints = hints, np.zeros(elements, np.uint32)
    near, far, inside = np.zeros(elements, np.uint32), np.zeros(elements, np.uint32), np.zeros(elements, np.uint32)
    depth = np.zeros(elements, np.int32)
    for element in range(1, elements):
        parent = parents[element]
        depth[element] = depth[parent] + 1
        tells = said[element] if total[last[element]] - total[first[element]] < 0.95 * page else np.uint32(0)
        hints[element] = tells
        far[element] = far[parent] | tells
        inside[element] = inside[parent] | around[tags[element]]
        near[element] = tells | hints[parent] | hints[parents[parent]]
    keys = np.empty(n, np.uint32)
    for i in range(n):
        keys[i] = paths[owner[i]]
        listed[i] = units[i] if inside[owner[i]] & (around[_LI]) else 0
    group, groups = groups_of(keys)
    in_group, of_group, linked_group = np.zeros(groups), np.zeros(groups), np.zeros(groups)
    for i in range(n):
        in_group[group[i]] += 1
        of_group[group[i]] += units[i]
        linked_group[group[i]] += links[i]
    h1_before, h1_after = np.full(n, 200.0), np.full(n, 200.0)
    para_before, para_after = np.full(n, 100.0), np.full(n, 100.0)
    h1, seen = 200.0, 100.0
    for i in range(n):
        if tags[owner[i]] == _H1:
            h1 = 0
        h1_before[i], para_before[i] = h1, seen
        h1 = min(200.0, h1 + 1)
        seen = 1 if good[i] else min(100.0, seen + 1)
    h1, seen = 200.0, 100.0
    for i in range(n - 1, -1, -1):
        if tags[owner[i]] == _H1:
            h1 = 0
        h1_after[i], para_after[i] = h1, seen
        h1 = min(200.0, h1 + 1)
        seen = 1 if good[i] else min(100.0, seen + 1)
    all_listed = listed.sum()
    for i in range(n):
        row = out[i]
        element = owner[i]
        tag = tags[element]
        size, words = max(np.float32(1), units[i]), max(np.float32(1), counts[i, 1])
        stop = end[i]
        while stop > 0 and (text[stop - 1] == 32 or text[stop - 1] == 10):
            stop -= 1
        final = text[stop - 1] if stop > 0 else 0
        row[0] = np.log1p(units[i])
        row[1] = size / words
        row[2] = density[i]
        row[3] = np.log1p(counts[i, 3])
        row[4] = commas[i] / words
        row[5] = np.log1p(counts[i, 5])
        row[6] = counts[i, 5] / words
        row[7] = final == 46 or final == 33 or final == 63 or final == 0x82 or final == 34 or final == 0x9D
        row[8] = counts[i, 6] / size
        row[9] = counts[i, 7] / size
        row[10] = np.log1p(counts[i, 8])
        row[11] = counts[i, 9] / words
        row[12] = counts[i, 10] / size
        row[13] = rank[tag]
        row[14] = tag == _P
        row[15] = tag - _H1 + 1 if _H1 <= tag <= _H6 else 0
        row[16] = tag == _LI
        row[17] = tag == _PRE
        row[18] = depth[element]
        k = 19
        for bit in range(_NAROUND):
            row[k + bit] = inside[element] >> np.uint32(bit) & np.uint32(1)
        k += _NAROUND
        for bit in range(_HINTS):
            row[k + bit] = near[element] >> np.uint32(bit) & np.uint32(1)
            row[k + _HINTS + bit] = far[element] >> np.uint32(bit) & np.uint32(1)
        k += 2 * _HINTS
        around_it, width = element, 0
        for _ in range(4):
            while around_it != 0 and last[around_it] - first[around_it] <= width:
                around_it = parents[around_it]
            a, b = first[around_it], last[around_it]
            width = b - a
            whole = max(1.0, total[b] - total[a])
            row[k] = whole / page
            row[k + 1] = (linked[b] - linked[a]) / whole
            row[k + 2] = (para[b] - para[a]) / whole
            row[k + 3] = np.log1p(whole / max(1, width))
            row[k + 4] = np.log1p(width)
            k += 5
        row[k] = first[top] <= i < last[top]
        row[k + 1] = first[above] <= i < last[above]
        row[k + 2] = signed(i, first[top], last[top])
        row[k + 3] = (para[last[top]] - para[first[top]]) / max(1.0, para[-1])
        row[k + 4] = first[core] <= i < last[core]
        row[k + 5] = signed(i, first[core], last[core])
        row[k + 6] = (total[last[core]] - total[first[core]]) / page
        row[k + 7] = i / n
        row[k + 8] = total[i] / page
        row[k + 9] = np.log1p(n)
        row[k + 10] = np.log1p(page)
        row[k + 11] = linked[-1] / page
        row[k + 12] = para[-1] / page
        row[k + 13] = all_listed / page
        row[k + 14] = np.log1p(articles)
        row[k + 15] = np.log1p(h1_before[i])
        row[k + 16] = np.log1p(h1_after[i])
        row[k + 17] = para[i] / max(1.0, para[-1])
        row[k + 18] = 1 - para[i + 1] / max(1.0, para[-1])
        row[k + 19] = np.log1p(para_before[i])
        row[k + 20] = np.log1p(para_after[i])
        row[k + 21] = named > 0 and first[named] <= i < last[named]
        row[k + 22] = signed(i, first[named], last[named]) if named else -9
        row[k + 23] = most_named / max(1.0, para[-1])
        row[k + 24] = article > 0 and first[article] <= i < last[article]
        row[k + 25] = most_article / max(1.0, para[-1])
        row[k + 26] = of_same[same[i]] - 1
        k += 27
        for step in (-2, -1, 1, 2):
            j = i + step
            if 0 <= j < n:
                row[k] = np.log1p(units[j])
                row[k + 1] = density[j]
                row[k + 2] = np.log1p(counts[j, 5])
                row[k + 3] = rank[tags[owner[j]]]
                row[k + 4] = (parents[owner[j]] == parents[element]) + (owner[j] == element)
            else:
                row[k] = row[k + 1] = row[k + 2] = row[k + 3] = row[k + 4] = -1
            k += 5
        g = group[i]
        row[k] = np.log1p(in_group[g])
        row[k + 1] = of_group[g] / page
        row[k + 2] = np.log1p(of_group[g] / in_group[g])
        row[k + 3] = linked_group[g] / max(1.0, of_group[g])
        row[k + 4 :] = kind
    return out
