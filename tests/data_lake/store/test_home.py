"""The home folder: its layout, and a sentence instead of a traceback when it cannot be used."""

import os
from pathlib import Path

import pytest
import sqlalchemy

from data_lake.store.home import Home, HomeError, explain


def test_environment_moves_everything(tmp_path: Path) -> None:
    home = Home.from_env({"TEXTMILL_HOME": str(tmp_path / "elsewhere")})
    paths = (home.lake, home.mlflow_db, home.mlartifacts, home.prefect, home.run, home.logs, home.spool)
    assert all(path.is_relative_to(tmp_path / "elsewhere") for path in paths)
    assert home.mlflow_uri == f"sqlite:///{tmp_path}/elsewhere/mlflow.db"


@pytest.mark.parametrize("name", ["a home", "a?b", "a#b", "100%41", "[x]*'&=", "ü 家"])
def test_databases_are_where_the_home_is_whatever_its_name(tmp_path: Path, name: str) -> None:
    home = Home.from_env({"TEXTMILL_HOME": str(tmp_path / name)}).ensure()
    engine = sqlalchemy.create_engine(home.mlflow_uri)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE t (n INTEGER)"))
    engine.dispose()
    assert home.mlflow_db.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="not UTF-8 text"):
        Home.from_env({"TEXTMILL_HOME": os.fsdecode(os.fsencode(tmp_path) + b"/a\xff")})


def test_default_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Home.from_env({}).root == tmp_path / ".textmill"


def test_ensure_twice(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home").ensure().ensure()
    assert home.lake.is_dir()
    assert list(home.run.iterdir()) == [], "the probe stayed behind"


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("x")
    with pytest.raises(HomeError, match="is a file where textmill needs a folder"):
        Home(tmp_path / "home").ensure()


@pytest.mark.parametrize(
    ("number", "says"), [(28, "is full"), (30, "read-only"), (13, "may not write to"), (5, "cannot be used")]
)
def test_sentences(number: int, says: str, tmp_path: Path) -> None:
    sentence = explain(OSError(number, os.strerror(number)), tmp_path)
    assert says in sentence
    assert "TEXTMILL_HOME" in sentence
