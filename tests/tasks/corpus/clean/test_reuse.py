"""A new crawl costs clean only what changed: all else is taken from the artifact before it, to the same bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.corpus.clean import CleanConfig, clean
from tasks.corpus.crawl import CrawlConfig, crawl
from tests.tasks.corpus.clean.test_stage import TEXT
from tests.tasks.corpus.crawl.conftest import Site, site  # noqa: F401  (a fixture)

PAGES = 12


@pytest.fixture
def pages(site: Site) -> Site:  # noqa: F811
    """A site of long pages, one short one, and one with an address."""
    names = [f"/{number}" for number in range(PAGES)]
    site.page("/", *names, "/short", text="Hello.")
    for name in names:
        site.page(name, text=f"{TEXT} This is page {name}, by somebody{name[1:]}@example.org.")
    site.page("/short", text="Hi.")
    return site


def crawled(site: Site, lake: Lake) -> Artifact:  # noqa: F811
    config = CrawlConfig(seeds=(f"{site.url}/",), resolve=site.resolve, delay=0.0, cut_repeats=False, max_age=0.0)
    return crawl.build(lake, config, {}).artifact


def files(artifact: Artifact) -> dict[str, str]:
    """{path: sha256} of what says something, without what is only the order of visits."""
    return {
        path.relative_to(artifact.path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("documents", "removed", "index")
        for path in sorted((artifact.path / folder).rglob("*.parquet"))
    }


@pytest.mark.parametrize("shard_megabytes", [64.0, pytest.param(0.002, marks=pytest.mark.slow)])
def test_only_what_changed_is_cleaned_again_and_the_bytes_are_the_same(
    pages: Site, tmp_path: Path, shard_megabytes: float
) -> None:
    lake = Lake(tmp_path / "lake")
    config = CleanConfig(shard_megabytes=shard_megabytes)
    first = clean.build(lake, config, {"pages": crawled(pages, lake)}).artifact
    assert first.metrics["pages_reused"] == 0
    assert first.counts["pii_email"] == PAGES

    pages.page("/3", text=f"{TEXT} Another page, by nobody@example.org and nobody2@example.org.")
    pages.page("/short", text=f"{TEXT} It has grown.")
    again = crawled(pages, lake)
    second = clean.build(lake, config, {"pages": again}).artifact
    assert second.key != first.key
    assert second.metrics["pages_reused"] == second.counts["pages"] - 2
    assert second.counts["documents"] == first.counts["documents"] + 1
    assert second.counts["pii_email"] == PAGES + 1

    alone = clean.build(Lake(tmp_path / "other"), config, {"pages": again}).artifact
    assert alone.metrics["pages_reused"] == 0
    assert files(alone) == files(second)
    assert alone.manifest.ledger == second.manifest.ledger
    assert alone.counts == second.counts


def test_records_of_files_are_taken_over_but_for_those_that_changed(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    rows = [{"id": number, "title": f"No. {number}", "text": f"{TEXT} This is {number}."} for number in range(PAGES)]
    name = tmp_path / "rows.jsonl"

    def cleaned(into: Lake) -> Artifact:
        name.write_text("\n".join(json.dumps(row) for row in rows))
        crawled = crawl.build(into, CrawlConfig(seeds=(), paths=(str(name),)), {}).artifact
        return clean.build(into, CleanConfig(), {"pages": crawled}).artifact

    assert cleaned(lake).metrics["pages_reused"] == 0
    rows[3]["text"] = f"{TEXT} Another one."
    rows[5]["title"] = "Another title"
    rows.append({"id": PAGES, "title": "new", "text": f"{TEXT} A new one."})
    second = cleaned(lake)
    assert second.metrics["pages_reused"] == PAGES - 2
    assert files(second) == files(cleaned(Lake(tmp_path / "other")))
    titles = pq.read_table(second.path / "documents")["title"].to_pylist()
    assert (titles[5], titles[6]) == ("Another title", "No. 6")

    rows[7]["title"] = "A title is all that changed"
    third = cleaned(lake)
    assert third.metrics["pages_reused"] == PAGES
    assert third.content != second.content


def test_another_config_reuses_nothing_and_neither_does_a_forced_build(pages: Site, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    pages_before = crawled(pages, lake)
    clean.build(lake, CleanConfig(), {"pages": pages_before})
    pages.page("/new", text=TEXT)
    pages.page("/", *[f"/{number}" for number in range(PAGES)], "/new", text="Hello.")
    after = crawled(pages, lake)
    other = clean.build(lake, CleanConfig(sample_characters=10), {"pages": after}).artifact
    assert other.metrics["pages_reused"] == 0
    forced = clean.build(lake, CleanConfig(), {"pages": after}, force=True).artifact
    assert forced.metrics["pages_reused"] == 0


def test_a_damaged_artifact_is_not_reused(pages: Site, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    first = clean.build(lake, CleanConfig(), {"pages": crawled(pages, lake)}).artifact
    path = first.path / "documents" / "part-00000.parquet"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    pages.page("/3", text=f"{TEXT} It says something else now.")
    second = clean.build(lake, CleanConfig(), {"pages": crawled(pages, lake)}).artifact
    assert second.metrics["pages_reused"] == 0


def test_what_was_said_of_training_goes_with_the_document_also_when_its_text_is_taken_over(
    pages: Site, tmp_path: Path
) -> None:
    def rights(artifact: Artifact) -> dict[str, str]:
        table = pq.read_table(artifact.path / "documents").select(["url", "rights"]).to_pylist()
        return {row["url"].rpartition("/")[2]: row["rights"]["train"] for row in table}

    lake = Lake(tmp_path / "lake")
    first = clean.build(lake, CleanConfig(), {"pages": crawled(pages, lake)}).artifact
    assert set(rights(first).values()) == {"unknown"}
    answer = pages.pages["/3"]
    assert not callable(answer)
    answer.headers["Content-Usage"] = "train-ai=y"
    second = clean.build(lake, CleanConfig(), {"pages": crawled(pages, lake)}).artifact
    assert second.key != first.key
    assert second.metrics["pages_reused"] == second.counts["pages"]
    assert rights(second) == rights(first) | {"3": "allow"}
