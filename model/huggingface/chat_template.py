"""The chat template of model/chat.py as Jinja, the language in which `transformers` and servers keep templates."""

from __future__ import annotations

import json
from string import Template

from model.tokenizer import Tokenizer

_TEMPLATE = Template("""\
{{- $BOS -}}
{%- for message in messages -%}
{%- if message['role'] == 'system' and loop.first -%}
{{- $SYSTEM + message['content'] -}}
{%- elif message['role'] == 'user' -%}
{{- $USER + message['content'] -}}
{%- elif message['role'] == 'assistant' -%}
{{- $ASSISTANT + message['content'] + $EOS -}}
{%- else -%}
{{- raise_exception('This model knows user and assistant messages, and one of the system before all others.') -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- $ASSISTANT -}}
{%- endif -%}
""")


def jinja_template(tokenizer: Tokenizer) -> str:
    """Return the template. What it renders becomes the tokens of `model.chat.prompt_ids` and `example`.

    One thing is weaker than at home: `transformers` reads the rendered text as a whole, so that a message with the name
    of a special token in it forges a role. Whoever serves strangers has to remove these names from their messages.
    """
    names = {id_: json.dumps(name, ensure_ascii=False) for name, id_ in tokenizer.specials.items()}
    roles = ("bos", "eos", "system", "user", "assistant")
    return _TEMPLATE.substitute({role.upper(): names[tokenizer.role(role)] for role in roles})
