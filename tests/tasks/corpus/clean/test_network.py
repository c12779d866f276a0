"""tasks/corpus/clean/network.py: a network that one run trained judges the pages of the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data_lake.reading.catalog import Catalog
from data_lake.store.lake import Artifact, Lake
from tasks.corpus.clean import CleanConfig, clean
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.delivery.labelling import Labeller
from tasks.stage.preflight import Facts
from tasks.training.classify import ClassifyConfig, classify
from tests.tasks.training.classify.test_stage import TINY, ShapeConfig, begun, messages, write

SPAM = {"name": "spam", "trained_by": "classify/any", "label": "spam", "remove_above": 0.5}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(tmp_path_factory.mktemp("network") / "lake")


def trained(lake: Lake, folder: Path, steps: int) -> Artifact:
    training = {"steps": steps, "batch_size": 16, "learning_rate": 1e-2}
    data = write(folder / "messages.jsonl", messages(200))
    config = ClassifyConfig(**{**TINY, "data": (data,), "training": training, "pooling": "mean"})
    return classify.build(lake, config, {"base": begun.build(lake, ShapeConfig(), {}).artifact}).artifact


def config_of(**settings: Any) -> CleanConfig:
    return CleanConfig(filters={"use": ("length", "classifier"), "classifiers": ({**SPAM, **settings},)}, workers=1)


def test_pages_that_it_names_are_removed_with_their_scores(lake: Lake, tmp_path: Path) -> None:
    network, other = trained(lake, tmp_path, 40), trained(lake, tmp_path, 1)
    texts = [f"{row['text']} page" for row in messages(30)]
    (tmp_path / "pages.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    pages = crawl.build(lake, CrawlConfig(paths=(str(tmp_path / "pages.jsonl"),)), {}).artifact
    first = clean.build(lake, config_of(), {"pages": pages, "classifiers[0]": network}).artifact
    with Catalog(lake) as catalog:
        removed = {row[0]: row[1:] for row in catalog.query("SELECT text, reason, value, threshold FROM removed").rows}
    asked = {one.text: one.probabilities["spam"] for one in Labeller(network.path, "cpu").label(texts)}
    assert removed.keys() == {text for text, score in asked.items() if score >= 0.5}
    assert 0 < len(removed) < len(texts)
    for text, (reason, value, threshold) in removed.items():
        assert (reason, threshold) == ("spam", 0.5)
        assert value == pytest.approx(asked[text], abs=1e-5)
    ledger = first.manifest.ledger or {}
    assert ledger["removed"]["spam"]["documents"] == len(removed)
    assert first.manifest.inputs["classifiers[0]"].key == network.key
    # another network is another artifact, and nothing that the first one said is taken over
    second = clean.build(lake, config_of(), {"pages": pages, "classifiers[0]": other}).artifact
    assert second.key != first.key
    assert second.metrics["pages_reused"] == 0


def test_what_cannot_be_asked_is_said_by_the_plan(lake: Lake, tmp_path: Path) -> None:
    facts = Facts({}, lake, {"classifiers[0]": trained(lake, tmp_path, 1)})
    assert list(clean.faults(config_of(), facts)) == []
    (fault,) = clean.faults(config_of(label="Spam"), facts)
    assert fault.field == "clean.filters.classifiers"
    assert "asks for the label 'Spam', which classify/" in fault.reason
    assert fault.reason.endswith("it has ham, spam.")
    (fault,) = clean.faults(config_of(label=1), facts)  # as YAML reads it, of labels that are numbers
    assert "asks for the label '1', which" in fault.reason
    for settings, said in (
        ({"label": ""}, "needs the label of classify/any"),
        ({"labelled": ("a.jsonl",)}, "takes no examples"),
        ({"trained_by": "", "labelled": ("a.jsonl",)}, "label is of one that trained_by names"),
        ({"trained_by": "", "label": ""}, "or name an artifact of classify"),
    ):
        with pytest.raises(ValidationError, match=said):
            config_of(**settings)


def test_its_code_is_in_the_key_of_those_alone_who_use_it() -> None:
    inside = clean.payload(config_of(), {})["code"]
    outside = clean.payload(CleanConfig(), {})["code"]
    assert {"tasks.corpus.clean.network", "model.gpt"} <= inside.keys()
    assert not [name for name in outside if name.startswith("model.") and name != "model.cores"]
    assert not inside.keys() & {"model.trainer", "model.optim"}
