"""import_model/stage.py: a folder becomes a model like any other, anew where a file changed; what is none says why.

Also covers: tasks/training/import_model/config.py
Also covers: tasks/training/import_model/preflight.py
Also covers: tasks/training/import_model/shape.py
Also covers: tasks/training/pretrain/base.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from data_lake.store.lake import Artifact, Lake
from model.huggingface.chat_template import jinja_template
from model.huggingface.config import config_to
from model.huggingface.export import write_folder
from model.huggingface.weights import weights_for_export
from model.tokenizer import Tokenizer
from model.vocabulary.exported import export_tokenizer
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.stage import Output, PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.import_model import ImportConfig, import_model
from tasks.training.pretrain import PretrainConfig, pretrain
from tasks.training.sft import SftConfig, sft
from tasks.training.trained import chat_template_of, config_of, load_trained
from tests.model.huggingface.folders import model_of
from tests.model.huggingface.test_tokens import gpt2_like
from tests.model.vocabulary.small_models import learned_pairs
from tests.tasks.pydoc_corpus import PRETRAIN, SFT, build_corpus


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A GPT-2 with a tokenizer of 301 ids, as it lies in a folder from elsewhere."""
    return write_gpt2(tmp_path / "gpt2")


def write_gpt2(folder: Path) -> Path:
    folder.mkdir(parents=True)
    model = model_of("gpt2", vocab_size=301, max_seq_len=160)
    save_file(weights_for_export(model), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config_to(model.config, bos=300, eos=300)))
    export_tokenizer(gpt2_like(), folder)
    return folder


def imported(lake: Lake, folder: Path, **settings: Any) -> Artifact:
    return import_model.build(lake, ImportConfig(folder=str(folder), **settings), {}).artifact


def test_a_folder_becomes_a_model_with_the_same_logits(lake: Lake, folder: Path) -> None:
    artifact = imported(lake, folder)
    model, vocabulary = load_trained(artifact)
    assert (artifact.counts["vocab_size"], artifact.counts["tokens_added"]) == (305, 4)
    assert chat_template_of(artifact) is None
    ids = torch.tensor([[vocabulary.bos, *vocabulary.encode("The mill")]])
    assert vocabulary.bos == 300
    with torch.inference_mode():
        assert torch.allclose(model(ids)[..., :301], model_of("gpt2", vocab_size=301, max_seq_len=160)(ids), atol=1e-6)


def test_content_counts_and_not_the_place(lake: Lake, folder: Path, tmp_path: Path) -> None:
    config = ImportConfig(folder=str(folder))
    before = imported(lake, folder)
    assert import_model.build(lake, config, {}).status == "cached"
    (folder / "README.md").write_text("nothing that is read")
    shutil.copytree(folder, tmp_path / "moved")
    assert imported(lake, tmp_path / "moved").key == before.key
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.ln_f.bias"][0] += 1
    save_file(tensors, folder / "model.safetensors")
    assert import_model.build(lake, config, {}).status == "built"
    described = json.loads((tmp_path / "moved" / "config.json").read_text())
    (tmp_path / "moved" / "config.json").write_text(json.dumps({**described, "layer_norm_epsilon": 1e-3}))
    assert config_of(imported(lake, tmp_path / "moved")).norm_eps == 1e-3


def test_context_and_dropout_are_the_recipes(lake: Lake, folder: Path) -> None:
    config = config_of(imported(lake, folder, max_seq_len=16, dropout=0.1))
    assert (config.max_seq_len, config.dropout, config.family) == (16, 0.1, "gpt2")
    with pytest.raises(PermanentError, match="has a context of 160 tokens; 161 are more"):
        imported(lake, folder, max_seq_len=161)


def test_a_chat_model_that_left_comes_back_as_one(lake: Lake, tmp_path: Path) -> None:
    ours = learned_pairs()
    model = model_of("llama", vocab_size=ours.vocab_size)
    write_folder(model, ours, tmp_path / "chat", chat="textmill")
    artifact = imported(lake, tmp_path / "chat")
    assert chat_template_of(artifact) == "textmill"
    again, vocabulary = load_trained(artifact)
    assert again.config == model.config
    assert jinja_template(vocabulary) == jinja_template(ours)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def unfinished(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.ln_f.bias"][0] = torch.nan
    save_file(tensors, folder / "model.safetensors")


def wrong_tokenizer(folder: Path) -> None:
    export_tokenizer(learned_pairs(), folder)


def unknown(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "rwkv"}')


@pytest.mark.parametrize(
    ("broken", "words", "planned"),
    [
        (unfinished, "weights that are not finite", False),
        (wrong_tokenizer, "does not fit the model", True),
        (unknown, "of the type 'rwkv'", True),
        (shutil.rmtree, "There is no folder", True),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer", True),
    ],
)
def test_what_cannot_be_imported_says_why(
    broken: Any, words: str, planned: bool, lake: Lake, folder: Path, tmp_path: Path
) -> None:
    broken(folder)
    config = ImportConfig(folder=str(folder))
    with pytest.raises(PermanentError, match=words):
        import_model(config, local_output(tmp_path / "out"))
    faults = import_model.faults(config, Facts({"import_model": config}, lake))
    assert [words in fault.reason for fault in faults] == ([True] if planned else [])
    assert {fault.field for fault in faults} <= {"import_model.folder"}


def test_an_empty_name_asks_for_one(lake: Lake) -> None:
    (fault,) = import_model.faults(ImportConfig(), Facts({}, lake))
    assert "No folder is named" in fault.reason


# -- going on from it --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Artifact]]:
    folder = tmp_path_factory.mktemp("going-on")
    lake, built = build_corpus(folder / "lake")
    built["base"] = imported(lake, write_gpt2(folder / "gpt2"))
    given = {"corpus": built["decontaminate"], "base": built["base"]}
    own = tokenizer.build(lake, TokenizerConfig(), given).artifact
    return lake, {**built, "own": own}


def going_on(corpus: tuple[Lake, dict[str, Artifact]]) -> dict[str, Artifact]:
    """What pretraining reads that goes on from the imported model."""
    lake, built = corpus
    given = {"corpus": built["decontaminate"], "tokenizer": built["own"]}
    tokens = tokenize.build(lake, TokenizeConfig(seq_len=64), given).artifact
    return {"tokens": tokens, "tokenizer": built["own"], "base": built["base"]}


PLAIN = {name: value for name, value in PRETRAIN.items() if name != "model"}


def test_the_vocabulary_is_the_models(corpus: tuple[Lake, dict[str, Artifact]]) -> None:
    _, built = corpus
    assert Tokenizer.load(built["own"].path).sha256 == Tokenizer.load(built["base"].path / "tokenizer").sha256
    assert built["own"].counts["vocab_size"] == 305
    assert (built["own"].metrics["bytes_per_token"] or 0) > 1


def test_training_goes_on_from_the_weights_in_their_shape(corpus: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = corpus
    given = going_on(corpus)
    still = PretrainConfig(**{**PLAIN, "training": {"steps": 1, "learning_rate": 1e-9, "warmup": 0.0}})
    artifact = pretrain.build(lake, still, given).artifact
    before, after = load_trained(built["base"])[0], load_trained(artifact)[0]
    assert after.config == before.config
    for name, value in before.state_dict().items():
        assert torch.allclose(value, after.state_dict()[name], atol=1e-6), name
    learned = pretrain.build(lake, PretrainConfig(**PLAIN), given).artifact
    assert learned.metrics["validation_loss"] < artifact.metrics["validation_loss"]


def test_an_adapter_alone_goes_on_from_the_weights(corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    given, out = going_on(corpus), local_output(tmp_path)
    config = PretrainConfig.model_validate({**PLAIN, "adapter": {"rank": 2, "targets": ["up_proj"]}})
    pretrain(config, out, **given)
    before = load_trained(given["base"])[0].state_dict()
    after = load_file(tmp_path / "model.safetensors")
    assert {name for name in after if not torch.equal(after[name], before[name])} == {
        name for name in before if name.endswith("up_proj.weight")
    }
    assert 0 < out.metrics["trainable_share"] < 0.1
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()
    alone = {name: given[name] for name in ("tokens", "tokenizer")}
    with pytest.raises(PermanentError, match="begins with random weights"):
        pretrain(config, local_output(tmp_path / "other"), **alone)


class Interrupted(Output):
    """An output whose process dies after some steps."""

    def log(self, metrics: object, step: int) -> None:
        if step >= 10 and "loss" in metrics:  # type: ignore[operator]
            raise OSError("No space left on device")


def test_an_interrupted_training_from_a_base_ends_with_the_same_bytes(
    corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    given, config = going_on(corpus), PretrainConfig(**PLAIN)
    pretrain(config, local_output(tmp_path / "whole"), **given)
    (tmp_path / "cut").mkdir()
    with pytest.raises(OSError, match="No space left"):
        pretrain(config, Interrupted(tmp_path / "cut"), **given)
    pretrain(config, local_output(tmp_path / "cut"), **given)
    for name in ("model.safetensors", "model.json", "samples.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


@pytest.mark.parametrize("other", [{"n_layer": 3}, {"max_seq_len": 64}, {"family": "qwen3"}, {"preset": "demo-gpt2"}])
def test_another_shape_is_refused(
    other: dict[str, Any], corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    lake, built = corpus
    config = PretrainConfig(**{**PLAIN, "model": other})
    given = {"tokens": built["tokenize"], "tokenizer": built["own"], "base": built["base"]}
    with pytest.raises(PermanentError, match=r"asks for another shape .*: .* instead of .*import_model\.max_seq_len"):
        pretrain(config, local_output(tmp_path / "out"), **given)
    facts = Facts({"import_model": ImportConfig(folder=str(write_gpt2(tmp_path / "gpt2"))), "pretrain": config}, lake)
    assert [fault.field for fault in pretrain.faults(config, facts)] == ["pretrain.model"]


def test_another_tokenizer_is_refused(corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    given = {"tokens": corpus[1]["tokenize"], "tokenizer": corpus[1]["tokenizer"], "base": corpus[1]["base"]}
    with pytest.raises(PermanentError, match=r"has the tokenizer .*, but this run's is"):
        pretrain(PretrainConfig(**PLAIN), local_output(tmp_path / "out"), **given)


def test_an_imported_model_is_taught_to_answer(corpus: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = corpus
    taught = sft.build(lake, SftConfig(**SFT), {"corpus": built["decontaminate"], "base": built["base"]}).artifact
    assert chat_template_of(taught) == "textmill"
    assert config_of(taught) == config_of(built["base"])
