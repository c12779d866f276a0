"""tasks/tracking/registry.py: versions that lead to the lake, and the alias of the champion; a real MLflow database.

Also covers: tasks/tracking/pyfunc_folder.py
Also covers: tasks/tracking/pyfunc_model.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from flows.servers.mlflow_db import init_mlflow
from model.gpt import GPT
from model.shape import GPTConfig, Network
from tasks.delivery.generation import Writer, sampling
from tasks.stage import Output, StageConfig, kinds, stage
from tasks.tracking import pyfunc_folder
from tasks.tracking.mlflow_client import Sender
from tasks.tracking.pyfunc_folder import CODE, SETTINGS
from tasks.tracking.registry import WHY, Registry, RegistryError, Version, set_champion
from tasks.tracking.watch import Tracker, version_tags
from tasks.training.written import write_model
from tests.evaluations import model
from tests.lakes import commit
from tests.model.vocabulary.small_models import learned_pairs


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


class NetworkConfig(StageConfig):
    """What a written network is."""

    network: Network = "decoder"
    template: str | None = None


@stage(makes=kinds.Model, version=1)
def written(config: NetworkConfig, out: Output) -> None:
    """Write a model that has learned nothing."""
    tokenizer = learned_pairs(vocab_size=300)
    shape = GPTConfig(vocab_size=tokenizer.vocab_size, network=config.network, n_layer=1, d_model=16, max_seq_len=32)
    write_model(out, GPT(shape).initialise(0), tokenizer, [], config.template)


@pytest.mark.parametrize("template", [pytest.param(None, marks=pytest.mark.slow), "textmill"])
def test_a_registered_model_is_loaded_by_mlflow_alone(place: Home, template: str | None) -> None:
    """It writes what our own command writes, from a folder that is moved away from lake and registry."""
    import mlflow
    import pandas

    from tasks.tracking import pyfunc_model

    artifact = written.build(Lake(place.lake), NetworkConfig(template=template), {}).artifact
    version = Registry(place).register(f"small-{template}", artifact)
    folder = mlflow.artifacts.download_artifacts(f"models:/{version.model}/{version.number}", dst_path="copy")
    opened = mlflow.pyfunc.load_model(folder)
    prompts = ["The mill", "a very long prompt that does not fit into the context of this network " * 3]
    made = opened.predict(pandas.DataFrame({"prompt": prompts}), params={"max_tokens": 6})
    theirs = Writer(artifact, "cpu").write(prompts, 6, sampling())
    assert made["text"].tolist() == [one.text for one in theirs]
    drawn = opened.predict(opened.input_example, params={"max_tokens": 5, "temperature": 1.5, "seed": 3})
    prompt = opened.input_example["prompt"][0]
    assert drawn["text"][0] == Writer(artifact, "cpu").write([prompt], 5, sampling(1.5, seed=3))[0].text
    assert opened.metadata.signature.inputs.input_names() == ["prompt"]
    assert {one.name: one.default for one in opened.metadata.signature.params} == SETTINGS
    assert (Path(folder) / CODE.name).read_text() == Path(pyfunc_model.__file__).read_text()
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    assert [path.name for path in files if path.suffix in (".pkl", ".pickle", ".pt", ".bin")] == []
    assert (Path(folder) / "artifacts" / "model.safetensors").stat().st_size > 1000
    assert "torch==" in (Path(folder) / "requirements.txt").read_text()
    assert not Path("mlruns").exists()


def test_of_what_writes_nothing_or_is_large_the_registry_has_a_pointer(
    place: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    for network in ("encoder", "decoder"):
        monkeypatch.setattr(pyfunc_folder, "MOST_BYTES", 1000 if network == "decoder" else 1 << 30)
        artifact = written.build(Lake(place.lake), NetworkConfig(network=network), {}).artifact
        version = Registry(place).register(f"pointed-at-{network}", artifact)
        folder = mlflow.artifacts.download_artifacts(f"models:/{version.model}/{version.number}", dst_path=network)
        assert {path.name for path in Path(folder).iterdir()} == {"MLmodel", "registered_model_meta"}
    assert not list(place.root.glob(".mlflow-*"))
