"""The stages that learn from preferences have trl's loss of the same pairs, with transformers' network in its trainers.

Here whole objectives are compared: pairs as tokens, end tokens, padding, sums and means, and what a step normalises by.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from model.chat import Example
from model.gpt import GPT
from model.headed import Headed
from model.losses import IGNORE
from model.preference import reward_losses
from model.shape import GPTConfig
from tasks.training.answers import AnswerPair, pair_batch
from tasks.training.dpo import DpoConfig
from tasks.training.dpo.objective import PreferenceObjective
from tests.parity.test_trl import Network, trainer

transformers = pytest.importorskip("transformers")
pytest.importorskip("trl")
pytestmark = pytest.mark.parity

SHAPE = GPTConfig(vocab_size=50, n_layer=1, n_head=2, n_kv_head=1, d_model=32, d_ff=48, max_seq_len=32)
PAD = 0


def theirs(kind: str, network: GPT, **more: Any) -> Any:
    """Return the network as one of transformers', without its head."""
    settings = {
        "vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "max_position_embeddings": 32, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
        "pad_token_id": PAD,
    }  # fmt: skip
    made = getattr(transformers, f"LlamaFor{kind}")(transformers.LlamaConfig(**settings, **more)).eval()
    made.model.load_state_dict({name: one for name, one in network.state_dict().items() if not name.startswith("head")})
    return made


def pairs() -> list[AnswerPair]:
    """Return pairs of answers of different lengths, drawn at random; the last token of each ends it."""
    generator = torch.Generator().manual_seed(3)

    def drawn(low: int, high: int) -> tuple[int, ...]:
        length = int(torch.randint(low, high, (1,), generator=generator))
        return tuple(torch.randint(2, 50, (length,), generator=generator).tolist())

    made = []
    for row in range(5):
        prompt = drawn(3, 8)
        both = [Example((*prompt, *answer), ((len(prompt), len(prompt) + len(answer)),)) for answer in
                (drawn(2, 12), drawn(2, 12))]  # fmt: skip
        made.append(AnswerPair(row, {}, *both))
    return made


def padded(some: list[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """Return trl's tensors of answers: ids, which of them are read, which of them are the completion."""
    width = max(len(one.ids) for one in some)
    ids = torch.tensor([[*one.ids, *[PAD] * (width - len(one.ids))] for one in some])
    read = torch.tensor([[place < len(one.ids) for place in range(width)] for one in some]).long()
    start = torch.tensor([one.answers[-1][0] for one in some])
    return ids, read, read * (torch.arange(width) >= start[:, None])


def log_probs(network: Any, ids: Tensor, read: Tensor) -> Tensor:
    """Return transformers' log-probability of each token but the first."""
    logits = network(input_ids=ids, attention_mask=read).logits[:, :-1]
    return logits.log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]


@pytest.mark.parametrize("loss", ["dpo", "ipo", "kto", "cpo", "simpo", "orpo"])
def test_the_loss_of_a_step_is_that_of_trls_trainer(loss: str) -> None:
    from trl import DPOTrainer, KTOTrainer
    from trl.experimental.cpo import CPOTrainer
    from trl.experimental.orpo import ORPOTrainer

    policy, before = (GPT(SHAPE).initialise(seed).eval() for seed in (1, 2))
    some = pairs()
    answers = [pair.chosen for pair in some] + [pair.rejected for pair in some]
    ids, read, completion = padded(answers)
    tokens = completion[:, 1:]
    new, old = (log_probs(theirs("CausalLM", one), ids, read).detach() for one in (policy, before))
    sums, known = (new * tokens).sum(1), (old * tokens).sum(1)
    better, worse = slice(5), slice(5, None)

    fields: dict[str, Any] = {"cpo": {"beta": 0.3, "label_smoothing": 0.1}, "simpo": {"beta": 2.0, "margin": 0.7}}
    config = DpoConfig.model_validate({"loss": loss, "beta": 0.3, **fields.get(loss, {})})
    reference = {pair.row: (float(known[pair.row]), float(known[5 + pair.row]), 0.0) for pair in some}
    objective = PreferenceObjective(config, reference if config.needs_reference else {})
    batch = objective.batch(some, PAD)
    assert batch.count == 5
    ours = objective(policy, batch, torch.float32).total.item() / batch.count

    inputs = {"input_ids": ids, "attention_mask": read, "completion_mask": completion}
    likelihood = -float((new * tokens)[better].sum() / tokens[better].sum())  # as CPOTrainer's: over answers alone
    if loss in ("dpo", "ipo"):
        given = trainer(
            beta=0.3, label_smoothing=0.0, use_weighting=False, ld_alpha=None, f_divergence_type="reverse_kl",
            loss_types=["sigmoid" if loss == "dpo" else "ipo"], loss_weights=[1.0],
        )  # fmt: skip
        batch_of_theirs = {**inputs, "ref_chosen_logps": known[better], "ref_rejected_logps": known[worse]}
        expected = float(DPOTrainer._compute_loss(given, Network(new * tokens), batch_of_theirs, False))
    elif loss == "kto":
        given = trainer(
            beta=0.3, loss_type="kto", calculate_KL=True, desirable_weight=1.0, undesirable_weight=1.0,
            _compute_kl_logps=lambda model, batch: torch.zeros(10),
        )  # fmt: skip
        labels = torch.tensor([True] * 5 + [False] * 5)
        batch_of_theirs = {**inputs, "label": labels, "ref_logps": known, "ref_KL_logps": torch.zeros(10)}
        expected = 2 * float(KTOTrainer._compute_loss(given, Network(new * tokens), batch_of_theirs, False))
    elif loss == "orpo":
        mean = sums / tokens.sum(1)
        odds, *_ = ORPOTrainer.odds_ratio_loss(trainer(beta=0.3), mean[better], mean[worse])
        expected = likelihood - float(odds.mean())
    else:
        given = trainer(
            alpha=0.0, beta=config.beta, simpo_gamma=0.7, label_smoothing=config.label_smoothing,
            loss_type="sigmoid" if loss == "cpo" else "simpo",
        )  # fmt: skip
        values = sums if loss == "cpo" else sums / tokens.sum(1)
        losses, *_ = CPOTrainer.cpo_loss(given, values[better], values[worse])
        expected = float(losses.mean()) + (likelihood if loss == "cpo" else 0.0)
    assert ours == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("margins", [False, True])
def test_the_loss_of_a_reward_model_is_that_of_trls_trainer(margins: bool) -> None:
    from trl import RewardTrainer

    network = Headed.over(GPT(SHAPE).initialise(1), 1, "last", seed=4).eval()
    other = theirs("SequenceClassification", network, num_labels=1)
    with torch.no_grad():
        other.score.weight.copy_(network.head.weight)
    some = pairs()
    margin = [0.2 * pair.row for pair in some]
    batch = pair_batch(some, PAD, read_end=True)
    assert int((batch.targets != IGNORE).sum()) == 10
    scores = network.scores(batch)[:, 0]
    ours = reward_losses(scores[0::2], scores[1::2], torch.tensor(margin) if margins else 0.0, 0.01).sum() / batch.count

    ids, read, _ = padded([pair.chosen for pair in some] + [pair.rejected for pair in some])
    given = trainer()
    given.args = SimpleNamespace(center_rewards_coefficient=0.01)
    inputs = {"input_ids": ids, "attention_mask": read, **({"margin": torch.tensor(margin)} if margins else {})}
    expected = RewardTrainer.compute_loss(given, other, inputs)
    assert ours.item() == pytest.approx(expected.item(), abs=2e-6)
