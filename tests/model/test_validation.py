"""model/validation.py: bytes are those of the tokens, and special tokens are no text."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.batches import Batch
from model.gpt import GPT
from model.losses import IGNORE
from model.shape import GPTConfig
from model.validation import validation_loss

MODEL = GPT(GPTConfig(vocab_size=8, n_layer=1, n_head=2, n_kv_head=2, d_model=8, d_ff=8, max_seq_len=8)).initialise(0)


def test_loss_and_bytes_are_over_targets_with_text() -> None:
    sizes = np.array([1, 2, 3, 4, 5, 6, 0, 0], dtype=np.int32)
    inputs = torch.tensor([[1, 2, 3, 4], [0, 1, 6, 2]])
    targets = torch.tensor([[2, 3, 4, 6], [1, IGNORE, 2, IGNORE]])
    got = validation_loss(MODEL, [Batch(inputs[:1], targets[:1]), Batch(inputs[1:], targets[1:])], sizes)
    with torch.no_grad():
        logp = MODEL(inputs).log_softmax(-1)
    counted = [(0, 0, 2), (0, 1, 3), (0, 2, 4), (1, 0, 1), (1, 2, 2)]
    nats = -sum(float(logp[row, column, target]) for row, column, target in counted)
    assert got["loss"] == pytest.approx(nats / 5, rel=1e-5)
    assert got["bits_per_byte"] == pytest.approx(nats / math.log(2) / (3 + 4 + 5 + 2 + 3), rel=1e-5)


def test_bytes_of_tokens_not_of_their_decoded_text() -> None:
    # half a character decodes to U+FFFD, which is three bytes, but the token is one (nanochat 2ce972a)
    from model.tokenizer import Tokenizer, specials_after

    tokenizer = Tokenizer({bytes([b]): b for b in range(256)}, r"\s+|\S+", specials_after(256, 8))
    ids = tokenizer.encode("é")
    assert tokenizer.token_bytes()[ids].sum() == 2


def test_nothing_to_validate_is_an_error() -> None:
    with pytest.raises(ValueError, match="no target to validate"):
        validation_loss(MODEL, [], np.ones(8, dtype=np.int32))
