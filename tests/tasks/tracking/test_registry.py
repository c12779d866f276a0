"""tasks/tracking/registry.py: versions that lead to the lake, and the alias of the champion; a real MLflow database."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from flows.servers.mlflow_db import init_mlflow
from tasks.tracking.mlflow_client import Sender
from tasks.tracking.registry import WHY, Registry, RegistryError, Version, set_champion
from tasks.tracking.watch import Tracker, version_tags
from tests.evaluations import model
from tests.lakes import commit


@pytest.fixture(scope="module")
def home_of_models(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home(tmp_path_factory.mktemp("registry")).ensure()
    init_mlflow(made)
    return made


@pytest.fixture
def place(home_of_models: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Home:
    monkeypatch.setenv("TEXTMILL_HOME", str(home_of_models.root))
    monkeypatch.chdir(tmp_path)
    return home_of_models


def trained(place: Home, depth: int) -> Artifact:
    lake = Lake(place.lake)
    return model(lake, upstream={"tokens": commit(lake, "tokenize", upstream=(commit(lake, "crawl"),))}, depth=depth)


def test_a_version_is_added_once_and_leads_to_all_that_made_it(place: Home) -> None:
    registry, made = Registry(place), trained(place, 1)
    assert registry.champion("night-pretrain") is None
    first = registry.register("night-pretrain", made)
    assert first == Version("night-pretrain", "1", made.name)
    assert registry.register("night-pretrain", made) == first
    assert registry.versions(made) == [first]
    tags = Sender(place).client.get_model_version("night-pretrain", "1").tags
    assert (tags["artifact"], tags["stage"], tags["key"]) == (made.name, "pretrain", made.key)
    assert [name.partition("/")[0] for name in tags["lineage"].split()] == ["crawl", "tokenize"]
    assert not Path("mlruns").exists()


def test_the_alias_moves_and_says_why(place: Home) -> None:
    registry = Registry(place)
    one, two = (registry.register("moved", trained(place, depth)) for depth in (2, 3))
    registry.crown(one, "the first")
    registry.crown(two, "it beats the first")
    assert registry.champion("moved") == two
    registry.note(one, "it is worse")
    client = Sender(place).client
    assert [client.get_model_version("moved", n).tags[WHY] for n in "12"] == ["it is worse", "it beats the first"]
    assert set_champion(place, trained(place, 2)) == "moved version 1"
    assert registry.champion("moved") == one


def test_a_version_that_a_run_registered_is_found(place: Home) -> None:
    made, tracker = trained(place, 4), Tracker(place)
    run = tracker.start_run("textmill/pretrain", "pretrain", {}, {})
    run.model("by-run", made, version_tags(made, Lake(place.lake)))
    run.finish("FINISHED")
    assert tracker.close() is None
    assert Registry(place).register("by-run", made).number == "1"


def test_a_registry_that_does_not_answer_is_a_sentence(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(RegistryError, match=r"registry at http://127\.0\.0\.1:9 cannot be used"):
        Registry(place).champion("night-pretrain")
