"""Checks of the sft stage before it runs: the device exists, and the user's files have pairs to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from model.templates import TEMPLATES
from model.tokenizer import SPECIALS
from tasks.stage.preflight import Facts, Fault, attempt, device_faults
from tasks.training.adapters import adapter_faults, shape_of_base
from tasks.training.sft.instructions import instruction_files, read_instructions

if TYPE_CHECKING:
    from tasks.training.sft.config import SftConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: SftConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be fine-tuned."""
    yield from device_faults("sft.runtime.device", config.runtime.device)
    without_roles = facts.value("tokenizer.roles") is False
    if without_roles and (facts.value("tokenizer.ready") or facts.value("tokenizer.files")):
        why = "Conversations need special tokens for their roles, such as <|user|>; set it to true, or sft to null."
        yield Fault("tokenizer.roles", why)
    specials = facts.value("tokenizer.specials")
    # what these have is known when they are read
    elsewhere = ("tokenizer.keep", "tokenizer.files", "import_model.folder")
    if specials is not None and not any(facts.value(path) for path in elsewhere):
        missing = [name for name in TEMPLATES[config.prompt].named() if name not in (*SPECIALS, *specials)]
        if missing:
            why = (
                f"The marks of {config.prompt} ({', '.join(missing)}) are no special tokens of this vocabulary, so "
                "that they are ordinary text, which a message can forge; name them in tokenizer.specials."
            )
            yield Fault("sft.prompt", why, stops=False)
    yield from adapter_faults("sft.adapter", config.adapter, shape_of_base(facts))
    for pattern in config.files():
        yield from attempt("sft.data", find_record, pattern)


def find_record(pattern: str) -> None:
    """Raise an error if the files of a pattern cannot be read or have no usable record."""
    first = ""
    for path in instruction_files([pattern]):
        for record in read_instructions(path):
            if record.found is not None:
                return
            first = first or f"; the first, {record.place}: {record.reason}"
    raise ValueError(f"{pattern!r} has no record that can be used{first}.")
