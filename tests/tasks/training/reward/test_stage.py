"""tasks/training/reward: a model learns to score answers, says if it measures length, and goes on after a stop.

Also covers: tasks/training/reward/config.py
Also covers: tasks/training/reward/length.py
Also covers: tasks/training/reward/preflight.py
Also covers: tasks/training/reward/scoring.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.preferences import PreferencesConfig, preferences
from tasks.training.reward import RewardConfig, reward
from tasks.training.reward.length import length_report, length_rule
from tasks.training.reward.preflight import check
from tasks.training.reward.scoring import RewardScorer
from tests.tasks.pydoc_corpus import RUNTIME, build_corpus, build_models
from tests.tasks.training.pretrain.test_stage import Interrupted

FACTS = Facts({}, Lake("nowhere"))

TRAINING = {"steps": 20, "batch_size": 8, "learning_rate": 5e-3, "weight_decay": 0.0}
CONFIG = RewardConfig.model_validate({"training": TRAINING, "runtime": RUNTIME, "samples": 2})


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    models = build_models(lake, built)
    rows = [
        {"prompt": f"Say {n}.", "chosen": f"Yes, number {n}.", "rejected": f"No, not {n} at all."} for n in range(80)
    ]
    data = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = PreferencesConfig(data=(str(data),), validation=0.3)
    pairs = preferences.build(lake, config, {}).artifact
    return {"base": models["sft"], "preferences": pairs}


@pytest.fixture(scope="module")
def trained(given: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return reward.build(Lake(tmp_path_factory.mktemp("lake")), CONFIG, given).artifact


def test_it_learns_which_answer_is_better_and_scores_others(trained: Artifact) -> None:
    assert trained.metrics["accuracy"] == 1.0
    assert trained.metrics["longer_accuracy"] == 0.0  # the better answers are the shorter ones here
    gain = trained.manifest.gain
    assert gain is not None
    assert (gain.against, gain.reference, gain.gain, gain.verdict) == ("shorter is better", 1.0, 0.0, "no clear gain")
    sample = json.loads((trained.path / "samples.jsonl").read_text().splitlines()[0])
    scorer = RewardScorer(trained)
    prompt = (sample["instruction"], "")
    scores = scorer.score([prompt, prompt], [sample["chosen"], sample["rejected"]])
    assert scores == pytest.approx([sample["chosen_reward"], sample["rejected_reward"]], abs=1e-4)
    assert scores[0] > scores[1]
    assert len(scorer.score([("x" * 5000, "")], ["long"])) == 1


def test_an_interrupted_training_ends_with_the_same_bytes(
    given: dict[str, Artifact], trained: Artifact, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="No space left"):
        reward(CONFIG, Interrupted(tmp_path), **given)
    reward(CONFIG, local_output(tmp_path), **given)
    assert (tmp_path / "model.safetensors").read_bytes() == (trained.path / "model.safetensors").read_bytes()


def test_micro_batches_change_nothing_but_rounding(
    given: dict[str, Artifact], trained: Artifact, tmp_path: Path
) -> None:
    small = CONFIG.model_copy(update={"runtime": CONFIG.runtime.model_copy(update={"micro_batch": 4})})
    out = local_output(tmp_path)
    reward(small, out, **given)
    assert out.metrics["train_loss"] == pytest.approx(trained.metrics["train_loss"], rel=1e-3)


def test_a_reward_that_measures_length_is_said_to() -> None:
    longer_is_better = [(9, 5), (8, 3), (7, 6), (4, 9)] * 10
    measures_length = [(float(a), float(b)) for a, b in longer_is_better]
    said, numbers = length_report(longer_is_better, measures_length)
    assert "where the better answer is the shorter one, it is right on only 0.000 of the pairs" in said
    assert length_rule([(9, 5), (5, 5), (8, 3)]) == ("longer is better", [1.0, 0.5, 1.0])
    assert length_rule([(9, 5), (5, 5), (1, 3), (2, 4)]) == ("shorter is better", [0.0, 0.5, 1.0, 1.0])
    assert numbers == {
        "longer_accuracy": 0.75, "accuracy_chosen_longer": 1.0, "accuracy_chosen_shorter": 0.0, "picks_longer": 1.0,
    }  # fmt: skip
    said, numbers = length_report([(5, 9), (9, 5)] * 20, [(1.0, 0.0)] * 40)
    assert said == ""
    assert numbers["picks_longer"] == 0.5


def test_answers_longer_than_the_context_are_put_aside(given: dict[str, Artifact], tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}", "chosen": "word " * 500, "rejected": "no"} for n in range(9)]
    (tmp_path / "long.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = PreferencesConfig(data=(str(tmp_path / "long.jsonl"),), validation=0.5)
    long = preferences.build(Lake(tmp_path / "lake"), config, {}).artifact
    with pytest.raises(PermanentError, match="No preference pair to learn from fits the model's context of 127 tokens"):
        reward(CONFIG, local_output(tmp_path / "out"), base=given["base"], preferences=long)


def test_the_first_token_of_a_decoder_knows_nothing() -> None:
    faults = list(check(RewardConfig(pooling="first"), FACTS))
    assert any("has seen nothing of the answer" in fault.reason for fault in faults)
