"""A written GGUF file proved: llama.cpp must split the same texts into the same tokens, find the same tokens likely,
end where the model ends, and ask as the model was taught to be asked.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from model.chat import prompt_ids
from model.gguf.llama_cpp import LlamaCpp
from model.gguf.reading import read_gguf
from model.gguf.types import GgufName
from model.gguf.vocabulary import GgufVocabulary
from model.gpt import GPT
from model.huggingface.export import probe
from model.ollama.modelfile import go_template
from model.ollama.modelfile import rendered as rendered_by_ollama
from model.shape import GPTConfig
from model.templates import TemplateName
from model.tokenizer import Tokenizer

LIKELIEST = 50
"""Tokens whose log-probabilities are compared after each probe."""
EXACT, ROUNDED, QUANTISED = 1e-4, 0.05, 0.5
"""Largest difference of log-probabilities of the likeliest tokens, in nats, between llama.cpp and our network with the
weights that are in the file. With weights in float16 and quantised ones, llama.cpp rounds the states to float16 and to
8 bits, which our network does not, and looks GPT-2's GELU up in a table of float16 values: measured on the demo's model
were 6e-6 (F32), 2e-3 (F16), and from 0.08 (Q8_0) to 0.2 (Q4_K_M).
"""
_PROBES = 5
_CONVERSATIONS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("user", "What is a mill?"),),
    (("system", "Be short."), ("user", "What is\na mill?\n\nA place.")),
    (("user", "What?"), ("assistant", "A mill."), ("user", " Where is 12é 水车?")),
    (("system", "Be short."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")),
)
HARD = (
    "The mill's wheel turned 1234567.5 times; we'LL see. naïve cafe\u0301\n\n\n  x\t\ty \r\n",
    "水车转动 हिन्दी 👩\u200d🔬🇫🇷 \U0010ffff <|bos|>   ", "def f(x):\n    return x  # ½ ٣\n\n\n\n\tif don't:  DON'T",
    " ", "  \n \n", "\r\n\r\n", "'s'S'ſ", "ABCdefÉcoleÀB", "\u2028\x85\x1c\x0b\ufeff▁Ġ", "a" * 40, " the  the",
)  # fmt: skip
"""Texts that are split otherwise wherever a pattern or a merge was carried over wrongly."""


def prove_gguf(
    opened: LlamaCpp,
    path: Path,
    kind: GgufName,
    config: GPTConfig,
    tokenizer: Tokenizer,
    vocabulary: GgufVocabulary,
    chat: TemplateName | None,
    texts: Sequence[str],
) -> float:
    """Return the largest difference of log-probabilities of the likeliest tokens, in nats.

    texts: what has to be split as at home, beside `HARD`. Raises ValueError, saying what differs, if anything does.
    """
    _same_tokens(opened, tokenizer, vocabulary, [*HARD, *texts])
    difference = _same_probabilities(opened, read_gguf(path, config), kind)
    _same_ends(opened, tokenizer, vocabulary)
    if chat is not None:
        _same_chat(opened, tokenizer, chat, config.max_seq_len)
    return difference


def _same_tokens(opened: LlamaCpp, tokenizer: Tokenizer, vocabulary: GgufVocabulary, texts: Sequence[str]) -> None:
    for text in texts:
        ours = tokenizer.encode(text)
        if opened.tokens(text) != ours and not vocabulary.differs_at(text):
            raise ValueError(f"llama.cpp splits {text[:60]!r} otherwise than the model's tokenizer.")
    for name, id_ in tokenizer.specials.items():
        if opened.tokens(f"a{name}", whole=True)[-1] != id_:
            raise ValueError(f"llama.cpp does not take {name!r} for the special token {id_}.")
    if (whole := opened.tokens("The mill", whole=True)) != [vocabulary.bos, *tokenizer.encode("The mill")]:
        raise ValueError(f"llama.cpp opens a prompt with {whole[:2]} instead of the token {vocabulary.bos}.")


@torch.inference_mode()
def _same_probabilities(opened: LlamaCpp, network: GPT, kind: GgufName) -> float:
    allowed, worst = _allowed(network.config, kind), 0.0
    ids = probe(network)[0]
    ours = torch.log_softmax(network(ids[None]).float(), dim=-1)[0]
    for at in _places(len(ids) - 2):
        theirs = opened.likeliest(ids[: at + 1].tolist(), LIKELIEST)
        worst = max(worst, _difference(ours[at], theirs))
    if not worst <= allowed:
        raise ValueError(f"llama.cpp finds tokens likelier or less likely by {worst:.2g} nats; {allowed:g} is allowed.")
    return worst


def _allowed(config: GPTConfig, kind: GgufName) -> float:
    if kind not in ("f32", "f16"):
        return QUANTISED
    return EXACT if kind == "f32" and config.family != "gpt2" else ROUNDED


def _places(last: int) -> list[int]:
    return sorted({round(last * part / (_PROBES - 1)) for part in range(_PROBES)})


def _difference(ours: Tensor, theirs: Mapping[int, float]) -> float:
    """Return by how much the likeliest tokens of either side differ; a token that only one names is compared with the
    last one that the other names."""
    likeliest = ours.topk(min(LIKELIEST, len(ours)))
    last = min(theirs.values())
    missing = (
        value - last
        for id_, value in zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
        if id_ not in theirs
    )
    return max(itertools.chain(missing, (abs(float(ours[id_]) - value) for id_, value in theirs.items())))


def _same_ends(opened: LlamaCpp, tokenizer: Tokenizer, vocabulary: GgufVocabulary) -> None:
    start = [vocabulary.bos]
    for end in vocabulary.ends:
        if not opened.ends_with(start, end):
            raise ValueError(f"llama.cpp goes on after the token {end}, with which the model ends a text.")
    going_on = next(id_ for id_ in tokenizer.encode("a") if id_ not in vocabulary.ends)
    if opened.ends_with(start, going_on):
        raise ValueError(f"llama.cpp ends a text at the token {going_on}, which is ordinary text.")


def _same_chat(opened: LlamaCpp, tokenizer: Tokenizer, chat: TemplateName, context: int) -> None:
    template = go_template(tokenizer, chat)
    for conversation in _CONVERSATIONS:
        messages = [{"role": role, "content": content} for role, content in conversation]
        rendered = opened.rendered(messages)
        ours = conversation_ids(tokenizer, conversation, chat)
        by_ollama = opened.tokens(rendered_by_ollama(template, conversation), whole=True)
        if by_ollama != ours:
            raise ValueError(
                f"By Ollama's template the conversation {conversation[0][1]!r} … becomes {len(by_ollama)} tokens that "
                f"are not the {len(ours)} of the template {chat}."
            )
        ids = opened.tokens(rendered, whole=True)
        size = opened.prompt_size(messages) if len(ours) < context else len(ids)
        if ids != ours or size != len(ours):
            raise ValueError(
                f"In llama.cpp the conversation {conversation[0][1]!r} … becomes {len(ids)} tokens "
                f"({size} for an answer) that are not the {len(ours)} of the template {chat}."
            )


def conversation_ids(tokenizer: Tokenizer, conversation: Sequence[tuple[str, str]], chat: TemplateName) -> list[int]:
    """Return the tokens after which the model answers a conversation of (role, content) that a user spoke last in."""
    system = conversation[0][1] if conversation[0][0] == "system" else ""
    said = [content for role, content in conversation if role != "system"]
    history = list(zip(said[:-1:2], said[1:-1:2], strict=True))
    return prompt_ids(tokenizer, said[-1], system=system, history=history, template=chat)
