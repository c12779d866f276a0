"""An Ollama Modelfile: the file with the weights, the chat template in Go's syntax, what ends an answer, settings."""

from __future__ import annotations

import json
from collections.abc import Sequence

from model.chat import stop_ids
from model.ollama.go_template import render
from model.shape import GPTConfig
from model.templates import TEMPLATES, Part, Place, TemplateName, resolved
from model.tokenizer import Tokenizer

CONTINUES = "{{ .Prompt }}"


def modelfile(file: str, config: GPTConfig, tokenizer: Tokenizer, chat: TemplateName | None) -> str:
    """Return the Modelfile for a GGUF file beside it. Answers are greedy and without a penalty, as ours are.

    Ollama ends at the tokens that the file names and at each of these texts: with a stop missing, a model goes on.
    """
    names = {id_: name for name, id_ in tokenizer.specials.items()}
    settings = {"num_ctx": config.max_seq_len, "temperature": 0, "repeat_penalty": 1}
    lines = [
        f"FROM ./{file}",
        f'TEMPLATE """{go_template(tokenizer, chat) if chat else CONTINUES}"""',
        *(f"PARAMETER stop {_quoted(names[id_])}" for id_ in stop_ids(tokenizer, chat)),
        *(f"PARAMETER {name} {value}" for name, value in settings.items()),
    ]
    return "\n".join(lines) + "\n"


def go_template(tokenizer: Tokenizer, chat: TemplateName) -> str:
    """Return a chat template in Go's syntax. The token that opens a document is left out: Ollama puts it there itself.

    An answer that stands last is one to go on from, so nothing closes it.
    """
    style = TEMPLATES[chat]
    names = {id_: name for name, id_ in tokenizer.specials.items()}
    opened = {names[tokenizer.bos]} if tokenizer.has("bos") else set()

    def write(parts: Sequence[Part], message: str = "", without: set[str] = frozenset()) -> str:  # type: ignore[assignment]
        written = [names[part] if isinstance(part, int) else part for part in resolved(parts, tokenizer)]
        kept = [message if isinstance(part, Place) else _quoted(part) for part in written if part not in without]
        return "".join(f"{{{{ {one} }}}}" for one in kept)

    unasked = f"{{{{ else }}}}{write(style.unasked)}" if style.unasked else ""
    return (
        f"{write(style.opens, without=opened)}"
        f"{{{{ if .System }}}}{write(style.system, '.System')}{unasked}{{{{ end }}}}"
        "{{ range $at, $said := .Messages }}"
        f'{{{{ if eq $said.Role "user" }}}}{write((*style.user, *style.answers), "$said.Content")}'
        '{{ else if eq $said.Role "assistant" }}{{ $said.Content }}'
        f"{{{{ if gt (len (slice $.Messages $at)) 1 }}}}{write((*style.closes, *style.after))}{{{{ end }}}}"
        "{{ end }}{{ end }}"
    )


def rendered(template: str, messages: Sequence[tuple[str, str]]) -> str:
    """Return what Ollama gives the model of a conversation of (role, content): it hands a template the text of the
    system by itself, and all messages."""
    system = "\n\n".join(content for role, content in messages if role == "system")
    said = [{"Role": role, "Content": content} for role, content in messages]
    return render(template, {"System": system, "Messages": said, "Prompt": said[-1]["Content"], "Response": ""})


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
