"""tasks/training/ppo: the reward of held-out tasks rises, the loss is that of plain loops, resuming changes no bit.

Also covers: tasks/training/ppo/config.py
Also covers: tasks/training/ppo/preflight.py
Also covers: tasks/training/reinforcement/policy_step.py
Also covers: model/valued.py
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from data_lake.store.lake import Artifact, Lake
from model.batches import Batch
from model.gpt import GPT
from model.log_probs import policy_tokens
from model.losses import IGNORE
from model.shape import GPTConfig
from model.trainer import Loss
from model.valued import Valued
from tasks.stage import Output, PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.grpo import GrpoConfig
from tasks.training.ppo import PpoConfig, ppo
from tasks.training.ppo.stage import actor_critic_loss, with_returns
from tasks.training.reinforcement.rollouts import Drawer
from tests.tasks.pydoc_corpus import RUNTIME, build_corpus, build_models

PPO: dict[str, Any] = {
    "tasks": ["arithmetic"],
    "rewards": {"exact": 0.0, "format": 1.0, "pattern": ".*e.*e.*"},  # which a model of any size can learn
    "max_tokens": 6,
    "held_out": 12,
    "measured": 4,
    "max_kl": None,
    "reuse": 2,
    "training": {"steps": 6, "batch_size": 16, "learning_rate": 1e-2, "schedule": "constant", "warmup": 0.0},
    "samples": 2,
    "runtime": {**RUNTIME, "log_every": 1},
}
FAST = {**RUNTIME, "log_every": 1, "checkpoint_seconds": 100.0}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    return build_models(lake, built)["sft"]


def trained(base: Artifact, out: Output, **fields: Any) -> Output:
    ppo(PpoConfig.model_validate({**PPO, **fields}), out, base=base)
    return out


def test_the_reward_of_held_out_tasks_rises(base: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = local_output(tmp_path)
    points: list[Mapping[str, float | None]] = []
    monkeypatch.setattr(out, "log", lambda numbers, step: points.append(numbers))
    trained(base, out, training={**PPO["training"], "steps": 40}, runtime=FAST)
    assert out.metrics["gain"] > 2 * out.metrics["gain_stderr"]  # type: ignore[operator]
    names = {"reward", "kl", "entropy", "answer_tokens", "clip_share", "value_loss", "explained_variance"}
    assert names <= points[0].keys()
    assert "frac_reward_zero_std" not in points[0], "there are no groups"
    assert points[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert points[0]["clip_share"] == 0
    assert any(point["clip_share"] for point in points[1:40:2]), "the second step on the same answers"
    assert points[0]["explained_variance"] == pytest.approx(0, abs=1e-6), "the head begins with zeros"
    assert list(out.accounts.problems()) == []  # type: ignore[union-attr]


@pytest.mark.parametrize("fields", [{}, {"adapter": {"rank": 2}}])
def test_an_interrupted_run_changes_no_bit_and_the_head_stays_behind(
    base: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    whole = trained(base, local_output(tmp_path / "whole"), **fields)
    draw = Drawer.draw

    def cut(self: Drawer, *args: Any) -> Any:
        if "4" in args:
            raise KeyboardInterrupt
        return draw(self, *args)

    monkeypatch.setattr(Drawer, "draw", cut)
    with pytest.raises(KeyboardInterrupt):
        trained(base, local_output(tmp_path / "cut"), **fields)
    monkeypatch.setattr(Drawer, "draw", draw)
    saved = load_file(tmp_path / "cut" / "_work" / "checkpoints" / "step-00000004" / "model.safetensors")
    assert saved["head.weight"].any()
    again = trained(base, local_output(tmp_path / "cut"), **fields)
    weights = [(one.dir / "model.safetensors").read_bytes() for one in (whole, again)]
    assert weights[0] == weights[1]
    assert whole.metrics["reward"] == again.metrics["reward"]
    found, before = (load_file(folder / "model.safetensors") for folder in (whole.dir, base.path))
    assert found.keys() == before.keys()
    assert any(not torch.equal(found[name], before[name]) for name in found)


def test_memory_that_runs_out_ends_the_training_with_a_sentence_and_loses_no_step(
    base: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ppo.build(Lake(tmp_path / "whole"), PpoConfig.model_validate(PPO), {"base": base}).artifact
    steps: list[int] = []

    def hungry(config: PpoConfig, model: GPT, batch: Batch, dtype: torch.dtype) -> Loss:
        steps.append(len(steps))
        return actor_critic_loss(config, model, batch, dtype) if len(steps) <= 4 else Loss(torch.empty(1 << 60))

    lake, said = Lake(tmp_path / "lake"), r"allocate.* Set ppo\.runtime\.micro_batch .* ppo\.max_tokens \(6\)"
    with monkeypatch.context() as patched:
        patched.setattr("tasks.training.ppo.stage.actor_critic_loss", hungry)
        with pytest.raises(PermanentError, match=said):
            ppo.build(lake, PpoConfig.model_validate(PPO), {"base": base})
    left = [path.name for path in lake.root.glob(".staging/*/_work/checkpoints/step-*")]
    assert max(left) == "step-00000004"
    again = ppo.build(lake, PpoConfig.model_validate(PPO), {"base": base}).artifact
    assert again.manifest.files == whole.manifest.files


def test_the_loss_is_that_of_plain_loops_whatever_the_micro_batches() -> None:
    shape = GPTConfig(vocab_size=40, n_layer=1, n_head=2, n_kv_head=2, d_model=16, d_ff=24, max_seq_len=12)
    generator = torch.Generator().manual_seed(0)
    model = Valued.over(GPT(shape).initialise(0).eval())
    model.head.weight.data.normal_(0, 0.5, generator=generator)
    config = PpoConfig.model_validate({**PPO, "kl_weight": 0.3, "gamma": 0.9, "gae_decay": 0.8, "value_weight": 0.7})
    ids = torch.randint(0, 40, (4, 9), generator=generator)
    targets = torch.full((4, 8), IGNORE)
    answers = [(2, 6), (3, 4), (1, 8), (4, 7)]
    for row, (start, end) in enumerate(answers):
        targets[row, start:end] = ids[row, start + 1 : end + 1]
    now = policy_tokens(model, Batch(ids[:, :-1], targets)).log_probs.detach()
    old = now + 0.3 * torch.randn(4, 8, generator=generator)
    reference, values = (torch.randn(4, 8, generator=generator) for _ in range(2))
    scores = torch.tensor([1.0, 0.0, 2.0, 0.5])
    facts = {"old": old, "reference": reference, "values": values, "measure_reward": scores}
    batch = with_returns(config, Batch(ids[:, :-1], targets, facts=facts))

    advantages, returns = {}, {}
    for row, (start, end) in enumerate(answers):
        carried = following = 0.0
        for place in reversed(range(start, end)):
            worth = -0.3 * float(old[row, place] - reference[row, place]) + (
                scores[row].item() if place == end - 1 else 0
            )
            carried = worth + 0.9 * following - float(values[row, place]) + 0.9 * 0.8 * carried
            following = float(values[row, place])
            advantages[row, place], returns[row, place] = carried, carried + following
    mean = sum(advantages.values()) / len(advantages)
    spread = math.sqrt(sum((one - mean) ** 2 for one in advantages.values()) / (len(advantages) - 1))
    foretold = model.values(policy_tokens(model, Batch(ids[:, :-1], targets)).states).detach()
    wanted = 0.0
    for (row, place), advantage in advantages.items():
        advantage = (advantage - mean) / spread
        ratio = math.exp(float(now[row, place] - old[row, place]))
        wanted += max(-ratio * advantage, -min(max(ratio, 0.8), 1.2) * advantage)
        value, before, goal = float(foretold[row, place]), float(values[row, place]), returns[row, place]
        near = min(max(value, before - 0.2), before + 0.2)
        wanted += 0.7 * 0.5 * max((value - goal) ** 2, (near - goal) ** 2)
    for rows in (0, 1, 3):
        found = [actor_critic_loss(config, model, part, torch.float32) for part in batch.split(rows)]
        assert sum(one.total.item() for one in found) == pytest.approx(wanted, rel=1e-4)
    left = [returns[at] - float(values[at]) for at in returns]
    variances = [sum((one - sum(some) / len(some)) ** 2 for one in some) for some in (left, list(returns.values()))]
    sums = found[0].measures["explained_variance"]
    assert sums[0] / sums[1] == pytest.approx(1 - variances[0] / variances[1], rel=1e-4)


def test_a_plan_says_that_ppo_goes_on_from_grpo(tmp_path: Path) -> None:
    config = PpoConfig.model_validate(PPO)
    alone = ppo.faults(config, Facts({"ppo": config}, Lake(tmp_path)))
    assert alone == []
    both = ppo.faults(config, Facts({"ppo": config, "grpo": GrpoConfig()}, Lake(tmp_path)))
    assert [(fault.field, fault.stops) for fault in both] == [("ppo", False)]
    assert "goes on from the model that grpo makes" in both[0].reason
    wrong = PpoConfig.model_validate({**PPO, "rewards": {"model": 1.0}})
    assert [fault.field for fault in ppo.faults(wrong, Facts({"ppo": wrong}, Lake(tmp_path)))] == ["ppo.rewards.model"]
