"""Small corpora as artifacts, for the tests of stages that read documents; a home with an MLflow database."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from data_lake.reading.ledger import Tally
from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from data_lake.tables.documents import doc_id, shard_path, split_of, write_parquet
from flows.servers.mlflow_db import init_mlflow
from tasks.corpus.splits import SplitConfig, count_splits
from tasks.stage import Output, StageConfig, stage


class GivenConfig(StageConfig):
    """Texts that become documents `doc-0`, `doc-1`, ... (or as `numbers` says) in order, spread over shards."""

    texts: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    shards: int = 1
    split: SplitConfig = SplitConfig()


@stage(makes=Artifact, version=1)
def given(config: GivenConfig, out: Output) -> None:
    """Write the texts as documents with their split, as decontaminate does."""
    import pyarrow as pa

    from data_lake.tables.schemas import CORPUS

    tally = Tally()
    rows = []
    for number, text in zip(config.numbers or range(len(config.texts)), config.texts, strict=True):
        url = f"http://example.org/{number}"
        size = len(text.encode())
        tally.keep(size)
        row = {"doc_id": doc_id(url=url), "url": url, "source": "example.org", "text": text, "n_bytes": size}
        rows.append(row | {"split": split_of(row["doc_id"], config.split.val, config.split.test)})
    step = -(-len(rows) // config.shards) or 1
    for number in range(config.shards):
        table = pa.Table.from_pylist(rows[number * step : (number + 1) * step], schema=CORPUS)
        write_parquet(shard_path(out.dir / "documents", number), table)
    out.ledger(tally.ledger())
    splits = count_splits(out.dir)
    out.count(documents=len(rows), **{f"{name}_documents": number for name, number in splits.items()})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(tmp_path / "lake")


@pytest.fixture
def given_documents(lake: Lake) -> Callable[..., Artifact]:
    """`given_documents(texts, shards=1, split=SplitConfig())`: an artifact with these documents."""

    def build(texts: Sequence[str], shards: int = 1, split: SplitConfig = SplitConfig()) -> Artifact:  # noqa: B008
        return given.build(lake, GivenConfig(texts=tuple(texts), shards=shards, split=split), {}).artifact

    return build


def numbered(lake: Lake, texts: Sequence[tuple[int, str]], shards: int, split: SplitConfig) -> Artifact:
    """Return an artifact with these documents, each with a number of its own that its URL ends in."""
    numbers, written = tuple(number for number, _ in texts), tuple(text for _, text in texts)
    config = GivenConfig(texts=written, numbers=numbers, shards=shards, split=split)
    return given.build(lake, config, {}).artifact


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated MLflow database: making one takes seconds, copying it none."""
    home = Home(tmp_path_factory.mktemp("template")).ensure()
    init_mlflow(home)
    return home.mlflow_db


@pytest.fixture
def textmill(home: Path, mlflow_database: Path) -> Home:
    made = Home.from_env().ensure()
    shutil.copy(mlflow_database, made.mlflow_db)
    return made
