"""tasks/training/seq2seq: the model learns a task from pairs, is measured as sacrebleu measures, and long pairs count.

Also covers: tasks/training/seq2seq/config.py
Also covers: tasks/training/seq2seq/fitting.py
Also covers: tasks/training/seq2seq/preflight.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data_lake.store.lake import Artifact, Lake
from model.tokenizer import Tokenizer
from tasks.corpus.pairs import PairsConfig, pairs
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.seq2seq import Seq2SeqConfig, seq2seq

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TINY: dict[str, Any] = {
    "model": {"n_layer": 1, "n_head": 2, "n_kv_head": 2, "d_model": 32, "d_ff": 64, "max_seq_len": 48},
    "training": {"steps": 3, "batch_size": 8, "learning_rate": 1e-2},
    "measured_pairs": 20,
    "samples": 2,
    "runtime": {"threads": 1, "precision": "float32", "checkpoint_seconds": 1e9, "validate_every": 2, "log_every": 1},
}


def numbers() -> list[dict[str, str]]:
    """Return numbers of three digits, spelled and in digits."""
    return [{"source": " ".join(WORDS[int(digit)] for digit in f"{n:03}"), "target": f"{n:03}"} for n in range(1000)]


def inputs(lake: Lake, folder: Path, rows: list[dict[str, str]]) -> dict[str, Artifact]:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = pairs.build(lake, PairsConfig(data=(str(path),), validation=0.1), {}).artifact
    return {
        "pairs": made,
        "tokenizer": tokenizer.build(lake, TokenizerConfig(vocab_size=320), {"corpus": made}).artifact,
    }


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Artifact]]:
    folder = tmp_path_factory.mktemp("numbers")
    lake = Lake(folder / "lake")
    return lake, inputs(lake, folder, numbers())


def test_it_learns_numbers_it_has_not_seen(given: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, made = given
    config = Seq2SeqConfig(
        **{**TINY, "training": {"steps": 200, "batch_size": 32, "learning_rate": 5e-3}, "measured_pairs": 60}
    )
    artifact = seq2seq.build(lake, config, made).artifact
    metrics = artifact.metrics
    assert metrics["exact_match"] > 0.6
    assert metrics["copy_exact_match"] == 0
    gain = artifact.manifest.gain
    assert gain is not None
    assert (gain.reference, gain.reached, gain.clear) == (0, metrics["exact_match"], True)
    assert metrics["chrf"] > metrics["copy_chrf"] + 30
    assert metrics["validation_bits_per_byte"] < 1
    assert metrics["ended"] > 0.9
    rows = [json.loads(line) for line in (artifact.path / "translations.jsonl").read_text().splitlines()]
    assert len(rows) == artifact.counts["measured_pairs"] == 60
    assert sum(row["written"] == row["wanted"] for row in rows) / 60 == metrics["exact_match"]
    assert json.loads((artifact.path / "measures.json").read_text())["model"]["signature"].startswith("nrefs:1|")
    assert seq2seq.build(lake, config, made).status == "cached"


def test_a_stage_that_is_started_again_makes_the_same_model(
    given: tuple[Lake, dict[str, Artifact]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Seq2SeqConfig(**{**TINY, "runtime": {**TINY["runtime"], "checkpoint_seconds": 0.0}})
    whole, cut = local_output(tmp_path / "a"), local_output(tmp_path / "b")
    seq2seq(config, whole, **given[1])
    import model.trainer as trainer

    kept = trainer.Trainer._save

    def full(self: trainer.Trainer, done: int) -> None:
        kept(self, done)
        if done == 2:
            raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_save", full)
        with pytest.raises(OSError, match="no space"):
            seq2seq(config, cut, **given[1])
    seq2seq(config, cut, **given[1])
    for name in ("model.safetensors", "translations.jsonl", "measures.json"):
        assert (whole.dir / name).read_bytes() == (cut.dir / name).read_bytes(), name


def test_long_pairs_are_left_out_or_their_sources_cut_and_all_are_counted(lake: Lake, tmp_path: Path) -> None:
    rows = [*numbers()[:200], *({"source": f"{n} " + "x y " * 60, "target": f"long {n}"} for n in range(6))]
    rows += [{"source": f"a long answer {n}", "target": "z " * 90} for n in range(4)]
    made = inputs(lake, tmp_path, rows)
    for choice, left_out, cut in (("drop", 10, 0), ("cut", 4, 6)):
        out = local_output(tmp_path / choice)
        seq2seq(Seq2SeqConfig(**{**TINY, "long_sources": choice}), out, **made)
        assert out.accounts is not None
        assert list(out.accounts.problems()) == []
        assert out.accounts.incoming.documents == 210
        assert out.counts["rejected"] == sum(amount.documents for amount in out.accounts.removed.values()) == left_out
        assert out.counts["cut_sources"] == cut
        assert out.counts["pairs"] + out.counts["validation_pairs"] == 210 - left_out
        assert "target too long" in (out.dir / "rejected.jsonl").read_text()


def test_nothing_that_fits_is_a_sentence(given: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    config = Seq2SeqConfig(**{**TINY, "max_target_tokens": 2})
    with pytest.raises(PermanentError, match=r"No pair to learn from fits.*target too long.*max_seq_len"):
        seq2seq(config, local_output(tmp_path / "out"), **given[1])


def test_a_tokenizer_that_cannot_begin_or_end_a_text_is_a_sentence(
    given: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    plain = Tokenizer({bytes([b]): b for b in range(256)}, r"\s+|\S+", {"<|x|>": 256}, roles={})
    plain.save(tmp_path / "plain")
    other = {**given[1], "tokenizer": replace(given[1]["tokenizer"], path=tmp_path / "plain")}
    with pytest.raises(PermanentError, match="no special token for bos and eos and pad"):
        seq2seq(Seq2SeqConfig(**TINY), local_output(tmp_path / "out"), **other)


def test_without_measured_pairs_the_measures_are_not_known(
    given: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    out = local_output(tmp_path / "out")
    seq2seq(Seq2SeqConfig(**{**TINY, "measured_pairs": 0}), out, **given[1])
    assert out.metrics["exact_match"] is None
    assert out.metrics["chrf"] is None
    assert (out.dir / "translations.jsonl").read_text() == ""


def test_only_an_encoder_decoder_within_its_context() -> None:
    with pytest.raises(ValidationError, match="decoder reads no source"):
        Seq2SeqConfig(model={"network": "decoder"})  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="max_source_tokens 400 is beyond the context"):
        Seq2SeqConfig(max_source_tokens=400)
    assert Seq2SeqConfig(model={"d_model": 128}).model.network == "encoder-decoder"  # type: ignore[arg-type]


def test_a_device_that_is_not_there_is_said_before(lake: Lake) -> None:
    faults = seq2seq.faults(Seq2SeqConfig(runtime={"device": "nosuch"}), Facts({}, lake))  # type: ignore[arg-type]
    assert [fault.field for fault in faults] == ["seq2seq.runtime.device"]


def test_its_batches_can_be_shown_without_training(given: tuple[Lake, dict[str, Artifact]]) -> None:
    assert seq2seq.batches is not None
    batch_of, loaded = seq2seq.batches(Seq2SeqConfig(**TINY), given[1])
    one, other = batch_of(0), batch_of(1)
    assert one.inputs.shape[0] == 8
    read = loaded.decode(one.source[0, : int(one.source_lengths[0]) - 1].tolist())
    wanted = loaded.decode([token for token in one.targets[0].tolist() if token not in (loaded.eos, -100)])
    assert {"source": read, "target": wanted} in numbers()
    assert one.source.tolist() != other.source.tolist()
