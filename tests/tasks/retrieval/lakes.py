"""A corpus of texts in several scripts, as the decontaminate stage leaves it."""

from __future__ import annotations

import datetime

import pyarrow as pa

from data_lake.reading.ledger import Tally
from data_lake.tables import schemas
from data_lake.tables.documents import doc_id, shard_path, write_parquet
from tasks.stage import Output, StageConfig, kinds, stage

PAGES = {
    "mill": "A water mill grinds grain between stones.\n\nThe wheel turns because the river pushes its paddles.",
    "bread": "Bread is baked of flour, water and salt.\n\nSourdough rises without yeast, because of bacteria.",
    "水車": "水車は川の流れで回る。穀物を石で挽くために使われた。",
    "กังหัน": "กังหันน้ำหมุนด้วยแรงของแม่น้ำ",
    "copy": "The wheel turns BECAUSE the river pushes its paddles!",
    "empty": "... --- ...",
    "odd": "<script>alert(1)</script> is quoted from a page with odd tales of hobgoblins.",
}


class TextsConfig(StageConfig):
    """In how many shards the texts are."""

    shards: int = 2


@stage(makes=kinds.Corpus, version=1)
def decontaminate(config: TextsConfig, out: Output) -> None:
    """Write the texts."""
    tally = Tally()
    rows = []
    for name, text in PAGES.items():
        url = "javascript:alert(1)" if name == "odd" else f"http://example.org/{name}"
        size = len(text.encode())
        tally.keep(size)
        rows.append(
            {
                "doc_id": doc_id(url=url), "url": url, "source": "example.org", "title": f"About: {name}", "text": text,
                "fetched_at": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "n_bytes": size, "split": "train",
                "date": "2024-05" if name == "mill" else None,
            }
        )  # fmt: skip
    size = -(-len(rows) // config.shards)
    for number in range(config.shards):
        part = rows[number * size : (number + 1) * size]
        path = shard_path(out.dir / "documents", number)
        write_parquet(path, pa.Table.from_pylist(part, schema=schemas.CORPUS))
    out.ledger(tally.ledger())
    out.count(documents=len(rows), train_documents=len(rows), val_documents=0, test_documents=0)
