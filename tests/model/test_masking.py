"""model/masking.py: as many tokens are hidden as BERT hides, whole words stay together, and the loss is theirs only."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.gpt import GPT
from model.losses import IGNORE
from model.masking import Masking
from model.shape import GPTConfig
from model.tokenizer import MASK, SPECIALS, Tokenizer, specials_after
from model.trainer import next_token_loss

RANKS = {bytes([b]): b for b in range(256)} | {b" the": 256, b"re": 257, b" a": 258}
TOKENIZER = Tokenizer(RANKS, r"\s+|\S+", specials_after(len(RANKS), 8, [*SPECIALS, MASK]))
TEXT = "the there a area are " * 40


def ids(rows: int = 8) -> np.ndarray:
    return np.array([[TOKENIZER.bos, *TOKENIZER.encode(TEXT)]] * rows)


def test_fifteen_in_a_hundred_are_hidden_eight_of_ten_by_the_mask() -> None:
    given = ids(64)
    batch = Masking.of(TOKENIZER).batch(given, np.random.default_rng(1))
    hidden = batch.targets.numpy() != IGNORE
    inputs = batch.inputs.numpy()
    assert hidden.mean() == pytest.approx(0.15, abs=0.01)
    assert not hidden[:, 0].any(), "special tokens are never hidden"
    assert (batch.targets.numpy()[hidden] == given[hidden]).all()
    assert (inputs[~hidden] == given[~hidden]).all()
    assert (inputs[hidden] == TOKENIZER.specials[MASK]).mean() == pytest.approx(0.8, abs=0.02)
    kept = (inputs[hidden] == given[hidden]).mean()
    assert kept == pytest.approx(0.1, abs=0.02)


def test_whole_words_are_hidden_together() -> None:
    given = ids(64)
    batch = Masking.of(TOKENIZER, whole_words=True).batch(given, np.random.default_rng(1))
    hidden = batch.targets.numpy() != IGNORE
    assert hidden.mean() == pytest.approx(0.15, abs=0.02)
    words = " ".join(TOKENIZER.decode([token]) for token in given[0, 1:5])
    assert "t" in words
    masking = Masking.of(TOKENIZER, whole_words=True)
    continues = masking.continues[given]
    assert continues.any()
    assert (hidden[:, 1:] == hidden[:, :-1])[continues[:, 1:] & masking.ordinary[given[:, :-1]]].all()


def test_the_same_generator_hides_the_same_tokens() -> None:
    one, same, other = (Masking.of(TOKENIZER).batch(ids(), np.random.default_rng([s, 5])) for s in (1, 1, 2))
    assert torch.equal(one.inputs, same.inputs)
    assert torch.equal(one.targets, same.targets)
    assert not torch.equal(one.targets, other.targets)


def test_a_short_text_has_one_hidden_token() -> None:
    batch = Masking.of(TOKENIZER, share=1e-9).batch(ids(1)[:, :3], np.random.default_rng(1))
    assert batch.n_valid == 1
    with pytest.raises(ValueError, match="special tokens alone"):
        Masking.of(TOKENIZER).batch(np.array([[TOKENIZER.bos]]), np.random.default_rng(1))


def test_a_tokenizer_without_a_mask_is_refused_with_the_way_out() -> None:
    plain = Tokenizer(RANKS, r"\s+|\S+", specials_after(len(RANKS), 8))
    with pytest.raises(ValueError, match=r"set tokenizer.specials to \['<\|mask\|>'\]"):
        Masking.of(plain)


def test_the_loss_is_that_of_the_hidden_tokens() -> None:
    torch.manual_seed(0)
    config = GPTConfig(
        vocab_size=TOKENIZER.vocab_size, network="encoder", n_layer=1, n_head=2, n_kv_head=2, d_model=16, d_ff=24
    )
    model = GPT(config).initialise(1)
    batch = Masking.of(TOKENIZER).batch(ids(2)[:, :60], np.random.default_rng(1))
    logits = model(batch.inputs).log_softmax(-1)
    rows, places = (batch.targets != IGNORE).nonzero(as_tuple=True)
    wanted = -logits[rows, places, batch.targets[rows, places]].sum()
    torch.testing.assert_close(next_token_loss(model, batch, torch.float32), wanted)
