"""Lines that a site repeats from page to page: counted over all shards, then removed.

Menus, banners and footers that extraction took for text appear word for word on many pages of a host. The idea is that
of line-level deduplication in CCNet (Wenzek et al. 2020, arXiv:1911.00359 § 3.1), limited to a host: what one site
repeats is boilerplate, what two sites have in common may be a quotation. There are three steps, each of which can be
killed and resumed: shards of texts with the counts of their lines, one table of boilerplate lines, shards of documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from data_lake.tables.documents import ShardWriter, shard_path, shards, write_parquet
from tasks.corpus.clean.filter_config import BoilerplateConfig

TABLE = "boilerplate.parquet"
"""Its columns: host, line (xxh3 of its characters), number of pages with it, its text cut to 200 characters."""

_TEXTS, _LINES = "texts", "lines"


def host_of(url: str | None) -> str:
    """Return the host of a page; "" if it has no URL, in which case its lines are not compared with others."""
    try:
        return (urlsplit(url or "").hostname or "") if url else ""
    except ValueError:
        return ""


def line_hash(line: str) -> int:
    """Return the 64-bit hash of a line without leading and trailing whitespace."""
    import xxhash

    return xxhash.xxh3_64_intdigest(line.strip().encode("utf-8", "surrogatepass"))


class LineCounts:
    """The number of pages of each host on which each line of a shard appears."""

    def __init__(self) -> None:
        self._pages: Counter[str] = Counter()
        self._lines: dict[str, Counter[int]] = {}
        self._texts: dict[int, str] = {}

    def add(self, url: str | None, text: str) -> None:
        """Count the lines of one page; a line that occurs more than once counts once."""
        if not (host := host_of(url)):
            return
        self._pages[host] += 1
        found: dict[int, str] = {line_hash(line): line.strip() for line in text.split("\n") if line.strip()}
        self._lines.setdefault(host, Counter()).update(found.keys())
        for number, line in found.items():
            self._texts.setdefault(number, line[:200])

    def write(self, work: Path, number: int) -> None:
        """Write the counts of shard `number`; the row without a line holds the number of pages of its host."""
        import pyarrow as pa

        rows: list[tuple[str, int | None, int, str | None]] = []
        for host, pages in sorted(self._pages.items()):
            rows.append((host, None, pages, None))
            rows += [(host, line, count, self._texts[line]) for line, count in sorted(self._lines[host].items())]
        columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[], [], [], []]
        table = pa.table(
            [pa.array(column, kind) for column, (_, kind) in zip(columns, _schema(), strict=True)], _names()
        )
        write_parquet(shard_path(work / _LINES, number), table)


def _schema() -> list[tuple[str, Any]]:
    import pyarrow as pa

    return [("host", pa.string()), ("line", pa.uint64()), ("pages", pa.int64()), ("text", pa.string())]


def _names() -> list[str]:
    return ["host", "line", "pages", "text"]


def texts_writer(work: Path, number: int) -> ShardWriter:
    """Return the writer of a shard's extracted texts; `read_texts` reads them back."""
    import pyarrow as pa

    from data_lake.tables.schemas import RIGHTS, TIMESTAMP

    strings = [pa.field(name, pa.string()) for name in ("url", "source", "doc_id")]
    others = [("fetched_at", TIMESTAMP), ("rights", RIGHTS), ("n_bytes", pa.int64()), ("cleaned", pa.large_string())]
    schema = pa.schema([*strings, *(pa.field(name, kind) for name, kind in others)])
    return ShardWriter(work / _TEXTS, schema, shard_bytes=float("inf"), first=number)


def read_texts(work: Path, number: int) -> Iterator[dict[str, Any]]:
    """Yield the pages of a shard as they were extracted, in order."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(shard_path(work / _TEXTS, number)) as file:
        for batch in file.iter_batches(batch_size=64):
            yield from batch.to_pylist()


def find_repeated(work: Path, folder: Path, config: BoilerplateConfig) -> int:
    """Write the table of repeated lines from the counts of all shards; return how many there are.

    DuckDB computes the sums, and spills to disk if memory is short. The table depends on the counts alone, not on how
    they are divided into shards.
    """
    import duckdb

    counts = [str(path) for path in shards(work / _LINES)]  # not a glob: folder names may contain its characters
    with duckdb.connect() as connection:
        connection.execute(f"SET temp_directory = '{str(work / 'duckdb').replace(chr(39), chr(39) * 2)}'")
        table: Any = connection.sql(
            """
            WITH hosts AS (
                SELECT host, sum(pages) AS total FROM read_parquet($counts) WHERE line IS NULL GROUP BY host)
            SELECT host, line, sum(pages)::BIGINT AS pages, min(text) AS text
            FROM read_parquet($counts) JOIN hosts USING (host)
            WHERE line IS NOT NULL
            GROUP BY host, line, total
            HAVING sum(pages) >= $pages AND sum(pages) > $share * total
            ORDER BY host, line
            """,
            params={"counts": counts, "pages": config.min_pages, "share": config.max_page_share},
        ).to_arrow_table()
    write_parquet(folder / TABLE, table)
    return int(table.num_rows)


class Boilerplate:
    """Removes the lines that are in the table; does nothing if `folder` has no table."""

    def __init__(self, folder: Path) -> None:
        self._lines: dict[str, set[int]] = {}
        if (folder / TABLE).exists():
            import pyarrow.parquet as pq

            table = pq.read_table(folder / TABLE, columns=["host", "line"])
            for host, line in zip(table["host"].to_pylist(), table["line"].to_pylist(), strict=True):
                self._lines.setdefault(host, set()).add(line)

    def strip(self, text: str, url: str | None) -> tuple[str, int]:
        """Return the text without the lines that its host repeats, and how many there were."""
        if not self._lines or not (repeated := self._lines.get(host_of(url))):
            return text, 0
        lines = text.split("\n")
        kept = [line for line in lines if not line.strip() or line_hash(line) not in repeated]
        if len(kept) == len(lines):
            return text, 0
        whole: list[str] = []
        for line in kept:  # do not leave two blank lines if the line between them was removed
            if line.strip() or (whole and whole[-1].strip()):
                whole.append(line)
        return "\n".join(whole).strip("\n"), len(lines) - len(kept)
