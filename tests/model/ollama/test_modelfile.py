"""model/ollama/modelfile.py: Ollama asks as our own Jinja does, and has every text at which an answer ends."""

from __future__ import annotations

import jinja2
import pytest

from model.huggingface.chat_template import jinja_template
from model.ollama.modelfile import go_template, modelfile, rendered
from model.shape import GPTConfig
from model.templates import TEMPLATES, TemplateName
from model.tokenizer import PATTERNS, Tokenizer, specials_after
from tests.model.vocabulary.small_models import learned_pairs

CONVERSATIONS = [
    [("user", "What is a mill?")],
    [("system", "Be short."), ("user", 'a "mill"\n{{ .System }} {{ x }}\\n')],
    [("user", "a"), ("assistant", " b "), ("user", "\n\nc 水车")],
    [("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")],
]
CONFIG = GPTConfig(vocab_size=640, n_layer=1, d_model=16, max_seq_len=96)


def marked() -> Tokenizer:
    """A tokenizer in which ChatML's marks are special tokens."""
    learned = learned_pairs()
    names = [name for name in learned.specials if not name.startswith("<|reserved")]
    specials = specials_after(len(learned.ranks), 64, (*names, "<|im_start|>", "<|im_end|>"))
    return Tokenizer(learned.ranks, PATTERNS["gpt4"], specials)


@pytest.mark.parametrize("tokenizer", [learned_pairs(), marked()])
@pytest.mark.parametrize("template", TEMPLATES)
def test_it_asks_as_our_jinja_does(template: TemplateName, tokenizer: Tokenizer) -> None:
    jinja = jinja2.Environment().from_string(jinja_template(tokenizer, template, plain=True))
    for conversation in CONVERSATIONS:
        messages = [{"role": role, "content": content} for role, content in conversation]
        wanted = jinja.render(messages=messages, add_generation_prompt=True)
        assert wanted.startswith("<|bos|>"), "which Ollama puts there itself"
        assert rendered(go_template(tokenizer, template), conversation) == wanted.removeprefix("<|bos|>")


def test_an_answer_that_stands_last_is_gone_on_from() -> None:
    template = go_template(learned_pairs(), "textmill")
    asked = rendered(template, [("user", "a"), ("assistant", "b")])
    assert asked == "<|user|>a<|assistant|>b"


def test_the_modelfile_names_the_file_the_ends_and_the_context() -> None:
    lines = modelfile("model.gguf", CONFIG, marked(), "chatml").splitlines()
    assert lines[0] == "FROM ./model.gguf"
    assert lines[1].startswith('TEMPLATE """{{ if .System }}')
    assert lines[1].endswith('{{ end }}{{ end }}"""')
    assert lines[2:] == [
        'PARAMETER stop "<|im_end|>"', 'PARAMETER stop "<|eos|>"', 'PARAMETER stop "<|bos|>"', "PARAMETER num_ctx 96",
        "PARAMETER temperature 0", "PARAMETER repeat_penalty 1",
    ]  # fmt: skip
    assert 'TEMPLATE """{{ .Prompt }}"""' in modelfile("model.gguf", CONFIG, learned_pairs(), None)
