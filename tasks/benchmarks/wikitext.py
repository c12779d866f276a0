"""WikiText (Merity et al. 2017): the perplexity of whole articles, per word and byte of the text as it is published."""

from __future__ import annotations

import re

from tasks.benchmarks.base import Benchmark, Item, Metric, Row
from tasks.benchmarks.fields import text


def detokenised(page: str) -> str:
    """Return the text of an article without the marks and spaces of its tokenisation, as lm-eval has it."""
    page = page.replace("s '", "s'")
    page = re.sub(r"/' [0-9]/", r"/'[0-9]/", page)
    for mark, plain in ((" @-@ ", "-"), (" @,@ ", ","), (" @.@ ", ".")):
        page = page.replace(mark, plain)
    for mark in ":;.!?,":
        page = page.replace(f" {mark} ", f"{mark} ")
    page = re.sub(r"\(\s*([^\)]*?)\s*\)", r"(\1)", page)
    page = re.sub(r"\[\s*([^\]]*?)\s*\]", r"[\1]", page)
    page = re.sub(r"{\s*([^}]*?)\s*}", r"{\1}", page)
    page = re.sub(r"\"\s*([^\"]*?)\s*\"", r'"\1"', page)
    page = re.sub(r"'\s*([^']*?)\s*'", r"'\1'", page)
    for mark, plain in (("= = = =", "===="), ("= = =", "==="), ("= =", "=="), (" ° ", "°"), (" \n", "\n")):
        page = page.replace(mark, plain)
    return page.replace("\n ", "\n").replace(" N ", " 1 ").replace(" 's", "'s")


def item(row: Row, subject: str = "") -> Item:
    """Return the item of an article; words and bytes are those before the detokenisation."""
    page = text(row, "page")
    facts = {"words": len(re.split(r"\s+", page)), "bytes": len(page.encode())}
    return Item(("",), (detokenised(page),), question=page, facts=facts)


WIKITEXT = Benchmark(
    "wikitext",
    item,
    "rolling",
    metrics=(
        Metric("word_perplexity", "weighted_perplexity", higher_is_better=False),
        Metric("byte_perplexity", "weighted_perplexity", higher_is_better=False),
        Metric("bits_per_byte", "bits_per_byte", higher_is_better=False),
    ),
    evaluated="test",
    excludes=False,
    fixed_shots=True,
    folder=("wikitext-2-raw-v1",),
    headline="bits_per_byte",
)
