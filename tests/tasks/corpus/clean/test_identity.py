"""Rows that share an id, a URL or a text on their way from file to tokens: each is a document, each byte is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from data_lake.reading.audit import audit_of
from data_lake.store.lake import Artifact, Lake
from data_lake.tables.documents import read_documents
from tasks.corpus.clean import CleanConfig, clean
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.corpus.decontaminate import DecontaminateConfig, decontaminate
from tasks.corpus.dedup import DedupConfig, dedup
from tasks.corpus.splits import SplitConfig, documents_of
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer


def lines(*numbers: int) -> str:
    """A text of its own for each list of numbers."""
    return " ".join(f"On day {n} the miller wrote that sack {n * 31} weighed {n * 7} pounds." for n in numbers)


def cleaned(lake: Lake, folder: Path) -> tuple[Artifact, Artifact]:
    pages = crawl.build(lake, CrawlConfig(paths=(f"{folder}/",)), {}).artifact
    return pages, clean.build(lake, CleanConfig(filters={"use": []}), {"pages": pages}).artifact


def ids(artifact: Artifact) -> list[str]:
    return [name for batch in read_documents(artifact.path, ["doc_id"]) for name in batch.column(0).to_pylist()]


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_every_row_is_a_document_whatever_id_it_bears(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    write_rows(folder / "same-id.jsonl", [{"id": "wiki", "text": lines(n, n + 50)} for n in range(6)])
    write_rows(folder / "no-number.jsonl", [{"id": float("nan"), "text": lines(n, n + 1)} for n in range(20, 24)])
    write_rows(folder / "same-url.jsonl", [{"url": "http://a.example/mill", "text": lines(n)} for n in range(30, 34)])
    write_rows(folder / "same-row.jsonl", [{"id": 7, "text": lines(40)}] * 3 + [{"text": lines(41)}] * 3)
    write_rows(folder / "same-text.jsonl", [{"text": lines(41)}, {"id": 0, "text": lines(41)}, {"id": "", "text": "x"}])
    # a URL that is none of the web's: the id names the row, so it is asked together with the URL
    write_rows(folder / "urn.jsonl", [{"id": 1, "url": f"urn:mill:{n}", "text": lines(60)} for n in (1, 2, 2)])

    pages, documents = cleaned(lake, folder)
    assert pages.counts["pages"] == documents.counts["documents"] == 26
    assert len(set(ids(documents))) == 26
    apart = dedup.build(lake, DedupConfig(url=False, exact=False, near=False), {"documents": documents}).artifact
    config = DecontaminateConfig(split=SplitConfig(val=0.2, test=0.2), overlap={"action": "report"})
    kept = decontaminate.build(lake, config, {"documents": apart}).artifact
    learned = tokenizer.build(lake, TokenizerConfig(vocab_size=384), {"corpus": kept}).artifact
    given = {"corpus": kept, "tokenizer": learned}
    tokens = tokenize.build(lake, TokenizeConfig(seq_len=16), given).artifact
    assert tokens.counts["documents"] == 26
    assert audit_of([pages, documents, apart, kept, tokens]).problems == []
    index = pq.read_table(tokens.path / "documents.parquet", columns=["split"])
    assert len(index["split"].unique()) > 1  # rows that share an id do not share their split
    assert len(list(documents_of(kept.path, ["train", "val", "test"]))) == 26


def test_an_id_stays_when_other_rows_come_and_when_its_text_changes(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    write_rows(folder / "rows.jsonl", [{"id": "a", "text": lines(1)}, {"id": "b", "text": lines(2)}])
    _, before = cleaned(lake, folder)
    same = {"id": "c", "text": lines(4)}
    write_rows(folder / "rows.jsonl", [same, {"id": "a", "text": lines(1)}, {"id": "b", "text": lines(3)}, same])
    _, after = cleaned(lake, folder)
    assert ids(after)[1:3] == ids(before)
    # a row that was alone with its id and is no longer is taken from no earlier build under its old name
    write_rows(folder / "rows.jsonl", [{"id": "a", "text": lines(1)}, {"id": "a", "text": lines(1)}])
    _, twice = cleaned(lake, folder)
    assert len(set(ids(twice)) | set(ids(before))) == 4
