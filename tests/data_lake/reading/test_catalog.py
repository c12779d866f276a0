"""The catalog: what its views show, and that a query can do nothing but read them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data_lake.reading.catalog import Catalog, QueryError
from data_lake.store.lake import Lake
from data_lake.tables import schemas
from data_lake.tokens.shards import document_index_schema
from tests.lakes import commit, documents, small_lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small_lake(tmp_path / "lake")


def ask(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with Catalog(lake) as catalog:
        return list(catalog.query(sql).rows)


def test_manifest_views(lake: Lake) -> None:
    assert ask(lake, "SELECT stage, count(*), sum(newest::INT) FROM artifacts GROUP BY 1 ORDER BY 1") == [
        ("clean", 2, 1),
        ("crawl", 1, 1),
        ("dedup", 1, 1),
    ]
    assert ask(lake, "SELECT count(*) FROM files") == [(1 + 2 + 2 + 4,)]
    assert ask(lake, "SELECT name, value FROM metrics WHERE stage = 'dedup' AND kind = 'metric' ORDER BY 1") == [
        ("duplicate_share", pytest.approx(1 / 3)),
        ("unknown", None),
    ]
    assert ask(lake, "SELECT entry, reason, documents FROM ledger ORDER BY 1, 2 DESC") == [
        ("incoming", None, 6),
        ("kept", None, 3),
        ("removed", "too_short", 2),
        ("removed", "empty", 1),
        ("rewritten", None, 0),
    ]
    assert ask(lake, "SELECT DISTINCT tokens FROM ledger") == [(None,)], "not counted yet is not none"
    assert ask(lake, "SELECT mlflow_run_id, git_commit FROM runs WHERE git_commit IS NOT NULL") == [("f" * 32, "abc")]


def test_lineage_leads_from_a_corpus_to_its_crawl(lake: Lake) -> None:
    sql = """
        WITH RECURSIVE up AS (
            SELECT artifact, upstream FROM lineage WHERE stage = 'dedup'
            UNION ALL SELECT lineage.artifact, lineage.upstream FROM lineage JOIN up ON lineage.artifact = up.upstream)
        SELECT split_part(upstream, '/', 1) FROM up ORDER BY 1"""
    assert ask(lake, sql) == [("clean",), ("crawl",)]


def test_documents_are_those_of_the_last_stage_and_everything_else_of_each_stage(lake: Lake) -> None:
    assert ask(lake, "SELECT stage, count(*) FROM documents GROUP BY 1") == [("dedup", 2)]
    assert ask(lake, "SELECT count(*) FROM all_documents") == [(3 + 3 + 2,)]
    assert ask(lake, "SELECT stage, reason, count(*) FROM removed GROUP BY ALL ORDER BY ALL") == [
        ("clean", "empty", 1),
        ("clean", "too_short", 2),
        ("dedup", "near_duplicate", 1),
    ]


def test_every_view_is_there_in_an_empty_lake_with_the_columns_that_it_has_in_a_full_one(tmp_path: Path) -> None:
    full = Lake(tmp_path / "full")
    tables = {
        "pages.parquet": schemas.PAGES,
        "documents/part-00000.parquet": schemas.CORPUS,
        "removed/part-00000.parquet": schemas.REMOVED,
        "duplicates.parquet": schemas.DUPLICATES,
        "contamination.parquet": schemas.CONTAMINATION,
        "documents.parquet": document_index_schema(),
        "per_item.parquet": schemas.PREDICTIONS,
        "judgements.parquet": schemas.JUDGEMENTS,
        "passages.parquet": schemas.PASSAGES,
        "continuations.parquet": schemas.CONTINUATIONS,
    }
    commit(full, "everything", {name: schema.empty_table() for name, schema in tables.items()})
    with Catalog(Lake(tmp_path / "none")) as empty, Catalog(full) as filled:
        assert empty.views() == filled.views()
        assert set(empty.views()) >= {
            "artifacts", "pages", "documents", "removed", "duplicates", "contamination", "tokens", "ledger", "runs",
            "lineage", "predictions", "judgements", "passages", "continuations",
        }  # fmt: skip
        for view in empty.views():
            result = empty.query(f"SELECT * FROM {view}")
            assert {"stage", "artifact"} <= set(result.columns)
            assert result.columns == filled.query(f"SELECT * FROM {view}").columns
            assert list(result.rows) == []


ZERO = {"string": "", "int32": 0, "double": 0.0, "bool": False}


def test_predictions_are_those_of_the_newest_model_of_each_stage(lake: Lake) -> None:
    table = pa.Table.from_pylist(
        [{field.name: ZERO.get(str(field.type), []) for field in schemas.PREDICTIONS}], schema=schemas.PREDICTIONS
    )
    for hour, (stage, number) in enumerate((("pretrain", 1), ("sft", 1), ("pretrain", 2)), start=6):
        model = commit(lake, stage, config={"number": number}, hour=hour)
        commit(lake, "evaluate", {"per_item.parquet": table}, {"model": model}, {"number": hour}, hour)
    assert ask(lake, "SELECT count(*), count(DISTINCT artifact) FROM predictions") == [(2, 2)]
    assert ask(lake, "SELECT count(*) FROM all_predictions") == [(3,)]


def test_a_column_that_only_later_artifacts_have_is_null_in_earlier_ones(lake: Lake) -> None:
    assert ask(lake, "SELECT split, count(*) FROM documents GROUP BY 1") == [(None, 2)]
    dedup = lake.artifacts("dedup")[0]
    rows = documents("alpha beta gamma").append_column(schemas.CORPUS.field("split"), [["test"]])
    commit(lake, "decontaminate", {"documents/part-00000.parquet": rows}, (dedup,), hour=5)
    assert ask(lake, "SELECT stage, split, text FROM documents") == [("decontaminate", "test", "alpha beta gamma")]
    everywhere = "SELECT stage, split, count(*) FROM all_documents GROUP BY ALL ORDER BY ALL"
    assert ask(lake, everywhere) == [("clean", None, 6), ("decontaminate", "test", 1), ("dedup", None, 2)]


def test_a_missing_file_is_left_out_and_named(lake: Lake) -> None:
    dedup = lake.artifacts("dedup")[0]
    (dedup.path / "documents/part-00001.parquet").unlink()
    with Catalog(lake) as catalog:
        assert list(catalog.query("SELECT count(*) FROM documents").rows) == [(1,)]
        assert catalog.missing == [f"{dedup.name}/documents/part-00001.parquet"]


def test_a_damaged_file_is_a_sentence(lake: Lake) -> None:
    dedup = lake.artifacts("dedup")[0]
    (dedup.path / "documents/part-00001.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(QueryError, match="A file of the lake is damaged"):
        ask(lake, "SELECT * FROM documents")
    assert ask(lake, "SELECT count(*) FROM artifacts") == [(4,)]


def test_quotes_in_paths_are_data(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "it's; DROP TABLE artifacts --")
    commit(lake, "clean", {"documents/part-00000.parquet": documents("some text")})
    assert ask(lake, "SELECT text FROM documents") == [("some text",)]


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{outside}'",
        "COPY documents TO '{inside}' (FORMAT parquet)",
        "ATTACH '{outside}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "PRAGMA database_list",
        "CREATE TABLE x AS SELECT 1",
        "DROP TABLE artifacts",
        "DELETE FROM artifacts",
        "EXPORT DATABASE '{outside}'",
        "CALL pragma_version()",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')",
        "SELECT 1; SELECT 2",
        "",
        "SELEC 1",
        "SELECT * FROM nosuch",
        "SELECT nosuch FROM artifacts",
        "SELECT 'a'::INT",
        "SELECT '\udcff'",
    ],
)
def test_a_query_can_only_read_the_lake(lake: Lake, tmp_path: Path, sql: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    before = _everything(tmp_path)
    sql = sql.replace("{secret}", str(secret)).replace("{outside}", str(tmp_path / "out"))
    with pytest.raises(QueryError) as caught:
        ask(lake, sql.replace("{inside}", str(lake.artifacts("dedup")[0].path / "documents/part-00000.parquet")))
    assert str(caught.value).endswith(".")
    assert _everything(tmp_path) == before


def _everything(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
