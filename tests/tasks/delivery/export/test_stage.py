"""delivery/export/stage.py: a model leaves whole and proved, with a card that tells where it comes from.

Also covers: tasks/delivery/export/card.py
Also covers: tasks/delivery/export/config.py
Also covers: tasks/delivery/export/held_out.py
Also covers: tasks/delivery/export/leaving.py
Also covers: tasks/delivery/export/preflight.py
Also covers: tasks/delivery/export/use.py
Also covers: tasks/delivery/export/writers.py
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from data_lake.store.lake import Artifact, Lake
from model.huggingface import export as writing
from model.huggingface.folder import read_folder
from model.huggingface.weights import read_model
from model.scoring import Scorer, rolling_windows
from tasks.corpus.splits import SplitConfig, documents_of
from tasks.corpus.tokenizer import TokenizerConfig
from tasks.delivery.export import ExportConfig, export
from tasks.delivery.export.held_out import held_out
from tasks.delivery.export.stage import leaving_model, write_format
from tasks.stage import PermanentError
from tasks.stage.preflight import Facts
from tasks.training.import_model import ImportConfig, import_model
from tasks.training.pretrain import PretrainConfig
from tasks.training.sft import SftConfig, sft
from tasks.training.trained import load_trained
from tests.tasks.pydoc_corpus import SFT, PagesConfig, build_corpus, build_models, decontaminate, make

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
    assert artifact.metrics == {
        "logits_difference": 0.0, "bits_per_byte": None, "bits_per_byte_lost_hf": None,
    }  # fmt: skip
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
    with pytest.raises(PermanentError, match=r"cannot be exported as hf: .* has logits that differ by"):
        export.build(lake, ExportConfig(), {"model": built["pretrain"]}, force=True)


def test_what_a_format_loses_is_measured_on_held_out_text(models: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = models
    inputs = {"model": built["pretrain"], "corpus": built["decontaminate"]}
    artifact = export.build(lake, ExportConfig(held_out_tokens=300), inputs).artifact
    network, tokenizer = load_trained(built["pretrain"])
    text = next(documents_of(built["decontaminate"].path, {"test"})).text
    ids = tokenizer.encode(text)[:300]
    windows = list(rolling_windows(ids, tokenizer.bos, network.config.max_seq_len - 2))
    nats = sum(score.log_likelihood for score in Scorer(network, tokenizer.encode, tokenizer.bos).score_ids(windows))
    n_bytes = len(tokenizer.decode_bytes(ids))
    assert artifact.metrics["bits_per_byte"] == pytest.approx(-nats / math.log(2) / n_bytes)
    assert artifact.metrics["bits_per_byte_lost_hf"] == 0
    assert f"On {n_bytes:,} bytes of held-out text textmill needs" in card(artifact)
    assert ", 0.0000 more than the model itself" in card(artifact)


def test_without_a_split_for_the_end_the_other_one_is_held_out(models: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = models
    tokenizer = load_trained(built["pretrain"])[1]
    only = decontaminate.build(lake, PagesConfig(count=12, split=SplitConfig(val=0.3, test=0)), {}).artifact
    text = held_out(only.path, tokenizer, 64, 100)
    assert text is not None
    assert sum(len(following) for _, following in text.windows) == 100
    assert max(len(context) + len(following) for context, following in text.windows) <= 63
    nothing = decontaminate.build(lake, PagesConfig(count=3, split=SplitConfig(val=0, test=0)), {}).artifact
    assert held_out(nothing.path, tokenizer, 64, 100) is None


def faults(lake: Lake, configs: dict[str, Any], **config: Any) -> list[tuple[str, str]]:
    found = export.faults(ExportConfig(**config), Facts(configs, lake))
    return [(fault.field, fault.reason) for fault in found]


def test_a_plan_says_what_is_missing(models: tuple[Lake, dict[str, Artifact]], monkeypatch: pytest.MonkeyPatch) -> None:
    lake, _ = models
    learned = {"tokenizer": TokenizerConfig(pattern="gpt4o")}
    assert faults(lake, learned) == []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "xllamacpp" else name)
    found = faults(lake, {"tokenizer": TokenizerConfig()}, formats=["hf", "gguf-q8_0"])
    assert found == [(
        "export.formats",
        "The format gguf-q8_0 needs xllamacpp, to write it and to prove that it computes the same: pip install "
        "'textmill[export]'.",
    )]  # fmt: skip


def test_a_plan_says_which_tokenizers_do_not_leave(models: tuple[Lake, dict[str, Artifact]]) -> None:
    pytest.importorskip("xllamacpp")
    lake, gguf = models[0], {"formats": ["gguf-f16"]}
    assert faults(lake, {"tokenizer": TokenizerConfig(pattern="gpt2")}, **gguf) == []
    [(field, why)] = faults(lake, {"tokenizer": TokenizerConfig(pattern="gpt4o")}, **gguf)
    assert (field, "pattern gpt4o" in why) == ("tokenizer.pattern", True)
    [(_, why)] = faults(lake, {"tokenizer": TokenizerConfig(algorithm="unigram")}, **gguf)
    assert "vocabulary learned with unigram" in why
    stretched = PretrainConfig(model={"family": "qwen3", "rope_scaling": {}})
    [(field, why)] = faults(lake, {"pretrain": stretched}, **gguf)
    assert (field, "does not stretch the positions" in why) == ("pretrain.model", True)
    taken = {"tokenizer": TokenizerConfig(pattern="gpt4o"), "import_model": ImportConfig()}
    assert faults(lake, taken, **gguf) == []


def test_libraries_of_other_formats_are_not_in_the_key() -> None:
    assert "xllamacpp" not in export.libraries(ExportConfig())
    assert {"xllamacpp", "gguf"} <= export.libraries(ExportConfig(formats=("gguf-f32",))).keys()


@pytest.mark.parity
def test_a_file_for_llama_cpp_is_proved_by_it(models: tuple[Lake, dict[str, Artifact]]) -> None:
    pytest.importorskip("xllamacpp")
    lake, built = models
    inputs = {"model": built["sft"], "corpus": built["decontaminate"]}
    artifact = export.build(lake, ExportConfig(formats=("gguf-f32", "gguf-q8_0"), held_out_tokens=200), inputs).artifact
    assert set(artifact.files) == {
        f"gguf-{kind}/{name}" for kind in ("f32", "q8_0") for name in (f"model-{kind}.gguf", "Modelfile", "README.md")
    }
    assert abs(artifact.metrics["bits_per_byte_lost_gguf_f32"] or 1) < 1e-4
    assert abs(artifact.metrics["bits_per_byte_lost_gguf_q8_0"] or 1) < 0.05
    assert 0 < (artifact.metrics["log_probability_difference"] or 0) < 0.5
    told = (artifact.path / "gguf-q8_0" / "README.md").read_text("utf-8")
    assert "ollama create sft-" in told
    assert "llama.cpp needs" in told
    assert "Known to be split otherwise than at home: texts that end in a line break and spaces" in told


@pytest.mark.slow
@pytest.mark.parity
def test_a_network_for_onnxruntime_is_proved_by_it(models: tuple[Lake, dict[str, Artifact]]) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    lake, built = models
    inputs = {"model": built["sft"], "corpus": built["decontaminate"]}
    artifact = export.build(lake, ExportConfig(formats=("onnx",), held_out_tokens=200), inputs).artifact
    assert {f"onnx/{name}" for name in ("model.onnx", "tokenizer.json", "README.md")} <= set(artifact.files)
    assert abs(artifact.metrics["bits_per_byte_lost_onnx"] or 0) < 1e-5
    assert (artifact.metrics["logits_difference"] or 0) < 1e-4
    card = (artifact.path / "onnx" / "README.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code is not None
    done = subprocess.run([sys.executable, "-c", code[1]], cwd=artifact.path / "onnx", capture_output=True, text=True)
    assert (done.returncode, done.stdout[:8]) == (0, "The mill"), done.stderr


def test_a_format_that_loses_too_much_is_not_written(models: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    _, built = models
    leaving = leaving_model(built["pretrain"], built["decontaminate"].path, 100)
    with pytest.raises(PermanentError, match=r"as hf: it loses 0 bits per byte .* -1 is allowed \(export\.max_loss\)"):
        write_format(leaving, tmp_path / "hf", "hf", max_loss=-1)
    assert list(tmp_path.iterdir()) == []
