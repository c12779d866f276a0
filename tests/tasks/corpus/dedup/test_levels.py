"""The levels: which URL is which, which document is kept, clusters, and buckets that would be too large.

Also covers: tasks/corpus/dedup/candidates.py
Also covers: tasks/corpus/dedup/comparison.py
Also covers: tasks/corpus/dedup/config.py
Also covers: tasks/corpus/dedup/exact.py
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_lake.store.lake import Artifact, Lake
from data_lake.tables.documents import read_documents
from tasks.corpus.crawl.urls import canonical
from tasks.corpus.dedup import DedupConfig, dedup
from tasks.corpus.dedup.sign import are_canonical

Given = Callable[..., Artifact]


def build(lake: Lake, clean: Artifact, **config: Any) -> tuple[Artifact, list[dict[str, Any]], list[dict[str, Any]]]:
    """The artifact, its documents and its pairs."""
    made = dedup.build(lake, DedupConfig(**config), {"documents": clean}).artifact
    assert dedup.violations(made) == []
    rows = [row for batch in read_documents(made.path) for row in batch.to_pylist()]
    return made, rows, pq.read_table(made.path / "duplicates.parquet").to_pylist()


def words(seed: int, count: int = 100) -> list[str]:
    generator = random.Random(seed)
    return [f"w{generator.randrange(1000)}" for _ in range(count)]


def text(seed: int, extra: int = 0, count: int = 100) -> str:
    return " ".join([*words(seed, count), *(f"more{k}" for k in range(extra))])


def test_of_one_url_the_newest_stays(lake: Lake, given_rows: Given) -> None:
    rows = [
        {"text": "the first version", "url": "http://example.org/a", "fetched_at": "2026-01-01T00:00:00+00:00"},
        {"text": "the second", "url": "HTTP://Example.org:80/a#top", "fetched_at": "2026-03-01T00:00:00+00:00"},
        {"text": "never dated, and longer than all", "url": "http://example.org/a?utm_source=x"},
        {"text": "another page", "url": "http://example.org/b"},
        {"text": "no address", "url": None, "doc_id": "0" * 16},
        {"text": "none either", "url": None, "doc_id": "1" * 16},
    ]
    made, left, pairs = build(lake, given_rows(rows, shards=2))
    assert [row["text"] for row in left] == ["the second", "another page", "no address", "none either"]
    assert made.counts["url_duplicates"] == 2
    assert {(row["method"], row["partner_url"]) for row in pairs} == {("url", "HTTP://Example.org:80/a#top")}
    assert len(build(lake, given_rows(rows), url=False)[1]) == 6


def test_rows_of_one_url_without_dates_are_no_versions_of_a_page(lake: Lake, given_rows: Given) -> None:
    rows = [{"text": f"passage {number} of a page", "url": "http://example.org/a"} for number in range(4)]
    made, left, _ = build(lake, given_rows(rows, shards=2), near=False)
    assert (len(left), made.counts["url_duplicates"]) == (4, 0)
    again = [*rows, {**rows[0], "text": "the page", "fetched_at": "2026-03-01T00:00:00+00:00"}]
    assert [row["text"] for row in build(lake, given_rows(again), near=False)[1]] == ["the page"]


@given(
    st.one_of(
        st.text("htps:/.-_~aZ09?#%;=@[] é", max_size=30).map(lambda end: f"http://{end}"),
        st.sampled_from(["http://a.b/c", "https://a/", "http://a.b/c//d", "http://a.b/../c", "http://a.b/c.html", "x"]),
    )
)
def test_plain_urls_are_canonical_already(url: str) -> None:
    assert not are_canonical(pa.array([url]))[0] or canonical(url) in (url, None)
    assert are_canonical(pa.array(["http://example.org/a/b.html", "https://docs.example.org/"])).all()


@pytest.mark.parametrize(("keep", "kept"), [("longest", 0), ("best_quality", 1), ("newest", 2), ("oldest", 3)])
@pytest.mark.parametrize("exact", [False, True])
def test_which_of_several_is_kept(lake: Lake, given_rows: Given, keep: str, kept: int, exact: bool) -> None:
    extra, space = ([0] * 5, [3, 1, 1, 1, 0]) if exact else ([4, 1, 2, 3, 0], [0] * 5)
    marks: list[dict[str, Any]] = [
        {"quality": 0.3, "fetched_at": "2026-05-01T00:00:00+00:00"},
        {"quality": 0.9, "fetched_at": "2026-04-01T00:00:00+00:00"},
        {"quality": 0.89, "fetched_at": "2026-06-01T00:00:00+00:00"},
        {"quality": 0.1, "fetched_at": "2026-01-01T00:00:00+00:00"},
        {},
    ]
    rows = [{"text": " " * space[i] + text(1, extra[i]), **mark} for i, mark in enumerate(marks)]
    _, left, pairs = build(lake, given_rows(rows), keep=keep)
    assert [row["url"] for row in left] == [f"http://example.org/{kept}"]
    assert {row["partner_url"] for row in pairs if row["removed"]} == {f"http://example.org/{kept}"}
    assert {row["cluster_id"] for row in pairs} == {left[0]["doc_id"]}


def test_a_cluster_is_a_document_that_is_kept_and_those_like_it(lake: Lake, given_rows: Given) -> None:
    """Two families of near-duplicates, an exact copy of a removed member, an older page at its URL, a stranger."""
    rows = [
        {"text": text(1, 5)},
        {"text": text(1, 3)},
        {"text": text(1, 3)},
        {"text": "before it was written", "url": "http://example.org/2", "fetched_at": "2020-01-01T00:00:00+00:00"},
        {"text": text(2, 4)},
        {"text": text(2)},
        {"text": text(3)},
    ]
    rows[2]["fetched_at"] = "2024-01-01T00:00:00+00:00"
    made, left, pairs = build(lake, given_rows(rows, shards=3))
    assert [row["url"][-1] for row in left] == ["0", "4", "6"]
    cluster = {row["doc_id"]: row["url"][-1] for row in left}
    found = {(row["url"][-1], row["partner_url"][-1], row["method"]): cluster[row["cluster_id"]] for row in pairs}
    removed = {key: value for key, value in found.items() if key[0] not in "046"}
    assert removed.pop(("2", "2", "url")) == "0"  # two documents at one address
    assert {(key[0], value) for key, value in removed.items()} == {("1", "0"), ("2", "0"), ("5", "4")}
    assert made.counts["documents"] == 3


def test_pairs_that_are_not_alike_have_no_cluster(lake: Lake, given_rows: Given) -> None:
    half = [*words(1, 60), *words(2, 40)]
    _, left, pairs = build(lake, given_rows([{"text": " ".join(half)}, {"text": text(1, 0, 100)}]), bands=60, rows=1)
    assert len(left) == 2
    (pair,) = pairs
    assert pair["cluster_id"] is None
    assert not pair["removed"]
    assert 0 < pair["score"] < 0.8


def test_a_template_is_split_and_its_copies_found(lake: Lake, given_rows: Given) -> None:
    """600 pages of one template, alike by .6, and a near copy of each: no square of 1,200, and the copies are found."""
    template = words(0, 300)
    rows = []
    for page in range(600):
        own = [*template, *words(1000 + page, 75)]
        rows += [{"text": " ".join([*own, "and", "more"])}, {"text": " ".join(own)}]
    made, left, pairs = build(lake, given_rows(rows), max_bucket=20, threshold=0.8)
    assert 600 <= len(left) <= 606
    assert made.counts["decisions"] < 1200 * 40
    assert all(row["score"] >= 0.8 for row in pairs if row["removed"])


def test_a_thousand_copies_of_one_document_leave_one(lake: Lake, given_rows: Given) -> None:
    """Buckets that nothing splits: all are compared with the preferred ones, not with each other."""
    rows = [{"text": text(1, 0, 400) + f" {number}"} for number in range(1000)]
    made, left, _ = build(lake, given_rows(rows), max_bucket=10)
    assert len(left) == 1
    assert made.counts["decisions"] < 1000 * 200


def test_profiles_fill_what_is_not_set() -> None:
    assert DedupConfig() == DedupConfig(profile="web")
    light = DedupConfig(profile="light-edits", bands=10)
    assert (light.shingle_words, light.threshold, light.bands, light.rows) == (2, 0.7, 10, 5)


def test_lines_stay_in_three_documents_unless_told_otherwise() -> None:
    assert DedupConfig(lines={"enabled": True}).lines == DedupConfig().lines.model_copy(update={"enabled": True})
    assert DedupConfig(lines={"enabled": True}).lines.copies == 3


def test_light_edits_are_found_by_their_profile(lake: Lake, given_rows: Given) -> None:
    generator = random.Random(3)
    rows = []
    for family in range(30):
        own = words(family, 200)
        rows.append({"text": " ".join(own)})
        rows.append({"text": " ".join("edit" if generator.random() < 0.05 else word for word in own)})
    assert len(build(lake, given_rows(rows), profile="web")[1]) > 55
    assert len(build(lake, given_rows(rows), profile="light-edits")[1]) <= 32


@pytest.mark.slow
@pytest.mark.shared
def test_every_language_keeps_its_documents_and_loses_its_copies(
    lake: Lake, given_rows: Given, shared_data: Path
) -> None:
    """387 translations of one declaration: none is removed for another; each copy with a changed word in 100 is."""
    import zipfile

    from data_lake.text.units import words as split

    folder = shared_data / "07_text" / "nltk__nltk_data" / "packages" / "corpora"
    with zipfile.ZipFile(folder / "udhr2.zip") as archive:
        names = [name for name in sorted(archive.namelist()) if name.endswith(".txt")]
        texts = {name: archive.read(name).decode() for name in names}
    chosen = {name: value for name, value in texts.items() if len(split(value)) > 500}
    originals, _, pairs = build(lake, given_rows([{"text": value} for value in chosen.values()]))
    alike = originals.counts["near_duplicates"] + originals.counts["exact_duplicates"]
    assert alike == sum(row["removed"] for row in pairs) < 12  # versions of one language that differ in some words
    copies = [value[: len(value) // 2] + " 99 " + value[len(value) // 2 :] for value in chosen.values()]
    both, _, _ = build(lake, given_rows([{"text": value} for value in [*chosen.values(), *copies]]))
    assert both.counts["documents"] == originals.counts["documents"]
