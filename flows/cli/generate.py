"""`textmill generate`: using a model."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from data_lake.store.lake import Miss
from flows.cli.arguments import AsJson, find_artifact, lake
from flows.cli.console import UserError, examples, in_sentences, note, output, plain_text, print_json, write


@in_sentences
def generate(
    artifact: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="a model: sft, pretrain or seq2seq (the newest), or stage/key")
    ],
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT", help="questions, or texts to continue; - reads one from stdin"),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--prompts", metavar="FILE", help="more prompts: one per line, or the field prompt of each line of a .jsonl"
        ),
    ] = None,
    about: Annotated[
        str | None,
        typer.Option(
            "--input", metavar="TEXT", help="the text that the questions are about, such as a page; @FILE reads a file"
        ),
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="largest number of tokens of the answer")] = 120,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 = always the most likely token")] = 0.0,
    top_k: Annotated[int, typer.Option(min=0, help="sample from the k most likely tokens; 0 = from all")] = 0,
    top_p: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="sample from the most likely tokens that together reach this probability"),
    ] = 1.0,
    min_p: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="sample from tokens at least this likely, relative to the most likely one"),
    ] = 0.0,
    repetition_penalty: Annotated[
        float, typer.Option(help="above 1, tokens of prompt and answer become less likely; 1 = no penalty")
    ] = 1.0,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="end the answer before this text; may be repeated")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="answers per prompt, with seeds that count up")] = 1,
    seed: Annotated[int, typer.Option(help="seed of the sampling")] = 0,
    slide: Annotated[
        bool, typer.Option("--slide", help="when the context is full, go on without its oldest quarter")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Let a model answer a question (sft), continue a text (pretrain) or write one for another (seq2seq).

    Several prompts are answered in one batch.
    """
    if top_p == 0:
        raise UserError("--top-p 0 leaves no token to sample; give a value above 0, or --temperature 0.")
    if n > 1 and temperature == 0:
        raise UserError(f"Without sampling, all {n} answers are the same; give --n 1, or a --temperature above 0.")
    found = find_artifact(artifact)
    if "model.safetensors" not in found.files:
        raise UserError(
            f"{found.name} has no model; name an artifact of pretrain, sft or seq2seq, as in: textmill generate sft …"
        )
    texts = _prompts(prompts or [], file)
    given = "" if about is None else _given(about)
    if isinstance(checked := lake().lookup(found.stage, found.key), Miss):
        raise UserError(f"{found.name} cannot be used: {checked.reason}. `textmill run` builds it again.")
    from tasks.delivery.generation import Writer, sampling

    alone = len(texts) * n == 1 and not as_json
    try:
        drawn = sampling(temperature, top_k, top_p, seed, min_p, repetition_penalty, tuple(stop or ()))
        writer = Writer(found, device, slide=slide)
        made = writer.write(
            texts, max_tokens, drawn, n, given=given, show=(lambda piece: write(piece, flush=True)) if alone else None
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    if as_json:
        print_json([dataclasses.asdict(one) for one in made])
        return
    for one in made:
        if alone:
            write("\n")
        else:
            heading = plain_text(" ".join(one.prompt.split()), 60)
            heading.append(f" (seed {one.seed})" if n > 1 else "")
            heading.stylize("bold")
            output().print(heading)
            write(f"{one.text}\n\n")
        for sentence in one.notes(max_tokens, writer.model.config.max_seq_len):
            note(sentence)


def _prompts(given: list[str], file: Path | None) -> list[str]:
    """The prompts of the command line and of the file, none of them empty."""
    texts = [sys.stdin.read() if prompt == "-" else prompt for prompt in given]
    if any(not text.strip() for text in texts):
        raise UserError("The prompt is empty; give the model something to answer or to continue.")
    if file is not None:
        texts += _of_file(file)
    if not texts:
        raise UserError("There is no prompt; give the model something to answer or to continue, or --prompts FILE.")
    return texts


def _given(about: str) -> str:
    """The text of --input, without blanks around it, as in training."""
    text = (_read(Path(about[1:])) if about.startswith("@") else about).strip()
    if not text:
        raise UserError("The text of --input is empty; leave the option out, or give a text or @FILE.")
    return text


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text (byte {error.start:,}); convert it.") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error


def _of_file(file: Path) -> list[str]:
    texts = []
    for number, line in enumerate(_read(file).splitlines(), start=1):
        if not line.strip():
            continue
        text: object = line
        if file.suffix == ".jsonl":
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"Line {number} of {file} is not JSON ({error}).") from error
            text = row.get("prompt") if isinstance(row, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise UserError(f'Line {number} of {file} has no prompt; each line must be like {{"prompt": "text"}}.')
        texts.append(text)
    if not texts:
        raise UserError(f"{file} has no prompt: all of its lines are empty.")
    return texts


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="Models",
        epilog=examples(
            'textmill generate sft "What does textwrap.dedent do?"',
            'textmill generate sft "What does textwrap.dedent do?" --input @page.txt',
            'textmill generate pretrain "The module " --temperature 0.8 --top-k 40 --seed 1 --n 3',
            "textmill generate sft --prompts questions.txt --json",
        ),
    )(generate)
