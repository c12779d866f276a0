"""tasks/compression/distil: the student is a model like any other, learns what its teacher finds likely, and resumes
exactly; the teacher keeps what it finds likeliest.

Also covers: tasks/compression/distil/config.py
Also covers: tasks/compression/distil/preflight.py
Also covers: tasks/compression/teacher/config.py
Also covers: tasks/compression/teacher/preflight.py
Also covers: tasks/compression/teacher/stage.py
Also covers: tasks/compression/windows.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from data_lake.store.lake import Artifact, Lake
from data_lake.tokens.loader import TokenDataset
from tasks.compression.distil import DistilConfig, distil
from tasks.compression.teacher import TeacherConfig, teacher
from tasks.corpus.decontaminate import DecontaminateConfig
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.pretrain import PretrainConfig, pretrain
from tasks.training.trained import load_trained
from tests.tasks.pydoc_corpus import PRETRAIN, RUNTIME, PagesConfig, build_corpus, make

Built = dict[str, Artifact]
TEACHER = TeacherConfig(top=8, windows=20, seq_len=32, threads=1)


def config(**fields: Any) -> DistilConfig:
    given = {
        "model": {"n_layer": 1, "n_head": 2, "n_kv_head": 2, "d_model": 16, "d_ff": 16, "max_seq_len": 32},
        "training": {"steps": 6, "batch_size": 4, "learning_rate": 1e-2},
        "runtime": {**RUNTIME, "checkpoint_seconds": 1e9},
    }
    return DistilConfig.model_validate({**given, **fields})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Built]:
    lake, made = build_corpus(tmp_path_factory.mktemp("corpus"), PagesConfig(count=16))
    once = {**PRETRAIN, "runtime": {**RUNTIME, "checkpoint_seconds": 1e9}}
    made["model"] = make(pretrain, lake, PretrainConfig.model_validate(once), made).artifact
    made["logits"] = teacher.build(lake, TEACHER, {"model": made["model"], "tokens": made["tokenize"]}).artifact
    return lake, made


def test_the_teacher_keeps_what_it_finds_likeliest(built: tuple[Lake, Built]) -> None:
    _, made = built
    logits = made["logits"]
    ids, log_probs, windows = (np.load(logits.path / f"{name}.npy") for name in ("ids", "log_probs", "windows"))
    assert ids.shape == log_probs.shape == (20, 32, 8)
    model, _ = load_trained(made["model"])
    data = TokenDataset(made["tokenize"].path, "train", seq_len=32)
    with torch.inference_mode():
        read = torch.from_numpy(data.window(int(windows[7]))[None, :-1].astype(np.int64))
        wanted = model(read)[0].log_softmax(-1)
    found = wanted.gather(1, torch.from_numpy(ids[7].astype(np.int64)))
    assert torch.allclose(found, torch.from_numpy(log_probs[7]).float(), atol=0.01)
    assert torch.allclose(found, wanted.topk(8).values, atol=1e-5)
    assert logits.metrics["kept"] == pytest.approx(np.exp(log_probs.astype(np.float32)).sum(-1).mean(), abs=1e-3)


@pytest.mark.parametrize("kind", ["forward", "reverse", "symmetric"])
def test_a_student_learns_and_is_a_model_like_any_other(built: tuple[Lake, Built], kind: str) -> None:
    lake, made = built
    steps = {"steps": 40, "batch_size": 4, "learning_rate": 1e-2}
    student = make(distil, lake, config(divergence=kind, training=steps), {**made, "tokens": made["tokenize"]}).artifact
    assert student.metrics["validation_bits_per_byte"] < 4
    assert student.counts["parameters"] < made["model"].counts["parameters"]
    assert load_trained(student)[0].config.d_model == 16


def test_a_student_that_is_started_again_is_the_same(
    built: tuple[Lake, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import model.trainer as trainer

    _, made = built
    given = {"logits": made["logits"], "tokens": made["tokenize"], "tokenizer": made["tokenizer"]}
    often = config(runtime={**RUNTIME, "checkpoint_seconds": 0.0})
    whole, cut = local_output(tmp_path / "a"), local_output(tmp_path / "b")
    distil(often, whole, **given)
    kept = trainer.Trainer._save

    def full(self: trainer.Trainer, done: int) -> None:
        kept(self, done)
        if done == 3:
            raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_save", full)
        with pytest.raises(OSError, match="no space"):
            distil(often, cut, **given)
    distil(often, cut, **given)
    assert (whole.dir / "model.safetensors").read_bytes() == (cut.dir / "model.safetensors").read_bytes()


def test_another_context_than_the_teachers_windows_is_a_sentence(built: tuple[Lake, Built], tmp_path: Path) -> None:
    lake, made = built
    other = config(model={**config().model.model_dump(exclude={"preset"}), "max_seq_len": 16})
    with pytest.raises(PermanentError, match="windows of 32 tokens, but the student's context is 16"):
        distil(other, local_output(tmp_path / "a"), made["logits"], made["tokenize"], made["tokenizer"])
    long = TeacherConfig(seq_len=400, threads=1)
    with pytest.raises(PermanentError, match=r"less than one window|do not fit the teacher's context of 128"):
        teacher(long, local_output(tmp_path / "b"), made["model"], made["tokenize"])
    faults = teacher.faults(long, Facts({"pretrain": PretrainConfig.model_validate(PRETRAIN)}, lake))
    assert [fault.field for fault in faults] == ["distil.model.max_seq_len"]


def test_what_a_plan_knows_it_says(lake: Lake) -> None:
    held = {"decontaminate": DecontaminateConfig(split={"val": 0.0})}  # type: ignore[arg-type]
    faults = distil.faults(config(runtime={"device": "nosuch"}), Facts(held, lake))
    assert [fault.field for fault in faults] == ["distil.runtime.device", "decontaminate.split.val"]
    with pytest.raises(ValidationError, match="must be decoder, not encoder"):
        config(model={"network": "encoder"})
