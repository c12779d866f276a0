"""tasks/training/sft: pairs are of pages that are not held out, and user files are accounted for.

Also covers: tasks/training/sft/config.py
Also covers: tasks/training/sft/gather.py
Also covers: tasks/training/sft/measured.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from data_lake.store.lake import Artifact, Lake
from model.folder import load_model
from model.lora import load_adapter, merge
from tasks.corpus.splits import documents_of
from tasks.corpus.tokenizer import TokenizerConfig
from tasks.stage import Output, PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.sft import SftConfig, sft
from tests.tasks.pydoc_corpus import PRETRAIN, SFT, PagesConfig, build_corpus, build_models


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Artifact]]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    return lake, build_models(lake, built)


def given(models: tuple[Lake, dict[str, Artifact]]) -> dict[str, Artifact]:
    return {"corpus": models[1]["decontaminate"], "base": models[1]["pretrain"]}


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_pairs_come_from_training_pages_only(models: tuple[Lake, dict[str, Artifact]]) -> None:
    artifact = models[1]["sft"]
    held_out = {
        document.title.split()[1]  # type: ignore[union-attr]
        for document in documents_of(models[1]["decontaminate"].path, {"test"})
    }
    assert held_out
    pairs = lines(artifact.path / "alpaca.jsonl") + lines(artifact.path / "alpaca_validation.jsonl")
    assert artifact.counts["pairs"] + artifact.counts["validation_pairs"] == len(pairs) > 50
    text = json.dumps(pairs)
    assert not any(f"{module}." in text or f"{module}`" in text for module in held_out)


def test_it_starts_from_the_pretrained_model_and_learns_answers(models: tuple[Lake, dict[str, Artifact]]) -> None:
    before, after = models[1]["pretrain"], models[1]["sft"]
    described = [json.loads((model.path / "model.json").read_text()) for model in (before, after)]
    assert [one.pop("chat_template") for one in described] == [None, "textmill"]
    assert described[0] == described[1]
    assert (before.path / "model.safetensors").read_bytes() != (after.path / "model.safetensors").read_bytes()
    assert 0 < after.metrics["validation_loss"] < 6.2
    gain = after.manifest.gain
    assert gain is not None
    assert gain.clear
    assert gain.items == after.counts["validation_pairs"]
    assert gain.gain == pytest.approx(gain.reference - gain.reached)  # fewer nats are better
    assert {"instruction", "input", "output", "answer", "ended"} == set(lines(after.path / "samples.jsonl")[0])


def test_user_files_are_used_and_accounted_for(models: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    good = [{"instruction": f"Count to {n}.", "input": "", "output": f"1 to {n}"} for n in range(40)]
    long = {"instruction": "Go on.", "input": "", "output": "on and on " * 500}
    data = tmp_path / "mine.json"
    data.write_text(json.dumps([*good, long, {"instruction": "no answer"}, "text"]))
    out = local_output(tmp_path / "out")
    said: list[str] = []
    out.warning = said.append  # type: ignore[method-assign]
    config = SftConfig(**{**SFT, "data": (str(data),), "validation": 0.2})
    sft(config, out, **given(models))
    assert out.accounts is not None
    assert out.accounts.incoming.documents == 43
    assert out.accounts.removed["broken record"].documents == 2
    assert out.accounts.removed["longer than the context"].documents == 1
    assert list(out.accounts.problems()) == []
    assert out.counts["pairs"] + out.counts["validation_pairs"] == 40
    assert out.counts["validation_pairs"] > 0
    rejected = {row["place"]: row["reason"] for row in lines(out.dir / "rejected.jsonl")}
    assert rejected.pop("mine.json#41").endswith(f"but the context has {PRETRAIN['model']['max_seq_len']}")
    assert rejected == {"mine.json#42": "output is missing", "mine.json#43": "it is a text, not an object"}
    assert "3 records were put aside" in said[0]
    assert "1 × output is missing (first: mine.json#42)" in said[0]


def test_equal_prompts_are_never_on_both_sides_and_exact_duplicates_are_learned_once(
    models: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    rows = []
    for n in range(60):
        for prompt in (f"What is {n}?", f"what is  {n}", f"“What is {n}?”"):
            rows.append({"instruction": prompt, "output": f"It is {n}."})
    data = tmp_path / "dups.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *rows[:7]]))
    out = local_output(tmp_path / "out")
    sft(SftConfig(**{**SFT, "data": (str(data),), "validation": 0.4}), out, **given(models))
    assert out.accounts is not None
    assert out.accounts.removed["exact duplicate"].documents == 7
    sides = [lines(out.dir / name) for name in ("alpaca.jsonl", "alpaca_validation.jsonl")]
    numbers = [{re.sub(r"\D", "", row["instruction"]) for row in side} for side in sides]
    assert [len(side) for side in sides] == [3 * len(found) for found in numbers]
    assert not numbers[0] & numbers[1]
    assert all(numbers)


def test_conversations_are_learned_with_all_their_turns(
    models: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    chat = [
        {
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": f"Is {n} even?"},
                {"role": "assistant", "content": "No."},
                {"role": "user", "content": "Sure?"},
                {"role": "assistant", "content": "Yes."},
            ]
        }
        for n in range(1, 30, 2)
    ]
    data = tmp_path / "chat.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in chat))
    out = local_output(tmp_path / "out")
    sft(SftConfig(**{**SFT, "data": (str(data),), "validation": 0.3}), out, **given(models))
    rows = lines(out.dir / "alpaca.jsonl") + lines(out.dir / "alpaca_validation.jsonl")
    assert len(rows) == 15
    assert {row["system"] for row in rows} == {"Be short."}
    assert all(row["history"][0][1] == "No." and row["instruction"] == "Sure?" for row in rows)


def test_a_mixture_is_accounted_for_by_source(models: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    for name, rows in (
        ("a", [{"instruction": f"Count to {n}.", "output": f"1 to {n}"} for n in range(40)] + [{"instruction": "x"}]),
        (
            "b",
            [{"prompt": f"Say {n}.", "completion": f"{n}"} for n in range(30)] + [{"prompt": "y", "completion": " "}],
        ),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    sources = [
        {"name": "a", "data": [str(tmp_path / "a.json")], "weight": 1, "max_examples": 12},
        {"name": "b", "data": [str(tmp_path / "b.json")], "weight": 3},
    ]
    config = SftConfig.model_validate({**SFT, "sources": sources, "validation": 0.2, "packed": True, "neftune": 5})
    out = local_output(tmp_path / "out")
    sft(config, out, **given(models))
    assert out.accounts is not None
    assert list(out.accounts.problems()) == []
    a, b = lines(out.dir / "sources.jsonl")
    assert (a["records"], a["train"], a["broken record"], b["records"], b["broken record"]) == (41, 12, 1, 31, 1)
    assert a["train"] + a["val"] + a["beyond max_examples"] + 1 == 41
    removed = {reason: amount.documents for reason, amount in out.accounts.removed.items()}
    assert removed["broken record of a"] == removed["broken record of b"] == 1
    assert removed["beyond max_examples of a"] == a["beyond max_examples"]
    assert out.accounts.kept.documents == sum(row["train"] + row["val"] for row in (a, b))
    assert out.counts["pairs_a"] == 12
    assert out.metrics["epochs_b"] > 0
    assert out.metrics["peak_memory_gib"] > 0


class Interrupted(Output):
    """An output whose process dies after some steps."""

    def log(self, metrics: object, step: int) -> None:
        if step >= 6 and "loss" in metrics:  # type: ignore[operator]
            raise OSError("No space left on device")


def test_an_interrupted_training_with_noise_and_packing_ends_with_the_same_bytes(
    models: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    data = tmp_path / "mine.json"
    data.write_text(json.dumps([{"instruction": f"Say {n}.", "output": f"{n}"} for n in range(60)]))
    runtime = {"threads": 1, "log_every": 2, "checkpoint_seconds": 0, "validate_every": 0}
    more = {"data": [str(data)], "packed": True, "neftune": 5, "runtime": runtime}
    config = SftConfig.model_validate({**SFT, **more})
    sft(config, local_output(tmp_path / "whole"), **given(models))
    (tmp_path / "cut").mkdir()
    with pytest.raises(OSError, match="No space left"):
        sft(config, Interrupted(tmp_path / "cut"), **given(models))
    sft(config, local_output(tmp_path / "cut"), **given(models))
    whole, cut = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut
    quiet = SftConfig.model_validate({**SFT, **more, "neftune": 0})
    sft(quiet, local_output(tmp_path / "quiet"), **given(models))
    assert (tmp_path / "quiet" / "model.safetensors").read_bytes() != whole


def test_files_without_a_usable_record_say_why(models: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    data = tmp_path / "qa.jsonl"
    data.write_text('{"question": "x", "answer": "y"}\n' * 3 + "{half\n")
    config = SftConfig(**{**SFT, "data": (str(data),)})
    with pytest.raises(PermanentError, match=r"3 × it has the fields question, answer.*\(first: qa.jsonl:1\); 1 × not"):
        sft(config, local_output(tmp_path / "out"), **given(models))


def test_an_edited_file_is_another_training(tmp_path: Path) -> None:
    data = tmp_path / "mine.json"
    config = SftConfig(**{**SFT, "data": (str(data),)})
    data.write_text("[]")
    assert sft.sources is not None
    before = sft.sources(config)
    data.write_text("[ ]")
    assert sft.sources(config) != before
    assert sft.sources(SftConfig()) is None


def test_a_corpus_without_prose_asks_for_data(models: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    _, other = build_corpus(tmp_path / "lake", PagesConfig(count=12, python=False, prose=False))
    mixed = {**given(models), "corpus": other["decontaminate"]}
    with pytest.raises(PermanentError, match=r"no instruction pair to train on.*set sft.data"):
        sft(SftConfig(**SFT), local_output(tmp_path / "out"), **mixed)


@pytest.mark.parametrize("prompt", ["alpaca", "phi3", "chatml"])
def test_a_model_is_taught_a_style_and_asked_in_it(
    models: tuple[Lake, dict[str, Artifact]], tmp_path: Path, prompt: str
) -> None:
    data = tmp_path / "mine.json"
    data.write_text(json.dumps([{"instruction": f"Say {n}.", "output": f"{n}"} for n in range(20)]))
    config = SftConfig.model_validate({**SFT, "data": [str(data)], "validation": 0.2, "prompt": prompt})
    out = local_output(tmp_path / "out")
    sft(config, out, **given(models))
    assert json.loads((out.dir / "model.json").read_text())["chat_template"] == prompt
    batch_of, tokenizer = sft.batches(config, given(models))  # type: ignore[misc]
    read = tokenizer.decode(batch_of(0).inputs[0].tolist())
    asks = {"alpaca": "### Response:\n", "phi3": "<|assistant|>:\n", "chatml": "<|im_start|>assistant\n"}
    assert asks[prompt] in read


def test_marks_that_a_message_could_forge_are_told_before_the_run(tmp_path: Path) -> None:
    def told(prompt: str, **tokenizer: object) -> list[str]:
        facts = Facts({"tokenizer": TokenizerConfig.model_validate(tokenizer)}, Lake(tmp_path))
        config = SftConfig.model_validate({"prompt": prompt})
        return [fault.reason for fault in sft.faults(config, facts) if not fault.stops]

    (reason,) = told("chatml")
    assert reason.startswith("The marks of chatml (<|im_start|>, <|im_end|>) are no special tokens")
    assert not told("chatml", specials=("<|im_start|>", "<|im_end|>"))
    assert not told("chatml", keep="tokenizer/0123456789abcdef"), "what it has is not known yet"
    assert not told("phi3") + told("alpaca") + told("textmill")


def test_an_adapter_alone_may_be_trained(models: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    out = local_output(tmp_path)
    sft(SftConfig.model_validate({**SFT, "adapter": {"rank": 2, "targets": ["q_proj"]}}), out, **given(models))
    assert 0 < out.metrics["trainable_share"] < 0.05
    before, after = (load_file(path / "model.safetensors") for path in (models[1]["pretrain"].path, out.dir))
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert changed == {name for name in before if name.endswith("q_proj.weight")}, "it is merged into the model"
    again, _ = load_model(models[1]["pretrain"].path)
    load_adapter(again, out.dir / "adapter")
    merge(again)
    assert all(torch.allclose(weight, after[name], atol=1e-6) for name, weight in again.state_dict().items())
