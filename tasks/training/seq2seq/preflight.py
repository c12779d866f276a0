"""Checks of the seq2seq stage before it runs: the device exists, and texts can begin and end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.stage.preflight import Facts, Fault, device_faults

if TYPE_CHECKING:
    from tasks.training.seq2seq.config import Seq2SeqConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: Seq2SeqConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be trained."""
    yield from device_faults("seq2seq.runtime.device", config.runtime.device)
    if facts.value("tokenizer.roles") is False and (facts.value("tokenizer.ready") or facts.value("tokenizer.files")):
        why = "Texts need special tokens with which they begin and end, <|bos|> and <|eos|>; set it to true."
        yield Fault("tokenizer.roles", why)
