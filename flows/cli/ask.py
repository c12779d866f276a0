"""`textmill ask`: an answer from the pages of the corpus, with the pages that it comes from."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_lake.store.lake import Artifact, Miss
from flows.cli.arguments import AsJson, find_artifact, lake
from flows.cli.console import UserError, examples, in_sentences, note, output, plain_text, print_json, write

if TYPE_CHECKING:
    from tasks.delivery.generation import Text, Writer
    from tasks.retrieval.index.search import Passage

SHOWN_CHARACTERS = 600
"""Of a passage in the terminal, where there is no model that answers from it."""


@in_sentences
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="what to ask; - reads it from stdin")],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="who answers: a stage, or stage/key [default: the one that `ask` measured best, else the newest one]",
        ),
    ] = None,
    index: Annotated[str, typer.Option(metavar="INDEX", help="where it is looked for: index (the newest), or key")] = (
        "index"
    ),
    passages: Annotated[
        int,
        typer.Option(min=1, max=100, help="most passages that the model reads, if its context has room"),
    ] = 5,
    least: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="share of the question that a passage must have, or no page matches"),
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="largest number of tokens of the answer")] = 120,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 = always the most likely token")] = 0.0,
    seed: Annotated[int, typer.Option(help="seed of the sampling")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Answer a question from the pages of the corpus, and name the pages.

    The passages that match best are put before the model. If none matches, that is said and the model is not asked.
    """
    asked = (sys.stdin.read() if question == "-" else question).strip()
    if not asked:
        raise UserError("The question is empty; give something to look for.")
    pages = _usable(_index(index))
    from tasks.retrieval.answering import answering as chosen

    answering = find_artifact(model) if model else chosen(lake())
    if answering is not None and "model.safetensors" not in answering.files:
        raise UserError(f"{answering.name} has no model; name an artifact of sft, as in: textmill ask … --model sft")
    from tasks.retrieval.asking import NO_PAGE
    from tasks.retrieval.index.search import COVERED, Search

    found = Search(pages.path).find(asked, passages, COVERED if least is None else least)
    if not found or answering is None:
        if as_json:
            print_json(_told(asked, pages, None, None, found))
            return
        if not found:
            write(f"{NO_PAGE}\n")
            note(f"No passage of {pages.name} has enough of its words; ask in other words, or lower --least.")
            return
        note("The lake has no fine-tuned model to answer from them: these are the passages (sft makes one).")
        _print_sources(found, None, texts=True)
        return
    from tasks.delivery.generation import Writer

    try:
        writer = Writer(_usable(answering), device)
        read = _that_fit(writer, asked, found, max_tokens)
        text = _written(writer, asked, read, max_tokens, temperature, seed, aloud=not as_json)
    except ValueError as error:
        raise UserError(str(error)) from error
    if as_json:
        print_json(_told(asked, pages, answering, text, read))
        return
    write("\n\n")
    _print_sources(read, text.text, texts=False)
    if not writer.template:
        note(f"{answering.name} was taught no chat: it goes on from the passages and the question.")
    for sentence in text.notes(max_tokens, writer.model.config.max_seq_len, "these passages"):
        note(sentence)


def _index(name: str) -> Artifact:
    if name == "index" and not lake().find(name):
        raise UserError("The lake has no index of pages: add `index: {}` to a recipe and run it.")
    found = find_artifact(name)
    if found.manifest.kind != "Index":
        raise UserError(f"{found.name} is no index of pages; name an artifact of index.")
    return found


def _usable(artifact: Artifact) -> Artifact:
    if isinstance(checked := lake().lookup(artifact.stage, artifact.key), Miss):
        raise UserError(f"{artifact.name} cannot be used: {checked.reason}. `textmill run` builds it again.")
    return artifact


def _that_fit(writer: Writer, question: str, found: list[Passage], max_tokens: int) -> list[Passage]:
    from tasks.retrieval.asking import room, that_fit

    context = writer.model.config.max_seq_len
    most = room(context, max_tokens)
    read = that_fit(found, lambda text: writer.prompt_tokens(question, text) <= most)
    if not read:
        raise UserError(
            f"The question leaves no room for a passage in the model's context of {context:,} tokens; ask more briefly."
        )
    return read


def _written(
    writer: Writer, question: str, read: list[Passage], max_tokens: int, temperature: float, seed: int, *, aloud: bool
) -> Text:
    from tasks.delivery.generation import sampling
    from tasks.retrieval.asking import given

    show = (lambda piece: write(piece, flush=True)) if aloud else None
    drawn = sampling(temperature, seed=seed)
    return writer.write([question], max_tokens, drawn, given=given(read), show=show)[0]


def _told(
    question: str, index: Artifact, model: Artifact | None, text: Text | None, sources: list[Passage]
) -> dict[str, Any]:
    """Return what --json prints."""
    from tasks.delivery.generation import is_quotation

    return {
        "question": question,
        "index": index.name,
        "model": model.name if model else None,
        "answer": text.text if text else None,
        "finish": text.finish if text else None,
        "mean_log_prob": text.mean_log_prob if text else None,
        "is_quotation": text.is_quotation if text else None,
        "sources": [
            {**dataclasses.asdict(one), "is_quoted": is_quotation(text.text, one.text) if text else None}
            for one in sources
        ],
    }


def _print_sources(sources: list[Passage], answer: str | None, *, texts: bool) -> None:
    from tasks.delivery.generation import is_quotation

    for number, one in enumerate(sources, 1):
        line = plain_text(f"[{number}] {' '.join((one.title or one.source).split())}", 100)
        line.stylize("bold")
        line.append(f"  {plain_text(one.url or one.source, 500)}", "not bold")
        output().print(line, soft_wrap=True)
        dates = [f"published {one.date}"] if one.date else []
        dates += [f"fetched {one.fetched_at[:10]}"] if one.fetched_at else []
        quoted = ["has the answer word for word"] if answer and is_quotation(answer, one.text) else []
        place = f"characters {one.start:,} to {one.end:,}"
        output().print(plain_text("    " + ", ".join([*dates, place, *quoted])), soft_wrap=True)
        if texts:
            output().print(plain_text(one.text.strip(), SHOWN_CHARACTERS), "")


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="Models",
        epilog=examples(
            'textmill ask "What does textwrap.dedent do?"',
            'textmill ask "Which module reads CSV files?" --passages 10 --model sft --json',
        ),
    )(ask)
