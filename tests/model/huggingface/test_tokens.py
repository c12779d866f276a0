"""model/huggingface/tokens.py: an imported tokenizer fits its model's rows, and gets the tokens for our roles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.huggingface.chat_template import jinja_template
from model.huggingface.folder import NoModelFolder, read_folder
from model.huggingface.tokens import read_tokenizer
from model.templates import TEMPLATES
from model.tokenizer import Tokenizer
from model.vocabulary.exported import export_tokenizer
from tests.model.huggingface.folders import write
from tests.model.vocabulary.small_models import learned_pairs

TEXT = "The mill's wheel, é and <|endoftext|> 水车."


def gpt2_like() -> Tokenizer:
    """A tokenizer whose one special token opens and ends documents."""
    pairs = learned_pairs("gpt2", 300)
    return Tokenizer.of(pairs.vocabulary, {"<|endoftext|>": 300}, {"bos": "<|endoftext|>", "eos": "<|endoftext|>"})


def test_roles_that_a_model_lacks_get_the_ids_after_its_own(tmp_path: Path) -> None:
    write(tmp_path)
    export_tokenizer(gpt2_like(), tmp_path)
    found = read_tokenizer(read_folder(tmp_path), rows=301)
    assert found.added == ("<|pad|>", "<|system|>", "<|user|>", "<|assistant|>")
    tokenizer = found.tokenizer
    assert (tokenizer.bos, tokenizer.eos, tokenizer.pad, tokenizer.assistant) == (300, 300, 301, 304)
    assert tokenizer.vocab_size == 305
    assert tokenizer.encode(TEXT) == gpt2_like().encode(TEXT)
    assert "<|user|>" in found.added_text()
    assert found.template is None


def test_rows_without_a_token_are_used_first(tmp_path: Path) -> None:
    write(tmp_path)
    export_tokenizer(gpt2_like(), tmp_path)
    assert read_tokenizer(read_folder(tmp_path), rows=320).tokenizer.vocab_size == 320
    assert read_tokenizer(read_folder(tmp_path), rows=303).tokenizer.vocab_size == 305


def test_ids_without_a_row_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(NoModelFolder, match="no tokenizer"):
        read_tokenizer(read_folder(tmp_path), rows=20)
    export_tokenizer(gpt2_like(), tmp_path)
    with pytest.raises(
        NoModelFolder, match=r"does not fit the model: it has ids up to 300, but the model only 20 rows"
    ):
        read_tokenizer(read_folder(tmp_path), rows=20)


def test_what_left_from_here_comes_back_as_it_was(tmp_path: Path) -> None:
    write(tmp_path)
    ours = learned_pairs()
    for template in TEMPLATES:
        export_tokenizer(ours, tmp_path, jinja_template(ours, template), add_bos=True)
        found = read_tokenizer(read_folder(tmp_path), ours.vocab_size)
        assert found.template == template
    assert found.added == ()
    assert found.added_text() == "Its vocabulary has all we need."
    assert found.tokenizer.specials == ours.specials
    assert [found.tokenizer.role(role) for role in ("bos", "eos", "pad", "user")] == [600, 601, 602, 604]
    described = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**described, "chat_template": "{{ messages }}"}))
    assert read_tokenizer(read_folder(tmp_path), ours.vocab_size).template is None
