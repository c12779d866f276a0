"""Tags and markup words that the scanner knows, as numbers, bits and hash tables for compiled code."""

from __future__ import annotations

import numpy as np

# The effect of an element on text: none (inline), a new line (block), or its text is not shown (unseen). A custom
# element (with a hyphen in its name) counts as a block.
INLINE, BLOCK, UNSEEN = range(3)

_BLOCKS = (
    "html body div p h1 h2 h3 h4 h5 h6 ul ol li dl dt dd table tbody thead tfoot tr td th caption pre blockquote "
    "section article main header footer nav aside figure figcaption form fieldset legend address details summary "
    "center dir menu hgroup search hr button label optgroup picture"
)
_UNSEEN = (
    "head noscript script style template svg iframe object canvas video audio select textarea noframes noembed datalist"
)
_INLINES = "a br span b strong i em u font code tt kbd samp small img input sub sup time abbr cite q"

TAGS = ("", *_BLOCKS.split(), *_UNSEEN.split(), *_INLINES.split())
TAG = {name: number for number, name in enumerate(TAGS)}
KIND = np.array([INLINE] + [BLOCK] * len(_BLOCKS.split()) + [UNSEEN] * len(_UNSEEN.split()), dtype=np.uint8)
KIND = np.concatenate([KIND, np.full(len(_INLINES.split()), INLINE, dtype=np.uint8), np.array([BLOCK], dtype=np.uint8)])
CUSTOM = len(TAGS)  # a custom element

# Words in `class`, `id`, `role` and `itemprop` that say what an element is for. Each is looked for at the beginning of
# a word in the markup ("comment" is found in "comment-list", "commentList" and "comments"). Readability, boilerpipe and
# trafilatura have such lists too.
HINTS: tuple[tuple[str, str], ...] = (
    ("content", "content body main text prose markdown rich rte wysiwyg copy bodytext maincontent articlebody"),
    ("content", "entrycontent postcontent articlecontent articletext storybody posttext postbody"),
    ("article", "article post story entry blog news page single column paragraph"),
    ("comment", "comment disqus reply replies respond fb-comments livefyre"),
    ("thread", "thread message topic forum answer question discussion conversation qa"),
    ("nav", "nav menu breadcrumb crumb pagination pager paging tabs toolbar topbar subnav topnav dropdown skip"),
    ("side", "side sidebar aside rail widget secondary complementary"),
    ("foot", "foot footer copyright legal colophon bottom contentinfo"),
    ("head", "head header masthead banner hero top"),
    ("share", "share sharing social follow facebook twitter addthis sns"),
    ("related", "relat recommend more trending popular also similar suggest next previous latest recirc most teaser"),
    ("meta", "meta byline author date time tag categor bio avatar published dateline publish info"),
    ("ad", "ad ads advert sponsor promo outbrain taboola newsletter subscribe subscription signup cookie consent gdpr"),
    ("ad", "modal popup overlay login paywall cta dialog offer adv dfp gpt alert notice"),
    ("media", "caption figure image img gallery video photo credit media slide carousel lightbox thumb"),
    ("product", "product price cart spec feature review detail description summary rating sku shop"),
    ("list", "list grid card item items tile results row feed archive collection"),
    ("hidden", "hidden hide sr visually invisible screen noprint print collapsed"),
)
# An element with one name that has both an "article" and a "content" word ("article-body", "post-content", "storyText")
# holds the text; it gets this hint.
BODY = "body"
HINT_NAMES = (*dict.fromkeys(name for name, _ in HINTS), BODY)
HIDDEN = np.uint32(1 << HINT_NAMES.index("hidden"))
BODY_BIT = np.int32(1 << HINT_NAMES.index(BODY))
BODY_PARTS = np.int32(1 << HINT_NAMES.index("content") | 1 << HINT_NAMES.index("article"))
LONGEST_HINT = 14

_FNV, _PRIME = 2166136261, 16777619


def _hash(word: str) -> int:
    value = _FNV
    for byte in word.encode():
        value = ((value ^ byte) * _PRIME) & 0xFFFFFFFF
    return value


def hash_table(values: dict[str, int], bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an open-addressing hash table: uint32[2**bits] hashes (0 = empty) and int32[2**bits] values."""
    keys, found = np.zeros(1 << bits, dtype=np.uint32), np.zeros(1 << bits, dtype=np.int32)
    for word, value in values.items():
        place = _hash(word) & ((1 << bits) - 1)
        while keys[place] and keys[place] != _hash(word):
            place = (place + 1) & ((1 << bits) - 1)
        keys[place], found[place] = _hash(word), found[place] | value
    return keys, found


def _hint_values() -> dict[str, int]:
    values: dict[str, int] = {}
    for name, words in HINTS:
        for word in words.split():
            values[word] = values.get(word, 0) | 1 << HINT_NAMES.index(name)
    return values


TAG_KEYS, TAG_VALUES = hash_table(TAG, 9)
# includes all beginnings of words, with value 0: a markup word is read only as far as it can still become a hint
_HINTS = _hint_values()
HINT_KEYS, HINT_VALUES = hash_table({word[:n]: 0 for word in _HINTS for n in range(1, len(word))} | _HINTS, 11)

_VOID = "area base br col embed hr img input link meta param source track wbr basefont bgsound frame keygen"
VOID_KEYS = hash_table(dict.fromkeys(_VOID.split(), 1), 6)[0]
