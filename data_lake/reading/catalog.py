"""The catalog: read-only SQL over the lake, in place, with DuckDB.

Views over manifests, one row for each artifact unless said otherwise:
    artifacts   what is in the lake          lineage   one row per input of an artifact
    files       one row per file             ledger    one row per entry: incoming, kept, rewritten, removed by reason
    metrics     one row per count or metric  runs      when, where and by which run it was built
Views over Parquet files; each row names its `stage` and `artifact`:
    pages       URLs that a crawl met        documents     the corpus with its text
    removed     what a stage removed, why    duplicates    decisions of a deduplication
    tokens      where each document is       contamination passages shared with benchmarks
    predictions every benchmark item that a model was asked, with its answer
    judgements  answers of a model to instructions, and what a judge said of them
    passages    passages of training text that a model continued, and how far it repeated them
    continuations  texts that a model was made to write, with the score of a classifier
    classified  test texts of a trained classifier, with the label that it names
They show the newest artifact of each stage (of what measures models, the newest of each stage's models). `documents`
would count a corpus twice that way (clean and dedup both hold it), so it shows only the newest artifact of the last
such stage. The same name with the prefix `all_` shows every artifact in the lake.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.store.lake import Artifact, Lake

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BATCH_ROWS = 1024
# Which files of an artifact belong to a view: a relative path, or the folder of its shards.
PARQUET_VIEWS = {
    "pages": "pages.parquet",
    "documents": "documents",
    "removed": "removed",
    "duplicates": "duplicates.parquet",
    "contamination": "contamination.parquet",
    "tokens": "documents.parquet",
    "predictions": "per_item.parquet",
    "judgements": "judgements.parquet",
    "passages": "passages.parquet",
    "continuations": "continuations.parquet",
    "classified": "classified.parquet",
}


class QueryError(Exception):
    """A query that cannot be answered; the message is a sentence for its author."""


@dataclass(frozen=True)
class Result:
    """Column names, and the rows in the order of the query."""

    columns: list[str]
    rows: Iterator[tuple[Any, ...]]


class Catalog:
    """An in-memory DuckDB whose views read the lake and nothing else on the machine."""

    def __init__(self, lake: Lake, mlflow_run_id: Callable[[Artifact], str | None] | None = None) -> None:
        """`mlflow_run_id` finds the run of an artifact whose manifest was written before MLflow responded."""
        self.lake = lake
        self._mlflow_run_id = mlflow_run_id or (lambda artifact: artifact.manifest.runs.get("mlflow_run_id"))
        self.missing: list[str] = []  # files that a manifest lists and that are not on disk
        self._artifacts = lake.artifacts()
        self._shown: dict[str, list[Artifact]] = {}  # view → the artifacts that it shows
        self._connection = self._connect()

    def query(self, sql: str) -> Result:
        """Run one SELECT (or EXPLAIN, DESCRIBE, SHOW, SUMMARIZE). Raises QueryError."""
        import duckdb

        try:
            sql.encode("utf-8")
        except UnicodeEncodeError as error:
            raise QueryError("The query has bytes that are not UTF-8 text.") from error
        try:
            statements = self._connection.extract_statements(sql)
            if len(statements) != 1:
                raise QueryError(f"Give one SQL statement, not {len(statements)}.")
            kind = statements[0].type
            if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
                raise QueryError(f"SQL can only read the lake: SELECT is allowed, {kind.name} is not.")
            reader = self._connection.sql(statements[0]).to_arrow_reader(BATCH_ROWS)  # type: ignore[arg-type]
        except (duckdb.Error, RuntimeError) as error:
            raise QueryError(self._explained(error)) from error
        return Result(list(reader.schema.names), self._rows(reader))

    def strangers(self, sql: str) -> Iterator[str]:
        """Yield a sentence for each artifact behind the query's views that was not made from the newest inputs.

        After `run other.yaml --until clean`, for example, the view `documents` still shows the previous recipe's dedup.
        """
        newest = {artifact.stage: artifact for artifact in reversed(self._artifacts)}
        words = set(re.findall(r"[a-z_]+", sql.lower()))
        told: set[str] = set()
        for view, artifacts in self._shown.items():
            for artifact in artifacts if view in words else ():
                if artifact.name not in told and (made_of := _made_of_another(artifact, newest)) is not None:
                    told.add(artifact.name)
                    stage, name = made_of
                    yield (
                        f"{view} has rows of {artifact.name} ({_when(artifact)}{self._source_of(artifact)}), which was "
                        f"made from {name}, not from the newest {stage}, {newest[stage].name} ({_when(newest[stage])}"
                        f"{self._source_of(newest[stage])}): it is from another recipe or an earlier run. all_{view} "
                        "has the rows of all artifacts, with the column artifact."
                    )

    def _source_of(self, artifact: Artifact) -> str:
        """Return what an artifact's pages were crawled from, if its crawl is still in the lake."""
        by_name = {(one.stage, one.key): one for one in self._artifacts}
        one: Artifact | None = artifact
        while one is not None and one.manifest.inputs:
            nearer = [by_name.get((entry.stage, entry.key)) for entry in one.manifest.inputs.values()]
            one = next((found for found in nearer if found is not None), None)
        config = one.manifest.payload.get("config") if one is not None else None
        if not isinstance(config, dict):
            return ""
        places = [str(place) for name in ("seeds", "paths") for place in config.get(name) or ()]
        if config.get("server", "none") != "none":
            places.append(f"the server {config['server']}")
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        return f", from {places[0]}{more}" if places else ""

    def views(self) -> list[str]:
        """Names that a query can read from."""
        return [name for (name,) in self._connection.execute("SHOW TABLES").fetchall()]

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- building the views --------------------------------------------------------------------------------------------

    def _connect(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect(":memory:")
        connection.execute("CREATE SCHEMA columns_of")
        allowed: list[str] = []
        for name, rows in _manifest_tables(self._artifacts, self._mlflow_run_id).items():
            _create_table(connection, name, rows)
        for view, place in PARQUET_VIEWS.items():
            holders = [(a, files) for a in self._artifacts if (files := self._files(a, place))]
            shown = _newest(holders, self._artifacts, last_stage_only=view == "documents")
            self._shown[view] = [artifact for artifact, _ in shown]
            for name, chosen in ((view, shown), (f"all_{view}", holders)):
                # the empty table gives the view its columns, also where no artifact of before has them
                _create_table(connection, f"columns_of.{name}", _empty(view))
                connection.execute(f"CREATE VIEW {name} AS {_select(f'columns_of.{name}', chosen)}")
            allowed += [path for _, files in holders for path in files]
        # The order matters: first the views, then only their files may be read, then no setting can be changed.
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET allowed_paths = {literal(allowed)}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection

    def _files(self, artifact: Artifact, place: str) -> list[str]:
        """The artifact's files of a view that exist; those that do not are added to `missing`."""
        names = [n for n in artifact.files if n == place or (n.startswith(f"{place}/") and n.endswith(".parquet"))]
        there = [name for name in names if (artifact.path / name).is_file()]
        self.missing += [f"{artifact.name}/{name}" for name in names if name not in there]
        return [str(artifact.path / name) for name in there]

    # -- answering -----------------------------------------------------------------------------------------------------

    def _rows(self, reader: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
        import duckdb
        import pyarrow as pa

        try:
            for batch in reader:
                # Not to_pylist: two columns of a query may have the same name.
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise QueryError(self._explained(error)) from error

    def _explained(self, error: Exception) -> str:
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and not set(line) <= set(" ^")]
        text = " ".join(line for line in lines if not line.startswith("LINE "))
        text = f"The query cannot be answered: {text.rstrip('.')}."
        if "parquet" in text.lower() or "magic bytes" in text:
            text += " A file of the lake is damaged; `textmill run` will find it and build it again."
        if text.startswith("The query cannot be answered: Catalog Error: Table"):
            text += f" The tables are: {', '.join(self.views())}."
        return text


def _create_table(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    connection.register("_rows", rows)
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM _rows")
    connection.unregister("_rows")


def _select(columns: str, holders: list[tuple[Artifact, list[str]]]) -> str:
    """Return the SELECT of a view: the rows of the holders' files, with the columns that the table `columns` has."""
    parts = [
        f"SELECT {literal(artifact.stage)} AS stage, {literal(artifact.name)} AS artifact, * "
        f"FROM read_parquet({literal(files)})"
        for artifact, files in holders
    ]
    return " UNION ALL BY NAME ".join([f"SELECT * FROM {columns}", *parts])


def _newest(
    holders: list[tuple[Artifact, list[str]]], everything: list[Artifact], *, last_stage_only: bool
) -> list[tuple[Artifact, list[str]]]:
    """The first (newest) holder of each stage, or only that of the last stage, which reads the others.

    A run has an evaluation for each of its models: of those, the newest for each stage that made a model.
    """
    by_stage: dict[str, tuple[Artifact, list[str]]] = {}
    for artifact, files in holders:
        measured = artifact.manifest.inputs.get("model")
        name = artifact.stage if measured is None else f"{artifact.stage} {measured.stage}"
        by_stage.setdefault(name, (artifact, files))
    if not last_stage_only:
        return list(by_stage.values())
    inputs = [(a.stage, entry.stage) for a in everything for entry in a.manifest.inputs.values()]
    read = {source for reader, source in inputs if reader in by_stage and reader != source}
    return [holder for stage, holder in by_stage.items() if stage not in read][:1]


def _made_of_another(artifact: Artifact, newest: dict[str, Artifact]) -> tuple[str, str] | None:
    """Return stage and name of a direct or indirect input of an artifact that is not the newest of its stage."""
    for role, entry in artifact.manifest.inputs.items():
        stage = entry.stage
        if "[" in role or stage not in newest or stage == artifact.stage:
            continue
        if newest[stage].content != entry.content:
            return stage, entry.name
        if (found := _made_of_another(newest[stage], newest)) is not None:
            return found
    return None


def _when(artifact: Artifact) -> str:
    return artifact.manifest.finished_at.isoformat(sep=" ", timespec="minutes").removesuffix("+00:00") + " UTC"


def _manifest_tables(artifacts: list[Artifact], mlflow_run_id: Callable[[Artifact], str | None]) -> dict[str, pa.Table]:
    """The tables that come from manifests alone."""
    import pyarrow as pa

    text, whole, real, time = pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", tz="UTC")
    newest = {a.stage: a.name for a in reversed(artifacts)}
    columns: dict[str, dict[str, pa.DataType]] = {
        "artifacts": {
            "artifact": text, "stage": text, "key": text, "newest": pa.bool_(), "finished_at": time, "seconds": real,
            "files": whole, "bytes": whole, "reason": text, "content": text, "adopted_from": text, "path": text,
        },
        "files": {"artifact": text, "stage": text, "path": text, "bytes": whole, "sha256": text},
        "metrics": {"artifact": text, "stage": text, "kind": text, "name": text, "value": real},
        "lineage": {
            "artifact": text, "stage": text, "role": text, "upstream": text, "upstream_stage": text, "content": text,
        },
        "ledger": {
            "artifact": text, "stage": text, "entry": text, "reason": text, "documents": whole, "bytes": whole,
            "tokens": whole,
        },
        "runs": {
            "artifact": text, "stage": text, "started_at": time, "finished_at": time, "seconds": real,
            "mlflow_run_id": text, "prefect_flow_run_id": text, "git_commit": text, "config": text,
        },
    }  # fmt: skip
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in columns}
    for a in artifacts:
        m = a.manifest
        head = (a.name, a.stage)
        rows["artifacts"].append(
            (*head, a.key, newest[a.stage] == a.name, m.finished_at, m.seconds, len(m.files), m.total_bytes, m.reason,
             m.content, m.adopted_from, str(a.path))
        )  # fmt: skip
        rows["files"] += [(*head, path, entry.size, entry.sha256) for path, entry in m.files.items()]
        rows["metrics"] += [(*head, "count", name, float(value)) for name, value in m.counts.items()]
        rows["metrics"] += [(*head, "metric", name, value) for name, value in m.metrics.items()]
        rows["lineage"] += [(*head, role, entry.name, entry.stage, entry.content) for role, entry in m.inputs.items()]
        rows["ledger"] += [(*head, *entry) for entry in _ledger_entries(m.ledger)]
        rows["runs"].append(
            (*head, m.started_at, m.finished_at, m.seconds, mlflow_run_id(a),
             m.runs.get("prefect.flow_run_id"), _git_commit(m.provenance), json.dumps(m.payload.get("config")))
        )  # fmt: skip
    return {name: _table(columns[name], rows[name]) for name in columns}


def _table(columns: dict[str, pa.DataType], rows: list[tuple[Any, ...]]) -> pa.Table:
    import pyarrow as pa

    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    arrays = [pa.array(list(column), kind) for column, kind in zip(values, columns.values(), strict=True)]
    return pa.table(arrays, names=list(columns))


def _ledger_entries(ledger: dict[str, Any] | None) -> Iterable[tuple[str, str | None, int, int, int | None]]:
    """(entry, reason, documents, bytes, tokens) of each account of a stored ledger; tokens None if not counted."""
    if ledger is None:
        return
    counts_tokens = any(ledger.get(entry, {}).get("tokens") for entry in ("incoming", "kept"))
    named = [(entry, None, ledger.get(entry)) for entry in ("incoming", "kept", "rewritten")]
    named += [("removed", reason, amount) for reason, amount in ledger.get("removed", {}).items()]
    for entry, reason, amount in named:
        if amount is not None:
            yield entry, reason, amount["documents"], amount["bytes"], amount["tokens"] if counts_tokens else None


def _git_commit(provenance: dict[str, Any]) -> str | None:
    git = provenance.get("git")
    return git.get("commit") if isinstance(git, dict) else provenance.get("git_commit")


def _empty(view: str) -> pa.Table:
    """An empty table with the columns that the view has when it has rows."""
    import pyarrow as pa

    from data_lake.tables import schemas
    from data_lake.tokens.shards import document_index_schema

    named = {
        "pages": schemas.PAGES,
        "documents": schemas.CORPUS,
        "removed": schemas.REMOVED,
        "duplicates": schemas.DUPLICATES,
        "contamination": schemas.CONTAMINATION,
        "tokens": document_index_schema(),
        "predictions": schemas.PREDICTIONS,
        "judgements": schemas.JUDGEMENTS,
        "passages": schemas.PASSAGES,
        "continuations": schemas.CONTINUATIONS,
        "classified": schemas.CLASSIFIED,
    }
    return pa.schema([("stage", pa.string()), ("artifact", pa.string()), *named[view]]).empty_table()


def literal(value: str | Path | list[str]) -> str:
    """A SQL literal: text, or a list of texts."""
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return "'" + str(value).replace("'", "''") + "'"
