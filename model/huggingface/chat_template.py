"""The chat template of model/chat.py as Jinja, the language in which `transformers` and servers keep templates."""

from __future__ import annotations

import json
from collections.abc import Callable
from string import Template

from model.tokenizer import Tokenizer
from model.vocabulary.byte_pairs import BytePairs
from model.vocabulary.exported import document_of

_TEMPLATE = Template("""\
{{- $BOS -}}
{%- for message in messages -%}
{%- if message['role'] == 'system' and loop.first -%}
{{- $SYSTEM + $TEXT -}}
{%- elif message['role'] == 'user' -%}
{{- $USER + $TEXT -}}
{%- elif message['role'] == 'assistant' -%}
{{- $ASSISTANT + $TEXT + $EOS -}}
{%- else -%}
{{- raise_exception('This model knows user and assistant messages, and one of the system before all others.') -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- $ASSISTANT -}}
{%- endif -%}
""")


# How a message's text is written, and the same in Python. A tokenizer that puts a space before a text may do so only at
# the start of all that it is given: within a chat, the template then has to write the space.
_TEXT = "message['content']"
_SPACED = f"((' ' if {_TEXT} and {_TEXT}[0] != ' ' else '') + {_TEXT})"
_FORMS: dict[str, Callable[[str], str]] = {
    _TEXT: lambda text: text,
    _SPACED: lambda text: text if text[:1] in ("", " ") else f" {text}",
    f"((' ' if {_TEXT} else '') + {_TEXT})": lambda text: f" {text}" if text else "",
}
_TRIED = ("The mill", " The", "  a", "", "\n1", "é", "水")


def jinja_template(tokenizer: Tokenizer) -> str:
    """Return the template. What it renders becomes the tokens of `model.chat.prompt_ids` and `example`.

    One thing is weaker than at home: `transformers` reads the rendered text as a whole, so that a message with the name
    of a special token in it forges a role. Whoever serves strangers has to remove these names from their messages.
    Raises ValueError if no template gives this tokenizer the same tokens.
    """
    names = {id_: json.dumps(name, ensure_ascii=False) for name, id_ in tokenizer.specials.items()}
    roles = ("bos", "eos", "system", "user", "assistant")
    return _TEMPLATE.substitute({role.upper(): names[tokenizer.role(role)] for role in roles}, TEXT=_form(tokenizer))


def _form(tokenizer: Tokenizer) -> str:
    """Return how the template writes a text, so that between two roles it becomes the tokens of the text alone."""
    if isinstance(tokenizer.vocabulary, BytePairs):
        return _TEXT  # it looks at nothing but the text
    import tokenizers

    opened = tokenizers.Tokenizer.from_str(json.dumps(document_of(tokenizer)))
    names = {id_: name for name, id_ in tokenizer.specials.items()}
    user, assistant = tokenizer.user, tokenizer.assistant

    def is_same(text: str, written: str) -> bool:
        ids = opened.encode(f"{names[user]}{written}{names[assistant]}", add_special_tokens=False).ids
        return ids == [user, *tokenizer.encode(text), assistant]

    for form, write in _FORMS.items():
        if all(is_same(text, write(text)) for text in _TRIED):
            return form
    raise ValueError(
        "The chat template cannot be written for this tokenizer: within a chat it would split texts otherwise."
    )
