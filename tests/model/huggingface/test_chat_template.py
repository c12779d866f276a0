"""model/huggingface/chat_template.py: a template names the tokens of its tokenizer; tests/parity compares their ids."""

from __future__ import annotations

from model.huggingface.chat_template import jinja_template
from tests.model.huggingface.test_tokens import gpt2_like
from tests.model.vocabulary.small_models import learned_pairs


def test_the_tokens_of_the_roles_are_named() -> None:
    ours, theirs = jinja_template(learned_pairs()), jinja_template(gpt2_like().with_roles())
    assert '{{- "<|bos|>" -}}' in ours
    assert "message['content'] + \"<|eos|>\"" in ours
    assert '{{- "<|endoftext|>" -}}' in theirs
    assert "$" not in ours + theirs
    assert ours.replace("<|bos|>", "<|endoftext|>").replace("<|eos|>", "<|endoftext|>") == theirs
