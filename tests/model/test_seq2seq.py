"""model/seq2seq.py: padding changes nothing, an encoder-decoder learns from pairs, however its steps are cut up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model.batches import Batch
from model.config import Runtime, Training
from model.gpt import GPT
from model.losses import IGNORE, cross_entropy_sum
from model.packed import states_of
from model.seq2seq import PairIds, pair_batch, pair_ids, write_targets
from model.shape import GPTConfig
from model.tokenizer import Tokenizer, specials_after
from model.trainer import Trainer
from model.validation import validation_loss

BOS, EOS, PAD = 10, 11, 12
SHAPE = GPTConfig(
    vocab_size=13, n_layer=1, n_head=2, n_kv_head=1, d_model=32, d_ff=64, max_seq_len=16, network="encoder-decoder"
)
QUIET = Runtime(threads=1, precision="float32", validate_every=0, checkpoint_seconds=1e9, log_every=5)
EACH_STEP = QUIET.model_copy(update={"checkpoint_seconds": 0.0})


def reversed_digits(step: int, rows: int = 16) -> list[PairIds]:
    """Return digits with their reverse, from 1 to 5 of them."""
    rng = np.random.default_rng(step)
    found = [rng.integers(0, 10, rng.integers(1, 6)).tolist() for _ in range(rows)]
    return [PairIds((*digits, EOS), (BOS, *digits[::-1], EOS)) for digits in found]


def batch_of(step: int) -> Batch:
    return pair_batch(reversed_digits(step), PAD)


def trainer(folder: Path, steps: int, runtime: Runtime = QUIET) -> Trainer:
    training = Training(steps=steps, batch_size=16, learning_rate=1e-2)
    return Trainer(GPT(SHAPE).initialise(0), batch_of, training, runtime, folder)


def test_text_is_data_and_both_sides_end() -> None:
    tokenizer = Tokenizer({bytes([b]): b for b in range(256)}, r"\s+|\S+", specials_after(256, 8))
    made = pair_ids(tokenizer, "a<|eos|>", "é")
    assert made.source == (*b"a<|eos|>", tokenizer.eos)
    assert made.target == (tokenizer.bos, *"é".encode(), tokenizer.eos)


def test_each_target_token_and_the_end_is_learned_and_nothing_else() -> None:
    batch = pair_batch([PairIds((1, 2, EOS), (BOS, 3, EOS)), PairIds((EOS,), (BOS, EOS))], PAD)
    assert batch.inputs.tolist() == [[BOS, 3], [BOS, PAD]]
    assert batch.targets.tolist() == [[3, EOS], [EOS, IGNORE]]
    assert batch.source is not None
    assert batch.source.tolist() == [[1, 2, EOS], [EOS, PAD, PAD]]
    assert (batch.n_valid, batch.n_tokens) == (3, 3)


def test_padding_changes_no_loss() -> None:
    model, pairs = GPT(SHAPE).initialise(1).eval(), reversed_digits(3, rows=6)
    together = pair_batch(pairs, PAD)
    with torch.no_grad():
        found = model.output_weight
        whole = cross_entropy_sum(states_of(model, together) @ found.T, together.targets)
        alone = sum(
            cross_entropy_sum(states_of(model, one) @ found.T, one.targets)
            for one in (pair_batch([pair], PAD) for pair in pairs)
        )
    assert whole == pytest.approx(float(alone), rel=1e-5)


def test_the_validation_reads_the_source() -> None:
    model, sizes = GPT(SHAPE).initialise(1).eval(), np.array([1] * 10 + [0] * 3, dtype=np.int32)
    pairs = [PairIds((1, 2, EOS), (BOS, 2, 1, EOS)), PairIds((3, EOS), (BOS, 3, EOS))]
    other = [PairIds((9, 9, EOS), pairs[0].target), pairs[1]]
    losses = [validation_loss(model, [pair_batch(each, PAD)], sizes)["loss"] for each in (pairs, other)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("micro_batch", [1, 5])
def test_accumulation_equals_the_whole_batch(tmp_path: Path, micro_batch: int) -> None:
    whole = trainer(tmp_path / "a", 1)
    parts = trainer(tmp_path / "b", 1, QUIET.model_copy(update={"micro_batch": micro_batch}))
    one, other = (t._step(0, batch_of(0)) for t in (whole, parts))
    assert one == pytest.approx(other, rel=1e-5)
    for (name, mine), theirs in zip(whole.model.named_parameters(), parts.model.parameters(), strict=True):
        assert mine.grad is not None, f"{name} learns nothing"
        torch.testing.assert_close(mine.grad, theirs.grad, msg=name, rtol=1e-4, atol=1e-6)


def test_a_stop_in_the_middle_changes_no_bit(tmp_path: Path) -> None:
    whole, cut = trainer(tmp_path / "a", 9), trainer(tmp_path / "b", 9, EACH_STEP)
    whole.fit()

    def full_disk_at_5(step: int) -> Batch:
        if step == 5:
            raise OSError("out of disk")
        return batch_of(step)

    cut.batch_of = full_disk_at_5
    with pytest.raises(OSError, match="out of disk"):
        cut.fit()
    again = trainer(tmp_path / "b", 9)
    again.fit()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


def test_it_learns_to_reverse(tmp_path: Path) -> None:
    learned = trainer(tmp_path, 250)
    learned.fit()
    unseen = reversed_digits(10_000, rows=32)
    made = write_targets(learned.model, [pair.source for pair in unseen], 10, BOS, EOS)
    right = sum(one.ids == list(pair.target[1:-1]) and one.ended for one, pair in zip(made, unseen, strict=True))
    assert right >= 24


def test_a_text_is_the_same_alone_and_with_others() -> None:
    model = GPT(SHAPE).initialise(2).eval()
    sources = [pair.source for pair in reversed_digits(5, rows=8)]
    together = write_targets(model, sources, 6, BOS, EOS)
    for source, one in zip(sources, together, strict=True):
        assert write_targets(model, [source], 6, BOS, EOS) == [one]
        memory, ids = model.encode(torch.tensor([source])), [BOS]
        for _ in range(6):
            token = int(model(torch.tensor([ids]), memory=memory)[0, -1].argmax())
            if token == EOS:
                break
            ids.append(token)
        assert one.ids == ids[1:]


def test_a_text_ends_with_the_context() -> None:
    model = GPT(SHAPE).initialise(2).eval()
    (made,) = write_targets(model, [(1, 2, EOS)], 100, BOS, 12)
    assert made.finish in ("context", "stop")
    assert len(made.ids) <= SHAPE.max_seq_len
