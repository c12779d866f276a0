"""The index stage: cuts the corpus into passages and writes by which words each is found, with BM25."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from data_lake.tables.documents import count_rows, shard_path, shards, write_parquet
from tasks.retrieval.index.bm25 import Bm25, write_bm25
from tasks.retrieval.index.config import IndexConfig
from tasks.retrieval.index.measures import Asked, asked_of, metrics_of, questions_of
from tasks.retrieval.index.search import Search
from tasks.retrieval.index.shards import Choice, CutJob, cut_shard, write_chosen
from tasks.stage import Artifact, Output, figures, kinds, stage
from tasks.stage.workers import map_shards, workers_for


def contract(artifact: Artifact) -> Iterator[str]:
    """Rows agree with the counts, and each passage can be found."""
    counts = artifact.counts
    for folder, counted in (("passages", "passages"), ("removed", "left_out")):
        if (rows := count_rows(artifact.path / folder)) != counts[counted]:
            yield f"{folder}/ has {rows:,} rows, but the stage counted {counts[counted]:,}."
    if (indexed := Bm25(artifact.path / "bm25").passages) != counts["passages"]:
        yield f"The index finds {indexed:,} passages, but there are {counts['passages']:,}."
    if not counts["passages"]:
        yield "The index has no passage: no document of the corpus has a word."


def content(artifact: Path) -> str:
    """Fingerprint of the passages and questions: the index's files have names that tantivy draws, and answer the same.

    Dates of fetching are left out, as they are from the content of documents.
    """
    import pyarrow.parquet as pq

    whole = hashlib.sha256()
    for path in shards(artifact / "passages"):
        for row in pq.read_table(path, columns=["doc_id", "url", "title", "start", "end", "text"]).to_pylist():
            whole.update(json.dumps(list(row.values()), ensure_ascii=False).encode() + b"\n")
    if (questions := artifact / "questions.parquet").exists():
        whole.update(questions.read_bytes())
    return whole.hexdigest()


@stage(makes=kinds.Index, headline=("hit_1", "hit_5"), version=1, contract=contract, content=content)
def index(config: IndexConfig, out: Output, corpus: kinds.Corpus) -> None:
    """Cut all pages into passages, held-out ones too, and write by which words they are found.

    It reads what decontaminate leaves, not what dedup does: text of benchmarks is cut out of it, so that no benchmark
    is answered by looking it up. `hit_1` and `hit_5` are the shares of questions about held-out pages for which a
    passage of that page is the first one found, or among the first five; `answer_1` and `answer_5` those for which
    such a passage has the whole answer in it, on whichever page.
    """
    folder, cuts = corpus.path / "documents", out.work / "cut"
    jobs = [
        CutJob(folder, number, cuts, config.passage_words, config.passage_characters)
        for number in range(len(shards(folder)))
    ]
    left = [job for job in jobs if not shard_path(cuts, job.number).exists()]
    done = len(jobs) - len(left)
    for _ in map_shards(cut_shard, left, workers=workers_for(shards(folder), config.workers)):
        done += 1
        out.progress(done, len(jobs), "shards", "cut")
    lengths = _choose(out, jobs)
    _write_index(out)
    out.figure("passage_lengths", figures.histogram(lengths, "Length of passages", "words", log=False))
    if config.measured:
        _measure(config, out, corpus)


def _choose(out: Output, jobs: list[CutJob]) -> list[int]:
    """Write which passages are indexed and which are left out; return the words of the former."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    choice, lengths = Choice(), []
    for job in jobs:
        table = pq.read_table(shard_path(job.out, job.number))
        reasons = choice.of(table)
        kept = [reason is None for reason in reasons]
        lengths += table["words"].filter(pa.array(kept, pa.bool_())).to_pylist()
        write_chosen(table, reasons, out.dir, job.number)
        terms = shard_path(out.work / "terms", job.number)
        write_parquet(terms, table.select(["terms"]).filter(pa.array(kept, pa.bool_())))
    ledger = choice.tally.ledger()
    out.ledger(ledger)
    out.count(passages=ledger.kept.documents, left_out=ledger.incoming.documents - ledger.kept.documents)
    return lengths


def _write_index(out: Output) -> None:
    """Write the index anew: it is the quickest part, and a half-written one is of no use."""
    import pyarrow.parquet as pq

    total = out.counts["passages"]

    def passages() -> Iterator[str]:
        done = 0
        for path in shards(out.work / "terms"):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=1024):
                    yield from batch.column("terms").to_pylist()
                    done += batch.num_rows
                    out.progress(done, total, "passages", "indexed")

    shutil.rmtree(out.dir / "bm25", ignore_errors=True)
    write_bm25(out.dir / "bm25", passages())


def _measure(config: IndexConfig, out: Output, corpus: Artifact) -> None:
    """Ask the index about held-out pages, and write what it finds."""
    import pyarrow as pa

    from data_lake.tables.schemas import FOUND

    asked = questions_of(corpus, config.answer_characters, config.measured)
    if not asked:
        out.info("The index is not measured: no held-out page is one of Python's documentation, which has questions.")
    search = Search(out.dir)
    own = _own_passages(out, asked)
    rows = []
    for number, one in enumerate(asked, 1):
        rows.append(asked_of(search, one, own[one.document.doc_id]))
        out.progress(number, len(asked), "questions", "asked")
    write_parquet(out.dir / "questions.parquet", pa.Table.from_pylist(rows, schema=FOUND))
    out.count(questions=len(rows))
    out.metric(**metrics_of(rows))


def _own_passages(out: Output, asked: list[Asked]) -> dict[str, list[tuple[int, str]]]:
    """Return the numbers and texts of the passages of each page that is asked about."""
    import pyarrow.parquet as pq

    own: dict[str, list[tuple[int, str]]] = {one.document.doc_id: [] for one in asked}
    number = 0
    for path in shards(out.dir / "passages"):
        table = pq.read_table(path, columns=["doc_id", "text"])
        for doc_id, text in zip(table["doc_id"].to_pylist(), table["text"].to_pylist(), strict=True):
            if doc_id in own:
                own[doc_id].append((number, text))
            number += 1
    return own
