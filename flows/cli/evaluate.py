"""`textmill evaluate`: lm-evaluation-harness itself on a model of the lake, offline from local files."""

from __future__ import annotations

from typing import Annotated

import typer

from data_lake.store.lake import Miss
from flows.cli.arguments import AsJson, find_artifact, lake
from flows.cli.console import UserError, examples, in_sentences, output, print_json, table


@in_sentences
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="sft or pretrain (the newest), or stage/key")],
    harness: Annotated[str, typer.Option(metavar="TASKS", help="names of lm-eval's tasks, separated by commas")],
    data: Annotated[
        list[str], typer.Option(metavar="TASK=PATH", help="the files of a task: a file, folder or pattern; repeat it")
    ],
    shots: Annotated[int | None, typer.Option(min=0, help="num_fewshot; none = each task's own")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first items of each task")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Run lm-evaluation-harness itself on a model, with its own tasks on your files; nothing is fetched.

    `textmill run` measures the same by itself (questions.benchmarks), with equal numbers and without lm-eval.
    """
    wanted = [name.strip() for name in harness.split(",") if name.strip()]
    files = _files(wanted, data)
    found = find_artifact(model)
    if "model.safetensors" not in found.files:
        raise UserError(f"{found.name} is no model; name one, as in: textmill evaluate sft --harness piqa …")
    if isinstance(checked := lake().lookup(found.stage, found.key), Miss):
        raise UserError(f"{found.name} cannot be used: {checked.reason}. `textmill run` builds it again.")
    from tasks.evaluation.harness.run import run_harness
    from tasks.stage import PermanentError

    try:
        measured = run_harness(found, files, shots=shots, limit=limit, device=device)
    except (PermanentError, ValueError) as error:
        raise UserError(str(error)) from error
    if as_json:
        print_json({"model": found.name, "results": [vars(one) for one in measured]})
        return
    rows = table(f"lm-eval on {found.name}", ("task", "metric", "value", "± se", "items"), ("value", "± se", "items"))
    for one in measured:
        stderr = "" if one.stderr is None else f"{one.stderr:.4f}"
        rows.add_row(one.task, one.metric, f"{one.value:.4f}", stderr, f"{one.n:,}")
    output().print(rows)


def _files(wanted: list[str], data: list[str]) -> dict[str, list[str]]:
    """Return the files of each task; UserError if one has none, or files are given for another."""
    if not wanted:
        raise UserError("--harness names no task; give names of lm-eval's tasks, such as --harness piqa,arc_easy.")
    files: dict[str, list[str]] = {name: [] for name in wanted}
    for entry in data:
        name, equals, path = entry.partition("=")
        if not equals or not path:
            raise UserError(f"--data {entry} is not TASK=PATH, as in --data piqa=piqa/valid.jsonl.")
        if name not in files:
            raise UserError(f"--data gives files to {name}, but --harness names {', '.join(wanted)}.")
        files[name].append(path)
    if without := [name for name, paths in files.items() if not paths]:
        raise UserError(f"{without[0]} has no files: nothing is fetched, so give them, as in --data {without[0]}=PATH.")
    return files


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="Models",
        epilog=examples(
            "textmill evaluate sft --harness piqa --data piqa=piqa/valid.jsonl --limit 200",
            "textmill evaluate pretrain --harness arc_easy,hellaswag --data arc_easy=ai2_arc/ARC-Easy "
            "--data hellaswag=hellaswag_val.jsonl --shots 5",
        ),
    )(evaluate)
