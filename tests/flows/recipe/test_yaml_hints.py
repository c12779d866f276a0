"""Recipes that are no YAML, or hold one value where a list is wanted: each mistake comes with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.recipe.errors import RecipeError
from flows.recipe.load import load_recipe


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("crawl:\n  hosts:\n    - *.example.org\n", "must be quoted, as * begins an alias: '*.example.org'."),
        ("crawl:\n  hosts: *.example.org  # all of them\n", "'*.example.org'."),
        ("crawl:\n  hosts: [one.org, *.example.org]\n", "'*.example.org'."),
        ("crawl:\n  exclude:\n    - *\\.pdf$\n", "'*\\.pdf$'."),
        ("crawl:\n  hosts: [*all]\n", "'*all'."),
        ("crawl:\n  exclude:\n    - &utm\n", "must be quoted, as & begins an anchor: '&utm'."),
        ("crawl:\n  exclude: [!x]\n", "must be quoted, as ! begins a tag: '!x'."),
        ("crawl:\n  exclude:\n    - %20\n", "'%20'."),
        ("crawl:\n  contact: @me\n", "as @ is reserved: '@me'."),
        ("crawl:\n  exclude: ['a', `b`]\n", "'`b`'."),
        ("crawl:\n\tseeds: []\n", "YAML does not allow tabs as indentation; use spaces."),
        ("crawl:\n  seeds:\n  \t- https://example.org/\n", "YAML does not allow tabs"),
        ("crawl:\n  include: [a-z]+\n", "is a list; quote it if it is not: '[a-z]+'."),
        ("crawl:\n  include:\n    - [0-9]+/page\n", "'[0-9]+/page'."),
        ("crawl:\n  paths: [data/[ab].jsonl]\n", "must be quoted: 'data/[ab].jsonl'."),
        ("crawl:\n  include: ['x', [a-z]+]\n", "must be quoted: '[a-z]+'."),
        ("crawl:\n  paths: {a,b}.jsonl\n", "'{a,b}.jsonl'."),
        ("crawl:\n  include: ['[a-z']\n", "a literal [ is written \\[."),
        ("crawl:\n  exclude: ['*.pdf']\n", "for any text write .* where file names have *: .*\\.pdf."),
        ('crawl:\n  exclude: ["\\.pdf$"]\n', "use single quotes: '\\.pdf$'."),
        ("crawl:\n  exclude: ['abc]\n  max_pages: 5\n", "Line 2: A quotation mark is not closed here."),
        ("crawl:\n  seeds: [https://example.org/\n  max_pages: 5\n", "Line 2: The list is not closed: ] is missing."),
        ("crawl:\n  contact: mail: me\n", "must be quoted: 'mail: me'."),
        ("crawl:\n  max_pages:5\n", "a space is missing after the colon: max_pages: 5"),
        ("crawl:\n  seeds:\n  -https://a.org/\n", "A space is missing after the dash: - https://a.org/"),
        ("crawl:\n  seeds: []\n   max_pages: 5\n", "The fields of a section must begin in the same column"),
        ("crawl:\n  seeds: https://a.org/\n", "It must be a list, even of one value: ['https://a.org/']."),
        ("crawl:\n  seeds: https://a.org/, https://b.org/\n", "['https://a.org/', 'https://b.org/']."),
        ("crawl:\n  seeds: null\n", "It must be a list. An empty one is []"),
        ("crawl:\n  hosts: 5\n", "It must be a list, even of one value: [5]."),
        ("crawl:\n  seeds: {a: b}\n", "It must be a list: one value after each dash, or [a, b]."),
        ("crawl:\n  paths: [5]\n", "It must be text; put it in quotes: '5'."),
        ("crawl:\n  max_pages: [3]\n", "It must be one value, not a list: 3."),
        ("crawl:\n  sitemaps: yes\n", "It must be true or false: true."),
        ("crawl:\n  - seeds\n", "each as `name: value` on a line of its own, without a dash."),
    ],
)
def test_each_mistake_comes_with_the_way_out(tmp_path: Path, text: str, way: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert way in " ".join(str(caught.value).split())
