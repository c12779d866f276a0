"""The chat templates of model/templates.py as Jinja, in which `transformers` and servers keep templates."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from string import Template as Text

from model.templates import TEMPLATES, Part, Place, TemplateName, resolved
from model.tokenizer import Tokenizer
from model.vocabulary.byte_pairs import BytePairs
from model.vocabulary.exported import document_of

_UNKNOWN = "This model knows user and assistant messages, and one of the system before all others."
_JINJA = Text("""\
$OPENS
$UNASKED{%- for message in messages -%}
{%- if message['role'] == 'system' and loop.first -%}
$SYSTEM
{%- elif message['role'] == 'user' -%}
$USER
{%- elif message['role'] == 'assistant' -%}
$ANSWER
{%- else -%}
{{- raise_exception('$UNKNOWN') -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
$ASKS
{%- endif -%}
$END""")
_NO_SYSTEM = "{%- if not messages or messages[0]['role'] != 'system' or not messages[0]['content'] -%}"

# How a run of text between two special tokens is written, in Jinja and in Python. A tokenizer that puts a space before
# a text may do so only at the start of all that it is given: within a chat, the template then has to write the space.
_MESSAGE = "message['content']"
_FORMS: dict[str, Callable[[str], str]] = {
    "$RUN": lambda text: text,
    "((' ' if $RUN and $RUN[0] != ' ' else '') + $RUN)": lambda text: text if text[:1] in ("", " ") else f" {text}",
    "((' ' if $RUN else '') + $RUN)": lambda text: f" {text}" if text else "",
}
_TRIED = ("The mill", " The", "  a", "", "\n1", "é", "水")


def jinja_template(tokenizer: Tokenizer, template: TemplateName = "textmill", *, plain: bool = False) -> str:
    """Return a template. What it renders becomes the tokens of `model.chat.prompt_ids` and `example`.

    plain: for a program that takes each text between two special tokens as one alone, which llama.cpp does.

    One thing is weaker than at home: `transformers` reads the rendered text as a whole, so that a message with the name
    of a special token in it forges a role. Whoever serves strangers has to remove these names from their messages.
    Raises ValueError if no template gives this tokenizer the same tokens.
    """
    style, form = TEMPLATES[template], "$RUN" if plain else _form(tokenizer)
    write = _Whole(tokenizer) if form == "$RUN" else _Runs(tokenizer, form)
    unasked = f"{_NO_SYSTEM}\n{write(style.unasked)}\n{{%- endif -%}}\n" if style.unasked else ""
    return _JINJA.substitute(
        OPENS=write.begin + write(style.opens),
        UNASKED=unasked,
        SYSTEM=write(style.system),
        USER=write(style.user),
        ANSWER=write((*style.answers, Place.TEXT, *style.closes, *style.after)),
        ASKS=write(style.answers),
        UNKNOWN=_UNKNOWN,
        END=write.end,
    )


def template_of(tokenizer: Tokenizer, jinja: str) -> TemplateName | None:
    """Return the name of the template that was written as this Jinja; None if it is none of ours."""
    for name in TEMPLATES:
        try:
            if jinja == jinja_template(tokenizer, name):
                return name
        except (ValueError, KeyError):  # this tokenizer can have none, or not this one
            continue
    return None


class _Whole:
    """Writes parts as they are: the tokenizer takes each text between special tokens as it takes one alone."""

    begin = end = ""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.names = {id_: name for name, id_ in tokenizer.specials.items()}

    def __call__(self, parts: Sequence[Part]) -> str:
        return f"{{{{- {' + '.join(self.written(part) for part in resolved(parts, self.tokenizer))} -}}}}"

    def written(self, part: int | str | Place) -> str:
        if isinstance(part, Place):
            return _MESSAGE
        return json.dumps(self.names[part] if isinstance(part, int) else part, ensure_ascii=False)


class _Runs(_Whole):
    """Collects the text since the last special token, and writes it with the space that the tokenizer puts there."""

    begin = "{%- set now = namespace(run='') -%}\n"

    def __init__(self, tokenizer: Tokenizer, form: str) -> None:
        super().__init__(tokenizer)
        self.run = form.replace("$RUN", "now.run")
        self.end = f"{{{{- {self.run} -}}}}\n"

    def __call__(self, parts: Sequence[Part]) -> str:
        lines = []
        for part in resolved(parts, self.tokenizer):
            if isinstance(part, int):
                lines += [f"{{{{- {self.run} + {self.written(part)} -}}}}", "{%- set now.run = '' -%}"]
            else:
                lines.append(f"{{%- set now.run = now.run + {self.written(part)} -%}}")
        return "\n".join(lines)


def _form(tokenizer: Tokenizer) -> str:
    """Return how the template writes a text, so that between two special tokens it becomes the tokens of it alone."""
    if isinstance(tokenizer.vocabulary, BytePairs):
        return "$RUN"  # it looks at nothing but the text
    import tokenizers

    opened = tokenizers.Tokenizer.from_str(json.dumps(document_of(tokenizer)))
    names = {id_: name for name, id_ in tokenizer.specials.items()}
    begin, end = tokenizer.bos, tokenizer.eos

    def is_same(text: str, written: str) -> bool:
        ids = opened.encode(f"{names[begin]}{written}{names[end]}", add_special_tokens=False).ids
        return ids == [begin, *tokenizer.encode(text), end]

    for form, write in _FORMS.items():
        if all(is_same(text, write(text)) for text in _TRIED):
            return form
    raise ValueError(
        "The chat template cannot be written for this tokenizer: within a chat it would split texts otherwise."
    )
