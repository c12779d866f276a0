"""model/labels.py: a text is read in its beginning or in windows over all of it, and their mean is what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.folder import save_model
from model.gpt import GPT
from model.headed import Headed
from model.labels import TextClassifier, text_ids, windows_of
from model.shape import GPTConfig
from model.tokenizer import Tokenizer

ROLES = {"bos": "<|bos|>", "eos": "<|eos|>"}
BYTES = Tokenizer({bytes([b]): b for b in range(256)}, r"\s+|\S+", {"<|bos|>": 256, "<|eos|>": 257}, roles=ROLES)


@pytest.mark.parametrize(("length", "most"), [(0, 1), (8, 3), (9, 3), (16, 2), (23, 3), (60, 3), (60, 1)])
def test_windows_are_spread_from_the_beginning_to_the_end(length: int, most: int) -> None:
    text = "".join(chr(33 + number) for number in range(length))
    windows, cut = windows_of(BYTES, text, 10, most)
    inner = [BYTES.decode(list(ids[1:-1])) for ids in windows]
    assert all((ids[0], ids[-1]) == (256, 257) and len(ids) <= 10 for ids in windows)
    assert len(windows) == min(most, max(1, -(-length // 8)))
    assert text.startswith(inner[0])
    assert text.endswith(inner[-1]) or most == 1
    assert cut == (set(text) != set("".join(inner)))
    assert text_ids(BYTES, text, 10) == (windows_of(BYTES, text, 10, 1)[0][0], length > 8)


def test_the_probability_of_a_text_is_the_mean_over_its_windows(tmp_path: Path) -> None:
    shape = GPTConfig(vocab_size=258, n_layer=1, n_head=2, n_kv_head=2, d_model=16, d_ff=24, max_seq_len=16)
    model = Headed.over(GPT(shape).initialise(0), 3, "mean", 0)
    save_model(model, tmp_path, tokenizer_sha256=BYTES.sha256, chat_template=None)
    BYTES.save(tmp_path / "tokenizer")
    (tmp_path / "labels.json").write_text(json.dumps({"labels": ["a", "b", "c"], "max_tokens": 10}))
    classifier = TextClassifier(tmp_path, "cpu")
    parts = ["first 8!", "middle..", "and last"]
    whole, _ = classifier.probabilities(["".join(parts), "x"], windows=3)
    alone, cut = classifier.probabilities([*parts, "".join(parts)])
    assert whole[0].tolist() == pytest.approx(alone[:3].mean(0).tolist(), abs=1e-6)
    assert alone[3].tolist() == pytest.approx(alone[0].tolist(), abs=1e-6)
    assert cut == [False, False, False, True]
    (tmp_path / "labels.json").unlink()
    with pytest.raises(ValueError, match="no folder of a classifier"):
        TextClassifier(tmp_path, "cpu")
