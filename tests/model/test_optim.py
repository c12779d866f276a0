"""model/optim.py: each weight's role, rate and decay; AdamW is torch's bit for bit, Muon moves matrices only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from model.adapter import Adapter
from model.config import Runtime, Training
from model.gpt import GPT
from model.headed import Headed
from model.lora import adapt
from model.optim import build_optimizer, weights_by_role
from model.schedule import learning_rate
from model.shape import GPTConfig
from model.trainer import Trainer, next_token_loss
from model.valued import Valued
from tests.model.test_trainer import batch_of

SHAPE = {"vocab_size": 64, "n_layer": 2, "n_head": 2, "n_kv_head": 1, "d_model": 16, "d_ff": 24, "max_seq_len": 16}
MUON = Training(optimizer="muon", learning_rate=1e-3, matrix_learning_rate=0.1, embedding_learning_rate=1e-2)


def gpt(**shape: object) -> GPT:
    return GPT(GPTConfig(**{**SHAPE, **shape})).initialise(0)


def roles(model: nn.Module) -> dict[str, str]:
    """The role of each trained weight, by name."""
    names = {id(weight): name for name, weight in model.named_parameters()}
    return {names[id(weight)]: role for role, found in weights_by_role(model).items() for weight in found}


def test_the_weights_of_a_llama_have_their_roles() -> None:
    found = roles(gpt(tie_embeddings=False))
    assert found.pop("embed_tokens.weight") == "embedding"
    assert found.pop("lm_head.weight") == "head"
    assert all(role == ("vector" if "norm" in name else "matrix") for name, role in found.items())
    assert list(found.values()).count("matrix") == 2 * 7
    assert roles(gpt(tie_embeddings=True)).get("lm_head.weight") is None


def test_roles_follow_the_place_of_a_weight_not_its_name() -> None:
    model = gpt(family="gpt2", n_kv_head=2, network="encoder-decoder")
    found = roles(model)
    by_role = {role: {name for name in found if found[name] == role} for role in found.values()}
    assert by_role["embedding"] == {"embed_tokens.weight", "embed_positions.weight"}
    assert "head" not in by_role
    assert {name for name in found if name.endswith("bias")} < by_role["vector"]
    assert {re.sub(r"\d+.*", "", name) for name in by_role["matrix"]} == {"layers.", "encoder.layers."}
    assert len(by_role["matrix"]) == 2 * (4 + 2) + 2 * (8 + 2)  # of the encoder; of the decoder, which reads it
    model.layers.requires_grad_(False)
    assert {name.split(".")[0] for name, role in roles(model).items() if role == "matrix"} == {"encoder"}


def test_the_head_for_values_is_a_head_and_the_output_matrix_beside_it_an_embedding() -> None:
    found = roles(Valued.over(gpt(tie_embeddings=False)))
    assert (found["head.weight"], found["lm_head.weight"]) == ("head", "embedding")


def test_the_head_of_a_classifier_is_a_head() -> None:
    found = roles(Headed.over(gpt(), 3, "last", seed=0))
    assert (found["head.weight"], found["head.bias"]) == ("head", "vector")
    assert [name for name, role in found.items() if role == "head"] == ["head.weight"]


@pytest.mark.parametrize("dora", [False, True])
def test_adapters_are_matrices_and_frozen_weights_have_no_role(dora: bool) -> None:
    model = adapt(gpt(), Adapter(rank=2, dora=dora, targets=("q_proj", "down_proj")), seed=0)
    found = roles(model)
    assert {name.rsplit(".", 1)[1]: role for name, role in found.items()} == {
        "lora_A": "matrix",
        "lora_B": "matrix",
        **({"magnitude": "vector"} if dora else {}),
    }
    with pytest.raises(ValueError, match="embedding_learning_rate is set, but no embedding is trained"):
        build_optimizer(model, MUON)
    built = build_optimizer(model, MUON.model_copy(update={"embedding_learning_rate": None}))
    before = model.state_dict()["layers.0.mlp.down_proj.lora_B"].clone()
    for step in (0, 1):  # as the up-projection starts at 0, only it has a gradient at first
        built.zero_grad()
        next_token_loss(model, batch_of(0), torch.float32).backward()
        built.step(step)
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    assert not torch.equal(model.state_dict()["layers.0.mlp.down_proj.lora_B"], before)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_decay_is_decoupled_and_on_tables_and_matrices_only(optimizer: str) -> None:
    model = gpt(tie_embeddings=False)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    training = Training(
        optimizer=optimizer, learning_rate=0.1, weight_decay=0.5, embedding_weight_decay=0.25, warmup=0.0
    )
    rate = {"matrix": 0.1 if optimizer == "adamw" else 0.02, "embedding": 0.1, "head": 0.1, "vector": 0.1}
    decay = {"matrix": 0.5, "embedding": 0.25, "head": 0.25, "vector": 0.0}
    built = build_optimizer(model, training)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    built.step(0)
    role = roles(model)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, before[name] * (1 - rate[role[name]] * decay[role[name]]), msg=name)


def test_by_default_it_is_torchs_adamw_bit_for_bit(tmp_path: Path) -> None:
    training = Training(steps=8, batch_size=4, learning_rate=1e-2)
    runtime = Runtime(device="cpu", threads=1, precision="float32", log_every=1, validate_every=0)
    trained, plain = gpt(), gpt()
    history = Trainer(trained, batch_of, training, runtime, tmp_path).fit()
    decayed = [weight for weight in plain.parameters() if weight.dim() == 2]
    rest = [weight for weight in plain.parameters() if weight.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8, fused=True)
    losses = []
    for step in range(training.steps):
        batch = batch_of(step)
        optimizer.zero_grad()
        loss = next_token_loss(plain, batch, torch.float32)
        (loss / batch.n_valid).backward()
        losses.append(loss.item() / batch.n_valid)
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, training)
        optimizer.step()
    assert [point["loss"] for point in history.steps] == losses
    assert all(map(torch.equal, trained.state_dict().values(), plain.state_dict().values()))


def test_muon_moves_matrices_and_adamw_the_rest() -> None:
    mine, theirs = gpt(tie_embeddings=False), gpt(tie_embeddings=False)
    training = MUON.model_copy(update={"warmup": 0.0, "head_learning_rate": 3e-3})
    built = build_optimizer(mine, training)
    role = roles(theirs)
    named = dict(theirs.named_parameters())
    muon = torch.optim.Muon([named[name] for name in role if role[name] == "matrix"], lr=0.1, weight_decay=0.1)
    muon.param_groups[0]["momentum"] = 0.85  # that of the first step
    rates = {"embedding": 1e-2, "head": 3e-3, "vector": 1e-3}
    adamw = torch.optim.AdamW(
        [
            {"params": [named[name]], "lr": rates[role[name]], "weight_decay": 0.0 if role[name] == "vector" else 0.1}
            for name in role
            if role[name] != "matrix"
        ],
        betas=(0.9, 0.95),
    )
    for model in (mine, theirs):
        next_token_loss(model, batch_of(0), torch.float32).backward()
    built.step(0)
    muon.step()
    adamw.step()
    for name, weight in mine.named_parameters():
        torch.testing.assert_close(weight, named[name], msg=name, rtol=1e-3, atol=1e-4)


def test_the_schedule_moves_every_rate_and_the_momentum() -> None:
    built = build_optimizer(gpt(), MUON)
    for weight in (weight for group in built.param_groups for weight in group["params"]):
        weight.grad = torch.zeros_like(weight)
    seen = []
    for step in (0, 100, 999):
        built.step(step)
        share = learning_rate(step, MUON) / MUON.learning_rate
        assert [group["lr"] for group in built.param_groups] == pytest.approx([0.1 * share, 1e-2 * share, 1e-3 * share])
        seen.append(built.param_groups[0]["momentum"])
    assert seen == pytest.approx([0.85, 0.85 + 0.1 / 3, 0.95])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"head_learning_rate": 1e-3}, "no output matrix of its own and no head is trained"),
        ({"optimizer": "muon"}, "no matrix of the blocks is trained"),
        ({"embedding_learning_rate": 1e-3}, "no embedding is trained"),
        ({"embedding_weight_decay": 0.0}, "no embedding or output matrix is trained"),
    ],
)
def test_a_setting_for_weights_that_are_not_trained_is_refused(fields: dict[str, object], message: str) -> None:
    model = gpt()
    model.requires_grad_(False)
    model.norm.requires_grad_(True)
    with pytest.raises(ValueError, match=message):
        build_optimizer(model, Training(**fields))
