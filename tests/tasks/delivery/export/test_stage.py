"""delivery/export/stage.py: a model leaves whole and proved, with a card that tells where it comes from.

Also covers: tasks/delivery/export/card.py
Also covers: tasks/delivery/export/config.py
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from data_lake.store.lake import Artifact, Lake
from model.huggingface import export as writing
from model.huggingface.folder import read_folder
from model.huggingface.weights import read_model
from tasks.delivery.export import ExportConfig, export
from tasks.stage import PermanentError
from tasks.training.import_model import ImportConfig, import_model
from tasks.training.sft import SftConfig, sft
from tasks.training.trained import load_trained
from tests.tasks.pydoc_corpus import SFT, build_corpus, build_models, make

FILES = {
    f"hf/{name}"
    for name in ("README.md", "config.json", "generation_config.json", "model.safetensors", "special_tokens_map.json",
                 "tokenizer.json", "tokenizer_config.json")
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Artifact]]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    return lake, build_models(lake, built)


def exported(lake: Lake, model: Artifact) -> Artifact:
    return export.build(lake, ExportConfig(), {"model": model}).artifact


def card(artifact: Artifact) -> str:
    return (artifact.path / "hf" / "README.md").read_text("utf-8")


def test_an_export_is_whole_and_the_same_each_time(models: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = models
    artifact = exported(lake, built["pretrain"])
    assert set(artifact.files) == FILES
    assert artifact.metrics == {"logits_difference": 0.0}
    again = export.build(lake, ExportConfig(), {"model": built["pretrain"]}, force=True).artifact
    assert again.content == artifact.content
    assert "chat_template" not in (artifact.path / "hf" / "tokenizer_config.json").read_text()
    assert "chat_template" in (exported(lake, built["sft"]).path / "hf" / "tokenizer_config.json").read_text()


def test_the_card_tells_what_the_lineage_knows(models: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = models
    base, taught = card(exported(lake, built["pretrain"])), card(exported(lake, built["sft"]))
    assert base.startswith("---\nlibrary_name: transformers\n")
    assert f"A Llama of {built['pretrain'].counts['parameters']:,} weights that continues texts" in base
    assert "was taught to answer in the chat template" in taught
    assert 'tokenizer("The mill"' in base
    assert "apply_chat_template" in taught
    for model in ("pretrain", "sft"):
        shown = f"{built[model].metrics['validation_bits_per_byte']:.4g}"
        assert re.search(rf"\| {built[model].name} \| validation bits per byte \| {shown} \|", taught)
    corpus = built["decontaminate"]
    assert f"| decontaminate | kept | {corpus.counts['documents']:,} |" in base
    assert f"| {built['pretrain'].name} | steps 20, batch size 4, learning rate 0.01" in base
    assert "## Licence\n\nNone is stated." in base
    assert "license:" not in base


def test_an_ancestor_that_is_gone_is_named(tmp_path: Path) -> None:
    lake, built = build_corpus(tmp_path / "lake")
    built = build_models(lake, built)
    shutil.rmtree(built["tokenize"].path)
    assert f"No longer in the lake: {built['tokenize'].name}." in card(exported(lake, built["pretrain"]))


def test_what_left_can_come_in_again(models: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = models
    left = exported(lake, built["sft"])
    back = import_model.build(lake, ImportConfig(folder=str(left.path / "hf")), {}).artifact
    before, after = load_trained(built["sft"]), load_trained(back)
    assert after[0].config == before[0].config
    assert json.loads((back.path / "model.json").read_text())["chat_template"] == "textmill"
    assert "before it came in is not known here" in card(exported(lake, back))


def test_a_model_that_was_adapted_leaves_with_its_adapter_merged(models: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = models
    adapted = make(sft, lake, SftConfig(**{**SFT, "adapter": {"rank": 2}}), built).artifact
    left = exported(lake, adapted)
    assert left.metrics["logits_difference"] == 0
    assert {name for name in left.files if "adapter" in name} == set()
    network = read_model(read_folder(left.path / "hf"))
    before = load_trained(built["pretrain"])[0].state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_an_export_that_computes_something_else_fails(
    models: tuple[Lake, dict[str, Artifact]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, built = models
    honest = writing.weights_for_export
    monkeypatch.setattr(
        writing, "weights_for_export", lambda model: {name: tensor * 1.01 for name, tensor in honest(model).items()}
    )
    with pytest.raises(PermanentError, match=r"cannot be exported: .* has logits that differ by"):
        export.build(lake, ExportConfig(), {"model": built["pretrain"]}, force=True)
