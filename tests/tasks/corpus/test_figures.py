"""Figures of a corpus: what is known is drawn, what nobody filled is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data_lake.tables import schemas
from data_lake.tables.documents import ShardWriter
from tasks.corpus.figures import MOST, show_corpus
from tasks.stage.output import Output, Reporter


class Drawn(Reporter):
    """Keeps the figures."""

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {}

    def figure(self, name: str, figure: Any) -> None:
        self.figures[name] = figure


@pytest.fixture
def show(tmp_path: Path) -> Any:
    """Draw documents with these columns; returns the figures by name."""

    def draw(*rows: dict[str, Any]) -> dict[str, Any]:
        drawn = Drawn()
        out = Output(tmp_path, drawn)
        with ShardWriter(tmp_path / "documents", schemas.DOCUMENTS, shard_bytes=2000) as writer:
            for number, row in enumerate(rows):
                head = {"doc_id": f"{number:016x}", "source": "example.org", "text": "text", "n_bytes": 4}
                writer.write_table(pa.Table.from_pylist([head | row], schema=schemas.DOCUMENTS))
        show_corpus(out)
        return drawn.figures

    return draw


def bars_of(figure: Any) -> dict[str, float]:
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    return dict(zip(names, [bar.get_width() for bar in axes.patches], strict=True))


def test_columns_that_are_all_null_have_no_figure(show: Any) -> None:
    assert set(show({}, {"n_bytes": 9})) == {"text_lengths", "sources"}


def test_all_shards_are_counted(show: Any) -> None:
    figures = show(*[{"language": "en", "quality": 0.5}] * 30, *[{"language": "zh"}] * 9, {})
    assert set(figures) == {"text_lengths", "languages", "quality", "sources"}
    assert bars_of(figures["languages"]) == {"en": 30, "zh": 9}
    assert bars_of(figures["sources"]) == {"example.org": 40}


def test_many_sources_share_a_bar_and_long_names_are_cut(show: Any) -> None:
    rows = [{"source": f"host-{number}.example.org"} for number in range(MOST + 9)]
    bars = bars_of(show(*rows, *[{"source": "x" * 40 + "/" + "y" * 40}] * 2)["sources"])
    assert len(bars) == MOST + 1
    assert bars["10 others"] == 10
    assert sum(bars.values()) == MOST + 11
    assert max(map(len, bars)) <= 48


def test_a_page_out_of_a_file_counts_for_its_host(show: Any) -> None:
    rows = [
        {"source": "dump.warc.gz", "url": "https://a.example.org/1"},
        {"source": "dump.warc.gz", "url": "https://a.example.org:8443/2?q=http://c.example.org/"},
        {"source": "dump.warc.gz", "url": "http://[::1]:80/"},
        {"source": "books/1.txt", "url": None},
    ]
    assert bars_of(show(*rows)["sources"]) == {"a.example.org": 2, "[::1]": 1, "books/1.txt": 1}


def test_no_document_at_all(show: Any) -> None:
    assert set(show()) == {"text_lengths"}
