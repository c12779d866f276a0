"""On what a model is computed while it is measured: the device, its threads, and how much is read at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.stage import Artifact, Execution, StageConfig
from tasks.training.trained import load_trained

if TYPE_CHECKING:
    from model.gpt import GPT
    from model.tokenizer import Tokenizer


class ComputingConfig(StageConfig):
    """The fields of all stages that let a model read or write."""

    device: str = Execution("auto", description="auto = cuda where there is one, else cpu; or a torch device name")
    threads: int = Execution(0, ge=0, le=1024, description="CPU threads; 0 = one per usable core, at most 8")


class ReadingConfig(ComputingConfig):
    """The fields of all stages that let a model read texts."""

    batch_tokens: int = Execution(
        0, ge=0, description="tokens read in one forward pass; 0 = 1,024 per CPU thread, or 8,192 on a GPU"
    )


@contextlib.contextmanager
def loaded(config: ComputingConfig, artifact: Artifact) -> Iterator[tuple[GPT, Tokenizer]]:
    """Provide a model on its device, and its tokenizer; meanwhile torch uses the configured number of threads."""
    from model.hardware import choose_device, torch_threads

    with torch_threads(config.threads):
        yield load_trained(artifact, str(choose_device(config.device)))
