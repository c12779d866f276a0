"""tasks/training/grpo: the reward of held-out tasks rises, an interrupted run changes no bit, cheating ends the run.

Also covers: tasks/training/grpo/config.py
Also covers: tasks/training/grpo/preflight.py
Also covers: tasks/training/reinforcement/config.py
Also covers: tasks/training/reinforcement/course.py
Also covers: tasks/training/reinforcement/preflight.py
Also covers: tasks/training/reinforcement/rollouts.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.stage import Output, PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.grpo import GrpoConfig, grpo
from tasks.training.preferences import PreferencesConfig, preferences
from tasks.training.reinforcement.rollouts import Drawer
from tasks.training.reward import RewardConfig, reward
from tests.tasks.pydoc_corpus import RUNTIME, build_corpus, build_models

GRPO: dict[str, Any] = {
    "tasks": ["arithmetic"],
    "rewards": {"exact": 0.0, "format": 1.0, "pattern": ".*e.*"},  # which a model of any size can learn
    "group": 4,
    "max_tokens": 6,
    "held_out": 6,
    "measured": 2,
    "max_kl": None,
    "training": {"steps": 6, "batch_size": 16, "learning_rate": 1e-2, "schedule": "constant", "warmup": 0.0},
    "samples": 2,
    "runtime": {**RUNTIME, "log_every": 1},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    return build_models(lake, built)["sft"]


def trained(base: Artifact, folder: Path, **fields: Any) -> Output:
    out = local_output(folder)
    grpo(GrpoConfig.model_validate({**GRPO, **fields}), out, base=base)
    return out


def curve(out: Output, monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, float | None]]:
    points: list[Mapping[str, float | None]] = []
    monkeypatch.setattr(out, "log", lambda numbers, step: points.append(numbers))
    return points


def test_the_reward_of_held_out_tasks_rises(base: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = local_output(tmp_path)
    points = curve(out, monkeypatch)
    grpo(GrpoConfig.model_validate({**GRPO, "training": {**GRPO["training"], "steps": 20}}), out, base=base)
    assert out.metrics["gain"] == pytest.approx(out.metrics["reward"] - out.metrics["reward_before"])  # type: ignore[operator]
    assert out.metrics["gain"] > 2 * out.metrics["gain_stderr"]  # type: ignore[operator]
    assert points[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert points[19]["kl"] > 0.001  # type: ignore[operator]
    names = {"reward", "reward_format", "reward_std", "answer_tokens", "share_ended", "frac_reward_zero_std"}
    assert names | {"kl", "entropy", "clip_share"} <= points[0].keys()
    assert points[0]["reward"] == points[0]["reward_format"]
    assert list(out.accounts.problems()) == []  # type: ignore[union-attr]
    rows = [json.loads(line) for line in (out.dir / "samples.jsonl").read_text().splitlines()]
    assert {"before", "answer", "reward_before", "reward"} <= rows[0].keys()
    assert len(rows) == 2


@pytest.mark.parametrize("fields", [{"reuse": 2}, {"adapter": {"rank": 2}}])
def test_an_interrupted_run_changes_no_bit(
    base: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    whole = trained(base, tmp_path / "whole", **fields)
    draw = Drawer.draw

    def cut(self: Drawer, *args: Any) -> Any:
        if "4" in args:
            raise KeyboardInterrupt
        return draw(self, *args)

    monkeypatch.setattr(Drawer, "draw", cut)
    with pytest.raises(KeyboardInterrupt):
        trained(base, tmp_path / "cut", **fields)
    monkeypatch.setattr(Drawer, "draw", draw)
    again = local_output(tmp_path / "cut")
    said: list[str] = []
    monkeypatch.setattr(again, "info", said.append)
    grpo(GrpoConfig.model_validate({**GRPO, **fields}), again, base=base)
    assert "after step 4 of 6" in " ".join(said)
    weights = [(one.dir / "model.safetensors").read_bytes() for one in (whole, again)]
    assert weights[0] == weights[1]
    assert whole.metrics["reward"] == again.metrics["reward"]


def test_groups_stay_together_in_micro_batches(base: Artifact, tmp_path: Path) -> None:
    rewards = []
    for micro_batch in (0, 5):
        out = trained(base, tmp_path / str(micro_batch), runtime={**GRPO["runtime"], "micro_batch": micro_batch})
        rewards.append(out.metrics["reward"])
    assert rewards[0] == pytest.approx(rewards[1], abs=0.02)


def test_a_model_that_leaves_its_base_ends_the_run_with_a_sentence(base: Artifact, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"At step \d+ the KL to the base is .* more than max_kl \(0.0001\)"):
        trained(base, tmp_path, max_kl=1e-4)


def test_answers_that_grow_end_the_run_with_a_sentence(
    base: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = Drawer.draw

    def short_at_first(self: Drawer, model: Any, tasks: Any, group: int, *salt: str) -> Any:
        limit = 1 if "held out" in salt else GRPO["max_tokens"]
        few = Drawer(self.config.model_copy(update={"max_tokens": limit}), self.tokenizer, self.template, self.judge)
        return draw(few, model, tasks, group, *salt)

    monkeypatch.setattr(Drawer, "draw", short_at_first)
    with pytest.raises(PermanentError, match=r"At step 0 an answer has .*, the base's had 1.0, .* found in length"):
        trained(base, tmp_path, max_growth=2.0)


def test_the_user_s_tasks_are_learned_and_accounted_for(base: Artifact, tmp_path: Path) -> None:
    rows = [{"prompt": f"Say {n}.", "answer": str(n)} for n in range(30)]
    long = {"prompt": "far " * 200, "answer": "no"}
    data = tmp_path / "tasks.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0], long, {"prompt": "and?"}]))
    out = trained(base, tmp_path / "out", data=[str(data)], validation=0.3, held_out=20)
    assert out.accounts is not None
    assert out.accounts.incoming.documents == 33
    removed = {reason: amount.documents for reason, amount in out.accounts.removed.items()}
    assert removed == {"asked before": 1, "longer than the context": 1, "broken record": 1}
    assert out.counts["tasks"] + out.counts["validation_tasks"] == 30
    assert list(out.accounts.problems()) == []


def test_what_a_plan_can_know_it_says(tmp_path: Path) -> None:
    def told(**fields: Any) -> list[str]:
        config = GrpoConfig.model_validate({**GRPO, **fields})
        return [fault.field for fault in grpo.faults(config, Facts({"grpo": config}, Lake(tmp_path)))]

    assert told() == []
    assert told(rewards={"model": 1.0}) == ["grpo.rewards.model"]
    assert told(rewards={"tests": 1.0, "tests_file": "none.py"}) == ["grpo.rewards.tests_file"]
    assert told(tasks=["call"]) == ["grpo.tasks"]
    with pytest.raises(ValueError, match="no multiple of the 5 answers to each prompt"):
        GrpoConfig.model_validate({**GRPO, "group": 5})


def test_a_reward_model_says_what_answers_are_worth(base: Artifact, tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}", "chosen": f"e{n}", "rejected": f"o{n}"} for n in range(40)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lake = Lake(tmp_path / "lake")
    wanted = PreferencesConfig(data=(str(tmp_path / "pairs.jsonl"),), validation=0.3)
    pairs = preferences.build(lake, wanted, {}).artifact
    training = {"steps": 10, "batch_size": 8, "learning_rate": 5e-3}
    config = RewardConfig.model_validate({"training": training, "runtime": RUNTIME})
    scores = reward.build(lake, config, {"base": base, "preferences": pairs}).artifact
    out = local_output(tmp_path / "out")
    weights = {"exact": 0.0, "model": 2.0}
    grpo(GrpoConfig.model_validate({**GRPO, "rewards": weights}), out, base=base, reward=scores)
    assert out.metrics["reward"] == pytest.approx(2 * out.metrics["reward_model"])  # type: ignore[operator]
    assert out.metrics["reward"] > out.metrics["reward_before"]  # type: ignore[operator]
    with pytest.raises(PermanentError, match="trains no reward model"):
        trained(base, tmp_path / "none", rewards=weights)
