"""Export for Hugging Face's libraries: the files say the same, and what cannot be said there is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.tokenizer import Tokenizer
from model.vocabulary.exported import document_of, export_tokenizer, oniguruma
from tests.model.vocabulary.small_models import imported_pieces, learned_pairs

BYTES = {bytes([byte]): byte for byte in range(256)}


def test_three_files_are_written(tmp_path: Path) -> None:
    made = export_tokenizer(learned_pairs(), tmp_path, "{{ bos_token }}")
    assert [path.name for path in made] == ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
    config, names = (json.loads(path.read_text()) for path in made[1:])
    assert names == {"bos_token": "<|bos|>", "eos_token": "<|eos|>", "pad_token": "<|pad|>"}
    assert config["chat_template"] == "{{ bos_token }}"
    assert "chat_template" not in json.loads(export_tokenizer(learned_pairs(), tmp_path)[1].read_text())
    assert json.loads(made[0].read_text())["post_processor"] is None


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    one = [path.read_bytes() for path in export_tokenizer(learned_pairs(), tmp_path / "a")]
    two = [path.read_bytes() for path in export_tokenizer(learned_pairs(), tmp_path / "b")]
    assert one == two


def test_documents_can_be_opened_by_their_first_token(tmp_path: Path) -> None:
    import tokenizers

    for tokenizer in (learned_pairs(), imported_pieces("bpe")):
        path = export_tokenizer(tokenizer, tmp_path, add_bos=True)[0]
        opened = tokenizers.Tokenizer.from_file(str(path))
        assert opened.encode("The mill").ids == [tokenizer.bos, *tokenizer.encode("The mill")]
        assert opened.encode("The mill", add_special_tokens=False).ids == tokenizer.encode("The mill")


def test_possessive_counts_are_written_as_tokenizers_reads_them() -> None:
    assert oniguruma(r"\p{N}{1,3}+| ?a++|b") == r"\p{N}{1,3}| ?a++|b"
    assert oniguruma(r"a|\p{N}{1,3}+") == r"a|\p{N}{1,3}"
    assert oniguruma(r"\p{N}+|a") == r"\p{N}+|a"
    with pytest.raises(ValueError, match="possessive count"):
        oniguruma(r"\p{N}{1,3}+a|.")


def test_what_would_be_read_otherwise_is_refused(tmp_path: Path) -> None:
    # ^ is the start of any line there, and of the text here
    with pytest.raises(ValueError, match="would be split otherwise"):
        export_tokenizer(Tokenizer({**BYTES, b"  ": 256}, r"^  |[\s\S]", {}), tmp_path)
    with pytest.raises(ValueError, match="'a' is spelled as an ordinary token"):
        export_tokenizer(Tokenizer(BYTES, r"[\s\S]", {"a": 256}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_tokens_that_no_merge_makes_are_kept() -> None:
    tokenizer = Tokenizer({**BYTES, b"whole": 256}, r"\p{L}+|\P{L}", {"<|bos|>": 257})
    import tokenizers

    opened = tokenizers.Tokenizer.from_str(json.dumps(document_of(tokenizer)))
    for text in ("whole", "wholes", "a whole"):
        assert opened.encode(text).ids == tokenizer.encode(text)
    assert 256 in tokenizer.encode("a whole")
