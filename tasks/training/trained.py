"""Loading trained models in later stages and commands, each with the tokenizer that it was trained with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from model.shape import GPTConfig
from tasks.stage import Artifact, PermanentError

if TYPE_CHECKING:
    from model.gpt import GPT
    from model.tokenizer import Tokenizer

CHAT_TEMPLATE = "textmill"
"""The name of the chat template that model/chat.py implements."""


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


def chat_template_of(artifact: Artifact) -> str | None:
    """Return the name of the chat template that a model was taught; None if it only continues texts."""
    template: str | None = json.loads((artifact.path / "model.json").read_text()).get("chat_template")
    if template not in (None, CHAT_TEMPLATE):
        raise PermanentError(
            f"{artifact.name} was taught the chat template {template!r}, which textmill does not know."
        )
    return template
