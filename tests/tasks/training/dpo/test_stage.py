"""tasks/training/dpo: each loss learns to prefer the better answers, resumes exactly, and ends before it harms.

Also covers: tasks/training/answers.py
Also covers: tasks/training/dpo/config.py
Also covers: tasks/training/dpo/objective.py
Also covers: tasks/training/dpo/preflight.py
Also covers: tasks/training/reference/config.py
Also covers: tasks/training/reference/preflight.py
Also covers: tasks/training/reference/stage.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest
import torch

from data_lake.store.lake import Artifact, Lake
from model.batches import answer_batch
from model.log_probs import answer_log_probs, token_log_probs
from model.objectives import PreferenceLoss
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.answers import fitting_pairs
from tasks.training.dpo import DpoConfig, dpo
from tasks.training.dpo.objective import PreferenceObjective
from tasks.training.dpo.preflight import check
from tasks.training.preferences import PreferencesConfig, preferences
from tasks.training.reference import ReferenceConfig, reference
from tasks.training.reference.stage import read_log_probs
from tasks.training.trained import load_trained
from tests.tasks.pydoc_corpus import RUNTIME, build_corpus, build_models
from tests.tasks.training.pretrain.test_stage import Interrupted

FACTS = Facts({}, Lake("nowhere"))

TRAINING = {"steps": 15, "batch_size": 8, "learning_rate": 3e-3, "weight_decay": 0.0}


def config(loss: str, **fields: Any) -> DpoConfig:
    given = {"loss": loss, "training": TRAINING, "runtime": RUNTIME, "samples": 1, "sample_tokens": 4, "max_drop": None}
    return DpoConfig.model_validate({**given, **fields})


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    base = build_models(lake, built)["sft"]
    rows = [
        {"prompt": f"Say {n}.", "chosen": f"No, not {n} at all.", "rejected": f"Yes, number {n}."} for n in range(60)
    ]
    rows.append({"prompt": "Long.", "chosen": "word " * 500, "rejected": "x"})
    data = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    wanted = PreferencesConfig(data=(str(data),), validation=0.3)
    pairs = preferences.build(lake, wanted, {}).artifact
    known = reference.build(lake, ReferenceConfig(), {"base": base, "preferences": pairs}).artifact
    return {"base": base, "preferences": pairs, "reference": known}


def test_the_reference_has_the_log_probability_of_each_answer(given: dict[str, Artifact], tmp_path: Path) -> None:
    model, tokenizer = load_trained(given["base"])
    found = fitting_pairs(local_output(tmp_path), given["preferences"], tokenizer, 128, "textmill")
    pairs = [*found["train"], *found["val"]]
    known = read_log_probs(given["reference"], pairs)
    assert len(known) == len(pairs) == 60
    for pair in pairs[:5]:
        for side, one in enumerate((pair.chosen, pair.rejected)):
            alone = float(answer_log_probs(model, answer_batch([one], tokenizer.pad))[0])
            assert known[pair.row][side] == pytest.approx(alone, abs=1e-3)
    with pytest.raises(ValueError, match="computed for other preferences"):
        read_log_probs(given["reference"], [pairs[0].__class__(999, {}, pairs[0].chosen, pairs[0].rejected)])


@pytest.mark.parametrize("loss", get_args(PreferenceLoss))
def test_each_loss_learns_to_prefer_the_better_answers_and_resumes_exactly(
    loss: str, given: dict[str, Artifact], tmp_path: Path
) -> None:
    wanted = config(loss)
    roles = {**given, "reference": given["reference"] if wanted.needs_reference else None}
    whole = local_output(tmp_path / "whole")
    dpo(wanted, whole, **roles)
    assert whole.metrics["margin_gain"] > 0.1
    assert whole.metrics["gain"] == pytest.approx(whole.metrics["likelier"] - whole.metrics["likelier_before"])
    assert whole.metrics["gain"] >= 0
    assert whole.counts["rejected"] == 1
    (tmp_path / "cut").mkdir()
    with pytest.raises(OSError, match="No space left"):
        dpo(wanted, Interrupted(tmp_path / "cut"), **roles)
    dpo(wanted, local_output(tmp_path / "cut"), **roles)
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (tmp_path / "cut/model.safetensors").read_bytes()


@pytest.mark.parametrize("loss", ["dpo", "orpo", "cpo"])
def test_a_step_in_parts_has_the_same_gradient(loss: str, given: dict[str, Artifact], tmp_path: Path) -> None:
    model, tokenizer = load_trained(given["base"])
    pairs = fitting_pairs(local_output(tmp_path), given["preferences"], tokenizer, 128, "textmill")["train"][:6]
    known = read_log_probs(given["reference"], pairs)
    objective = PreferenceObjective(config(loss), known)
    batch = objective.batch(pairs, tokenizer.pad)
    gradients = []
    for rows in (0, 4):
        model.zero_grad()
        for part in batch.split(rows):
            (objective(model, part, torch.float32).total / batch.count).backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-4)
    assert float(token_log_probs(model, batch).sum()) < 0


def test_it_ends_before_the_model_forgets_how_to_write(given: dict[str, Artifact], tmp_path: Path) -> None:
    wild = config("dpo", max_drop=0.2, training={**TRAINING, "learning_rate": 0.3})
    with pytest.raises(PermanentError, match=r"more than\s+dpo.max_drop \(0.2\): the model forgets how to write"):
        dpo(wild, local_output(tmp_path), **given)


def test_an_adapter_alone_can_learn_preferences(given: dict[str, Artifact], tmp_path: Path) -> None:
    out = local_output(tmp_path)
    dpo(config("dpo", adapter={"rank": 2}, training={**TRAINING, "learning_rate": 2e-2}), out, **given)
    assert out.metrics["trainable_share"] < 0.5
    assert out.metrics["reward_margin"] if "reward_margin" in out.metrics else out.metrics["gain"] >= 0
    assert (tmp_path / "adapter").is_dir()


def test_a_loss_that_needs_a_reference_says_so(given: dict[str, Artifact], tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="there is no reference of it"):
        dpo(config("ipo"), local_output(tmp_path), **{**given, "reference": None})
    with pytest.raises(ValueError, match="label_smoothing means nothing for orpo"):
        config("orpo", label_smoothing=0.1)
    assert all(fault.field != "dpo.runtime.device" for fault in check(config("dpo"), FACTS))


def test_the_reference_is_kept_for_all_pairs(given: dict[str, Artifact]) -> None:
    table = pq.read_table(given["reference"].path / "log_probs.parquet")
    assert table.num_rows == 60
    assert Lake(given["reference"].path.parent.parent).find("reference")[0].counts["rejected"] == 1
