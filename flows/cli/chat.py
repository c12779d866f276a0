"""`textmill chat`: a conversation with a model in the terminal."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_lake.store.lake import Miss
from flows.cli.arguments import find_artifact, lake
from flows.cli.console import UserError, examples, in_sentences, note, write

if TYPE_CHECKING:
    from tasks.delivery.conversation import Conversation

HELP = """\
/system TEXT      what the system says first; without TEXT: nothing
/set NAME VALUE   temperature, top_p, top_k, min_p, repetition_penalty, max_tokens or seed
/retry            answer the last message again, with another seed
/back             take the last message back
/clear            begin anew
/history          everything that was said
/save FILE        write the conversation as JSON lines that sft can learn from
/help             this
/exit             end; Ctrl-D does too, and Ctrl-C ends an answer"""


@in_sentences
def chat(
    artifact: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="a model: sft, pretrain (the newest), or stage/key")
    ] = "sft",
    system: Annotated[str, typer.Option(metavar="TEXT", help="what the system says first")] = "",
    max_tokens: Annotated[int, typer.Option(min=1, help="largest number of tokens of an answer")] = 200,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 = always the most likely token")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, help="sample from the most likely tokens")] = 1.0,
    seed: Annotated[int, typer.Option(help="seed of the sampling")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
) -> None:
    """Talk to a model. /help lists the commands of a conversation."""
    found = find_artifact(artifact)
    if isinstance(checked := lake().lookup(found.stage, found.key), Miss):
        raise UserError(f"{found.name} cannot be used: {checked.reason}. `textmill run` builds it again.")
    if "model.safetensors" not in found.files:
        raise UserError(f"{found.name} has no model; name an artifact of sft or pretrain.")
    from tasks.delivery.conversation import Conversation
    from tasks.delivery.serving.served import Served, Wanted

    try:
        wanted = Wanted(max_tokens, temperature=temperature, top_p=top_p, seed=seed)
        talk = Conversation(Served(found, found.stage, device=device, slots=1, queue=1), wanted, system)
    except ValueError as error:
        raise UserError(str(error)) from error
    note(f"{found.name}, a context of {talk.served.context:,} tokens. /help for commands, Ctrl-D to end.")
    if not talk.served.chats:
        note("It was taught no chat: it goes on from each message.")
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  input() then has a history and editing keys
    try:
        while True:
            try:
                said = input("> " if sys.stdin.isatty() else "").strip()
            except (EOFError, KeyboardInterrupt):
                break
            if said == "/exit":
                break
            if said.startswith("/"):
                _command(talk, said)
            elif said:
                _answer(talk, said)
    finally:
        talk.served.engine.close(1)


def _answer(talk: Conversation, said: str) -> None:
    """Print an answer as it is written."""
    before = talk.forgotten
    pieces = talk.answer(said)
    try:
        for piece in pieces:
            write(piece, flush=True)
    except KeyboardInterrupt:
        pieces.close()  # type: ignore[attr-defined]
    except ValueError as error:
        note(str(error))
        return
    write("\n")
    if talk.forgotten > before:
        note(f"The context is full: the first {talk.forgotten} exchanges are not seen any more.")
    if talk.finish in ("length", "context"):
        note("The answer ends because the longest answer or the context was reached.")
    if talk.log_probs:
        likely = math.exp(sum(talk.log_probs) / len(talk.log_probs))
        note(f"Each token had a probability of {likely:.0%} (geometric mean).")


def _command(talk: Conversation, said: str) -> None:
    name, _, rest = said[1:].partition(" ")
    commands: dict[str, Callable[[Conversation, str], None]] = {
        "help": lambda talk, rest: note(HELP), "system": _system, "set": _set, "retry": _retry, "back": _back,
        "clear": lambda talk, rest: talk.clear(), "history": _history, "save": _save,
    }  # fmt: skip
    if name not in commands:
        note(f"There is no command /{name}; /help lists them.")
        return
    commands[name](talk, rest.strip())


def _system(talk: Conversation, text: str) -> None:
    talk.system = text
    note("The system says that from now on." if text else "The system says nothing.")


def _set(talk: Conversation, rest: str) -> None:
    name, _, value = rest.partition(" ")
    numbers = {"temperature": float, "top_p": float, "top_k": int, "min_p": float, "repetition_penalty": float,
               "max_tokens": int, "seed": int}  # fmt: skip
    if name not in numbers:
        note(f"There is no setting {name!r}; there are {', '.join(numbers)}.")
        return
    try:
        changed = replace(talk.wanted, **{name: numbers[name](value)})
        changed.sampling()
    except ValueError as error:
        note(f"{name} {value}: {error}")
        return
    talk.wanted = changed


def _retry(talk: Conversation, rest: str) -> None:
    said = talk.take_back()
    if said is None:
        note("Nothing was said yet.")
        return
    if talk.wanted.temperature == 0:
        note("Without sampling the answer is the same; /set temperature 0.8 makes others possible.")
    talk.wanted = replace(talk.wanted, seed=talk.wanted.seed + 1)
    _answer(talk, said)


def _back(talk: Conversation, rest: str) -> None:
    said = talk.take_back()
    note("Nothing was said yet." if said is None else f"Taken back: {said}")


def _history(talk: Conversation, rest: str) -> None:
    for asked, answered in talk.exchanges:
        write(f"> {asked}\n{answered}\n")


def _save(talk: Conversation, rest: str) -> None:
    if not rest:
        note("Give a file, as in: /save talk.jsonl")
        return
    messages = [{"role": "system", "content": talk.system}] if talk.system else []
    for asked, answered in talk.exchanges:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    try:
        with open(Path(rest).expanduser(), "a", encoding="utf-8") as file:
            file.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
    except OSError as error:
        note(f"{rest} cannot be written: {error.strerror}.")
        return
    note(f"Added to {rest}.")


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="Models",
        epilog=examples("textmill chat", 'textmill chat sft --system "Be brief." --temperature 0.7'),
    )(chat)
