"""training/pretrain: a folder that loads by itself, the right tokenizer or none, and a resumed run with the same bytes.

Also covers: tasks/training/pretrain/config.py
Also covers: tasks/training/train.py
Also covers: tasks/training/written.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_lake.store.lake import Artifact, Lake
from model.generate import generate
from tasks.corpus.splits import SplitConfig
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.stage import Output, PermanentError, local_output
from tasks.training.pretrain import PretrainConfig, pretrain
from tasks.training.trained import load_trained
from tests.tasks.pydoc_corpus import PRETRAIN, PagesConfig, build_corpus, make

CONFIG = PretrainConfig(**PRETRAIN)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Artifact]]:
    return build_corpus(tmp_path_factory.mktemp("corpus"))


def test_the_artifact_is_a_whole_model(corpus: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = corpus
    artifact = make(pretrain, lake, CONFIG, built).artifact
    assert set(artifact.files) == {
        "model.json",
        "model.safetensors",
        "samples.jsonl",
        "tokenizer/ranks.tiktoken",
        "tokenizer/tokenizer.json",
    }
    model, tokenizer = load_trained(artifact)
    assert artifact.counts["parameters"] == model.count_parameters()
    assert artifact.counts["tokens"] == 20 * 4 * 128
    assert artifact.metrics["validation_loss"] < 6.2  # ln 512 = 6.24: it has learned something
    assert 0 < artifact.metrics["validation_bits_per_byte"] < 8
    samples = [json.loads(line) for line in (artifact.path / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 2
    assert all(sample["prompt"] for sample in samples)
    assert len(generate(model, [tokenizer.bos], 5).ids) == 5
    assert make(pretrain, lake, CONFIG, built).status == "cached"


def test_how_it_runs_is_not_what_it_is(corpus: tuple[Lake, dict[str, Artifact]]) -> None:
    contents = {name: artifact.content for name, artifact in corpus[1].items()}
    other = PretrainConfig(**{**PRETRAIN, "runtime": {"device": "cuda", "micro_batch": 1}})
    longer = PretrainConfig(**{**PRETRAIN, "training": {"steps": 21}})
    assert pretrain.payload(CONFIG, contents) == pretrain.payload(other, contents)
    assert pretrain.payload(CONFIG, contents) != pretrain.payload(longer, contents)


class Interrupted(Output):
    """An output whose process dies after some steps."""

    def log(self, metrics: object, step: int) -> None:
        if step >= 10 and "loss" in metrics:  # type: ignore[operator]
            raise OSError("No space left on device")


def test_an_interrupted_attempt_goes_on_and_ends_with_the_same_bytes(
    corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    given = {"tokens": corpus[1]["tokenize"], "tokenizer": corpus[1]["tokenizer"]}
    pretrain(CONFIG, local_output(tmp_path / "whole"), **given)
    (tmp_path / "cut").mkdir()
    with pytest.raises(OSError, match="No space left"):
        pretrain(CONFIG, Interrupted(tmp_path / "cut"), **given)
    said: list[str] = []
    again = local_output(tmp_path / "cut")
    again.info = said.append  # type: ignore[method-assign]
    pretrain(CONFIG, again, **given)
    assert any("continues from the checkpoint after step 9 of 20" in line for line in said)
    for name in ("model.safetensors", "model.json", "samples.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_tokens_of_another_tokenizer_are_refused(corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    lake, built = corpus
    other = make(tokenizer, lake, TokenizerConfig(vocab_size=576), built).artifact
    with pytest.raises(PermanentError, match="were made with tokenizer"):
        pretrain(CONFIG, local_output(tmp_path), tokens=built["tokenize"], tokenizer=other)


def test_a_split_shorter_than_a_window_is_refused(tmp_path: Path) -> None:
    _, built = build_corpus(tmp_path / "lake", PagesConfig(split=SplitConfig(val=0.0, test=0.2)))
    with pytest.raises(PermanentError, match="The val split has no documents; raise"):
        pretrain(CONFIG, local_output(tmp_path), tokens=built["tokenize"], tokenizer=built["tokenizer"])


def test_divergence_is_not_retried(corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    wild = PretrainConfig(**{**PRETRAIN, "training": {"steps": 20, "learning_rate": 1e30, "warmup": 0.0}})
    with pytest.raises(PermanentError, match="Training diverged at step"):
        pretrain(wild, local_output(tmp_path), tokens=corpus[1]["tokenize"], tokenizer=corpus[1]["tokenizer"])
