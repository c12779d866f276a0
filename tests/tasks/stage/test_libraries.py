"""Versions of libraries in keys: found in the imports of a stage's code, said by plans, covered by adopt."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_lake.store.fingerprint import sha256_of
from data_lake.store.lake import Artifact, Lake
from flows.graph.node import Graph
from flows.graph.plan import make_plan
from flows.graph.stages import STAGES
from flows.recipe.load import load_recipe
from flows.run.adopt import AdoptError, adopt_artifact
from tasks.stage import Output, StageConfig, libraries, stage
from tasks.stage.code import code_of
from tasks.stage.libraries import LEAVES_TO, SHAPE_NO_RESULT, distribution_of, imports_of, version_of

# Libraries that only some machines have: asked for by a recipe, or by a newer Python than this one.
OPTIONAL = {"pyspellchecker", "backports.zstd"}


@pytest.mark.parametrize("name", STAGES)
def test_each_import_of_a_stages_code_is_in_its_key_or_shapes_no_result(name: str) -> None:
    """What the environment says of who brings a module agrees with what the keys take it for."""
    brought_by = importlib.metadata.packages_distributions()
    in_key = STAGES[name].libraries(STAGES[name].config_type())
    not_used = STAGES[name].without(STAGES[name].config_type()) if STAGES[name].without else ()
    used = code_of(STAGES[name].function, frozenset(not_used))  # modules of ours can be among what is not used
    for module in used.imports - sys.stdlib_module_names:
        distribution = distribution_of(module)
        if distribution in OPTIONAL and module not in brought_by:
            continue
        assert distribution in map(str.lower, brought_by.get(module, [])), (
            f"{name} imports {module}, which {brought_by.get(module)} brings: say so in "
            f"tasks.stage.libraries.DISTRIBUTIONS."
        )
        named = distribution in in_key or distribution in SHAPE_NO_RESULT or distribution in not_used
        assert named, f"{name} imports {module}, whose version is not in its key."
    for distribution, version in in_key.items():
        assert version == version_of(distribution) != None, distribution  # noqa: E711


def test_what_shapes_no_result_is_used_and_says_why() -> None:
    imported = set().union(*(imports_of(stage.code) for stage in STAGES.values()))
    # those two are imported by modules that shape no result, and may be by a stage of one's own
    assert imported >= SHAPE_NO_RESULT.keys() - {"numba", "matplotlib"}
    assert imported >= LEAVES_TO.keys()
    assert all(len(reason) > 10 for reason in SHAPE_NO_RESULT.values())


@pytest.mark.parametrize(
    ("overrides", "library", "used"),
    [
        ([], "emoji", False),
        (["clean.normalize.emoji=text"], "emoji", True),
        (["clean.normalize.emoji=remove"], "emoji", True),
        (["clean.extraction=fast"], "trafilatura", False),
        (["clean.extraction=fast"], "lxml", False),
        (["clean.extraction=quality"], "lxml", True),
        (["clean.pii.types=[email]"], "phonenumbers", False),
        (["clean.pii.types=[phone]"], "phonenumbers", True),
        (["clean.pii.types=[iban]"], "python-stdnum", True),
        ([], "tiktoken", False),
        (["clean.filters.classifiers=[{name: spam, trained_by: classify/abc, label: spam}]"], "tiktoken", True),
    ],
)
def test_a_config_that_does_not_use_a_library_does_not_depend_on_it(
    overrides: list[str], library: str, used: bool
) -> None:
    config = load_recipe("gpt3-mix", overrides).config("clean")
    assert (library in STAGES["clean"].libraries(config)) is used


def at_version(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    """As if these versions were installed."""
    real = version_of.__wrapped__
    monkeypatch.setattr(libraries, "version_of", lambda name: versions.get(name) or real(name))


@pytest.mark.parametrize(("name", "library"), [("clean", "emoji"), ("crawl", "protego"), ("tokenizer", "rustbpe")])
def test_another_version_is_another_key(monkeypatch: pytest.MonkeyPatch, name: str, library: str) -> None:
    config = load_recipe("demo", ["clean.normalize.emoji=text"]).config(name)
    contents = dict.fromkeys(STAGES[name].inputs, "0" * 64)
    keys = set()
    for version in ("2.2.0", "2.16.0"):
        at_version(monkeypatch, {library: version})
        payload = STAGES[name].payload(config, contents)
        assert payload["libraries"][library] == version
        keys.add(sha256_of(payload))
    assert len(keys) == 2


def test_another_torch_trains_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = dict.fromkeys(STAGES["pretrain"].inputs, "0" * 64)
    payloads = []
    for version in ("2.9.0", "9.9.9"):
        at_version(monkeypatch, {"torch": version, "numpy": version, "tiktoken": version})
        payloads.append(STAGES["pretrain"].payload(STAGES["pretrain"].config_type(), contents))
    assert payloads[0] == payloads[1]


class NamesConfig(StageConfig):
    """Nothing to set."""


@stage(makes=Artifact, version=1)
def names(config: NamesConfig, out: Output) -> None:
    """Write something."""
    import emoji
    import ftfy

    (out.dir / "names.txt").write_text(ftfy.fix_text(emoji.demojize("x")))


GRAPH = Graph()
GRAPH.add(names, NamesConfig())


@pytest.fixture
def built(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Artifact]:
    def build(versions: dict[str, str]) -> Artifact:
        at_version(monkeypatch, versions)
        return names.build(Lake(home / "lake"), NamesConfig(), {}).artifact

    return build


def reasons(home: Path) -> list[str]:
    return list(make_plan(GRAPH, Lake(home / "lake")).rows[0].reasons)


def test_a_plan_says_which_version_changed_and_adopt_keeps_the_artifact(
    home: Path, monkeypatch: pytest.MonkeyPatch, built: Callable[[dict[str, str]], Artifact]
) -> None:
    old = built({"emoji": "2.2.0", "ftfy": "6.0"})
    assert old.manifest.payload["libraries"]["emoji"] == "2.2.0"
    at_version(monkeypatch, {"emoji": "2.16.0", "ftfy": "6.0"})
    assert reasons(home) == ["emoji 2.2.0 → 2.16.0"]
    made = adopt_artifact(GRAPH, "names", Lake(home / "lake"))
    assert made.manifest.payload["libraries"]["emoji"] == "2.16.0"
    assert made.content == old.content
    assert make_plan(GRAPH, Lake(home / "lake")).rows[0].status == "hit"
    with pytest.raises(AdoptError, match="is a hit as it is"):
        adopt_artifact(GRAPH, "names", Lake(home / "lake"))


def test_an_artifact_of_before_says_that_its_versions_are_not_known(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_libraries(*_: Any) -> dict[str, str]:
        return {}

    monkeypatch.setattr("tasks.stage.contract.libraries_of", without_libraries)
    names.build(Lake(home / "lake"), NamesConfig(), {})
    monkeypatch.undo()
    (reason,) = reasons(home)
    assert reason.startswith("built with unknown versions of ")
    assert "emoji" in reason


def test_the_manifest_has_all_versions(built: Callable[[dict[str, str]], Artifact]) -> None:
    packages = built({}).manifest.provenance["packages"]
    assert packages.keys() >= {"emoji", "ftfy", "pyarrow", "mlflow"}
    assert packages["emoji"] == importlib.metadata.version("emoji")
