"""The instructions that a model is judged on, and the answers that it writes to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_lake.reading.ledger import Tally
from data_lake.tables.draws import hash_draw
from model.chat import Prompt, answers_begin_texts, fitted, prompt_of, stop_ids
from model.templates import TemplateName
from model.tokenizer import Tokenizer
from tasks.evaluation.computing import loaded
from tasks.evaluation.judge.config import JudgeConfig
from tasks.stage import Artifact, Output, PermanentError
from tasks.stage.rejected import Rejected
from tasks.training.sft.formats import Conversation
from tasks.training.sft.instructions import Record, instruction_files, read_instructions
from tasks.training.trained import chat_template_of

BROKEN = "broken record"
HELD_OUT = "alpaca_validation.jsonl"
"""The file in the folder of sft's model with the pairs that it held out."""
TOGETHER = 128
"""Answers that are asked for at once; progress is told in between."""


@dataclass(frozen=True)
class Answer:
    """What a model wrote to an instruction; `ended` if it ended the answer itself."""

    text: str
    ended: bool
    tokens_left_out: int
    """of the prompt, which was too long for the context"""


def files_of(config: JudgeConfig, model: Artifact) -> list[Path]:
    """Return the files with the instructions; raises PermanentError if there are none."""
    if config.data:
        return instruction_files(config.data, "judge.data")
    held_out = model.path / HELD_OUT
    if not held_out.exists():
        raise PermanentError(
            f"{model.name} was not made by sft, so it has no held-out pairs to be judged on; name files in judge.data."
        )
    return [held_out]


def instructions_of(config: JudgeConfig, out: Output, model: Artifact) -> list[Record]:
    """Return the instructions to be judged on, in an order by hash, and account for all other records."""
    tally = Tally("instructions to be judged on")  # not the pairs that sft learned from
    rejected = Rejected(out, BROKEN)
    found: dict[Conversation, Record] = {}
    for record in (record for path in files_of(config, model) for record in read_instructions(path)):
        one = record.found
        if one is None:
            tally.remove(BROKEN, len(record.raw.encode()))
            rejected.add(BROKEN, record.place, record.reason, record.raw)
        elif one in found:
            tally.remove("exact duplicate", one.n_bytes)
            rejected.add("exact duplicate", record.place, f"the same as {found[one].place}", one.instruction)
        else:
            found[one] = record
    ordered = sorted(found, key=lambda one: (hash_draw(one.instruction, one.input), one.texts))
    for number, one in enumerate(ordered):
        if number < config.limit:
            tally.keep(one.n_bytes)
        else:
            tally.remove("beyond limit", one.n_bytes)
    rejected.write(out.warning)
    if not ordered:
        raise PermanentError(
            f"There is no instruction to judge {model.name} on: {rejected.summary() or 'the files have no record'}."
        )
    out.ledger(tally.ledger())
    out.count(rejected=len(rejected.rows))
    return [found[one] for one in ordered[: config.limit]]


def answers_of(
    config: JudgeConfig, artifact: Artifact, asked: Sequence[Conversation], progress: Callable[[int], None]
) -> list[Answer]:
    """Return the greedy answers of a model to instructions, in their order.

    A model without a chat template continues the text of the conversation. Raises PermanentError if the model does not
    continue texts.
    """
    from model.generate import generate_batch

    made: list[Answer] = []
    with loaded(config, artifact) as (model, tokenizer):
        if model.encoder is not None or not model.config.causal:
            raise PermanentError(
                f"{artifact.name} does not continue texts, as only a decoder does; it cannot be judged."
            )
        context = model.config.max_seq_len
        room = max(context - config.answer_tokens, context // 2)
        template = chat_template_of(artifact)
        ends = stop_ids(tokenizer, template)
        prompts = [fitted(tokenizer, prompt, room) for prompt in _prompts(tokenizer, asked, template)]
        for start in range(0, len(prompts), TOGETHER):
            some = prompts[start : start + TOGETHER]
            texts = generate_batch(model, [ids for ids, _ in some], config.answer_tokens, stop=ends)
            for text, (_, left_out) in zip(texts, some, strict=True):
                made.append(Answer(_shown(tokenizer, text.ids, template), text.ended, left_out))
            progress(len(made))
    return made


def _prompts(
    tokenizer: Tokenizer, asked: Sequence[Conversation], template: TemplateName | None
) -> Iterator[Prompt | list[int]]:
    for one in asked:
        if template:
            yield prompt_of(tokenizer, one.instruction, one.input, one.system, one.history, template)
        else:
            begin = [tokenizer.bos] if tokenizer.has("bos") else []
            yield [*begin, *tokenizer.encode("\n\n".join(filter(None, one.texts[:-1])))]


def _shown(tokenizer: Tokenizer, ids: Sequence[int], template: TemplateName | None) -> str:
    """Return the text of an answer; the space that SentencePiece puts before a text is none of its own."""
    text = tokenizer.decode(ids)
    begins = template is None or answers_begin_texts(tokenizer, template)
    return text.removeprefix(" ") if tokenizer.vocabulary.drops_first_space and begins else text
