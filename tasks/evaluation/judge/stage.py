"""The judge stage: a model answers instructions, and another model, at an endpoint, judges the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from data_lake.store.files import write_whole
from data_lake.tables.documents import write_parquet
from tasks.evaluation.judge.answers import Answer, answers_of, instructions_of
from tasks.evaluation.judge.client import Cache, Failure, JudgeClient, Words
from tasks.evaluation.judge.config import JudgeConfig
from tasks.evaluation.judge.preflight import check
from tasks.evaluation.judge.prompts import prompts
from tasks.evaluation.judge.rows import judged, pairs, scores
from tasks.stage import Artifact, Output, kinds, stage
from tasks.stage.work import reading_with_model
from tasks.training.sft.formats import Conversation
from tasks.training.sft.instructions import Record, fingerprint_of

JUDGEMENTS = "judgements.parquet"
_KEPT = (("score_key", "score_words"), ("first_key", "first_words"), ("second_key", "second_words"))


def sources(config: JudgeConfig) -> str | None:
    """Return a fingerprint of the instruction files, so that the model is judged again if one is edited."""
    return fingerprint_of(config.data, "judge.data")


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that each instruction has a row, and that each row has a score or the reason why it has none."""
    import pyarrow.parquet as pq

    rows = pq.read_table(artifact.path / JUDGEMENTS, columns=["score", "score_failure"]).to_pylist()
    if len(rows) != artifact.counts.get("instructions"):
        yield f"{JUDGEMENTS} has {len(rows):,} rows, not one for each instruction."
    if any((row["score"] is None) == (row["score_failure"] is None) for row in rows):
        yield f"A row of {JUDGEMENTS} has neither a score nor the reason why there is none, or both."
    if any(row["score"] is not None and not 0 <= row["score"] <= 100 for row in rows):
        yield f"A score in {JUDGEMENTS} is not between 0 and 100."


@stage(
    makes=kinds.Judgement,
    headline=("judge_score",),
    per="model",
    version=1,
    contract=contract,
    sources=sources,
    check=check,
    gpu=True,
    work=reading_with_model,
    reuses=True,
)
def judge(config: JudgeConfig, out: Output, model: kinds.Model, against: kinds.Model | None = None) -> None:
    """Let the model answer instructions, and ask the judge for a score of each answer.

    `judge_score` is the mean score, from 0 to 100, of the answers that have one; higher is better. `judge_failures` is
    the share of answers without one, as the judge failed or wrote no score: they are counted by reason, and are no 0.
    With `against`, `wins_minus_losses` is the share of instructions where the judge finds the model's answer better in
    both orders, less the share where it finds it worse in both.
    """
    records = instructions_of(config, out, model)
    rows = _answered(config, out, records, model, against)
    client = JudgeClient(config, _known(out))
    found = client.ask(
        (prompt for row in rows for prompt in prompts(config, row)),
        lambda done, total: out.progress(done, total, "judgements"),
    )
    _too_many_failures(config, found)
    rows = [judged(config, row, found, client.key) for row in rows]
    results: dict[str, Any] = {
        "judge": {"model": config.model, "seed": config.seed, "prompt": config.prompt},
        "score": scores(rows),
    }
    out.metric(judge_score=results["score"]["mean"], judge_failures=1 - results["score"]["n"] / len(rows))
    if against is not None:
        results["pairs"] = {"against": against.name, "prompt": config.pair_prompt, **pairs(rows)}
        out.metric(wins_minus_losses=results["pairs"]["wins_minus_losses"])
    out.count(
        instructions=len(rows),
        scored=results["score"]["n"],
        empty_answers=sum(not row["answer"].strip() for row in rows),
        prompts_cut=sum(row["tokens_left_out"] > 0 for row in rows),
    )
    _say(out, results)
    write_whole(out.dir / "results.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    _write(out, rows)
    shown = ("instruction", "expected", "answer", "score", "score_words", "score_failure", "verdict")
    out.table("judgements", [{name: row[name] for name in shown} for row in rows[:100]])


def _answered(
    config: JudgeConfig, out: Output, records: list[Record], model: Artifact, against: Artifact | None
) -> list[dict[str, Any]]:
    """Return the rows with the answers of the model, and of the one it is compared with."""
    asked = [record.found for record in records if record.found is not None]
    total = len(asked) * (1 if against is None else 2)
    own = answers_of(config, model, asked, lambda done: out.progress(done, total, "answers"))
    others: list[Answer] | list[None] = [None] * len(asked)
    if against is not None:
        others = answers_of(config, against, asked, lambda done: out.progress(len(asked) + done, total, "answers"))
    return [
        {
            "place": record.place,
            "instruction": _as_text(one),
            "expected": one.output,
            "answer": answer.text,
            "ended": answer.ended,
            "tokens_left_out": answer.tokens_left_out,
            "against_answer": other and other.text,
        }
        for record, one, answer, other in zip(records, asked, own, others, strict=True)
    ]


def _as_text(one: Conversation) -> str:
    """Return a conversation up to the answer as a text for the judge; one without earlier turns is its instruction."""
    asked = f"{one.instruction}\n\n{one.input}" if one.input else one.instruction
    turns = [f"User: {user}\n\nAssistant: {assistant}" for user, assistant in one.history]
    before = [one.system, *turns] if one.system else turns
    return "\n\n".join([*before, f"User: {asked}"]) if before else asked


def _known(out: Output) -> Cache:
    """Return what this judge said before: in earlier attempts at this build, and of the same answers in another."""
    import pyarrow.parquet as pq

    cache = Cache(out.work / "judgements.jsonl")
    if out.reuse_from is not None:
        for row in pq.read_table(out.reuse_from.path / JUDGEMENTS).to_pylist():
            for key, words in _KEPT:
                # unparsable ones are asked again: whether they were cut at the length limit is not in the row
                reads = row["score_failure" if key == "score_key" else "pair_failure"] is None
                if reads and row[key] is not None and row[words] is not None:
                    cache.put(row[key], Words(row[words]))
    return cache


def _too_many_failures(config: JudgeConfig, found: dict[str, Words | Failure]) -> None:
    failed = [said for said in found.values() if isinstance(said, Failure)]
    if not failed:
        return
    if len(failed) == len(found) or len(failed) > config.max_failures * len(found):
        raise ConnectionError(
            f"The judge failed on {len(failed):,} of {len(found):,} questions, more than judge.max_failures allows "
            f"({config.max_failures:.0%}) or all of them; the last with {failed[-1].reason}: {failed[-1].detail}. "
            "Start again: only these are asked anew."
        )


def _say(out: Output, results: dict[str, Any]) -> None:
    score = results["score"]
    failed = "; ".join(f"{n:,} × {reason}" for reason, n in score["failures"].items())
    if score["mean"] is None:
        out.warning(f"The judge wrote no score for any of {score['asked']:,} answers: {failed}.")
        return
    interval = f", {LEVEL_WORDS} {score['low']:.1f} to {score['high']:.1f}" if score["low"] is not None else ""
    said = f"The judge's mean score is {score['mean']:.1f}{interval}, of {score['n']:,} answers"
    if failed:
        between = f"{score['if_failures_0']:.1f} and {score['if_failures_100']:.1f}"
        out.warning(
            f"{said}; {score['asked'] - score['n']:,} have none: {failed}. With them it lies between {between}."
        )
    else:
        out.info(f"{said}.")
    if pair := results.get("pairs"):
        out.info(
            f"Against {pair['against']}: {pair['wins']:,} wins, {pair['ties']:,} ties, {pair['losses']:,} losses, "
            f"{pair['asked'] - pair['n']:,} without a verdict"
            + (f"; sign test p = {pair['p']:.3g}." if pair["p"] is not None else ".")
        )


LEVEL_WORDS = "95 % interval"


def _write(out: Output, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa

    from data_lake.tables import schemas

    write_parquet(out.dir / JUDGEMENTS, pa.Table.from_pylist(rows, schema=schemas.JUDGEMENTS))
