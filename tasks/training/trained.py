"""Loading trained models in later stages and commands, each with the tokenizer that it was trained with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from model.shape import GPTConfig
from model.templates import TEMPLATES, TemplateName
from tasks.stage import Artifact, PermanentError

if TYPE_CHECKING:
    from model.gpt import GPT
    from model.tokenizer import Tokenizer

CHAT_TEMPLATE: TemplateName = "textmill"
"""The name of the chat template that models are taught unless a recipe says otherwise."""


def load_trained(artifact: Artifact, device: str = "cpu") -> tuple[GPT, Tokenizer]:
    """Load the model of a training stage together with the tokenizer it was trained with."""
    from model.folder import load_model
    from model.tokenizer import Tokenizer

    model, described = load_model(artifact.path, device)
    tokenizer = Tokenizer.load(artifact.path / "tokenizer")
    if described.get("tokenizer_sha256") != tokenizer.sha256:
        raise PermanentError(
            f"{artifact.name} was trained with tokenizer {str(described.get('tokenizer_sha256'))[:16]}, but "
            f"its folder has {tokenizer.sha256[:16]}; build the stage {artifact.stage} again."
        )
    return model, tokenizer


def config_of(artifact: Artifact) -> GPTConfig:
    """Return the config of a model's network, without its weights."""
    return GPTConfig(**json.loads((artifact.path / "model.json").read_text())["config"])


def chat_template_of(artifact: Artifact) -> TemplateName | None:
    """Return the name of the chat template that a model was taught; None if it only continues texts."""
    name = json.loads((artifact.path / "model.json").read_text()).get("chat_template")
    if name is not None and name not in TEMPLATES:
        raise PermanentError(
            f"{artifact.name} was taught the chat template {name!r}, which textmill does not know; it knows "
            f"{', '.join(TEMPLATES)}."
        )
    template: TemplateName | None = name
    return template
