"""The ask stage: a model answers questions about held-out pages, with the passages found, with the right one, alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from data_lake.tables.documents import write_parquet
from tasks.benchmarks.metrics import mean_and_stderr
from tasks.evaluation.computing import loaded
from tasks.evaluation.evaluate.preflight import context_of
from tasks.retrieval.ask.config import AskConfig
from tasks.retrieval.asking import given, room, that_fit
from tasks.retrieval.index.measures import holds, is_right
from tasks.retrieval.index.search import Search
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.gains import paired
from tasks.stage.preflight import Facts, Fault, device_faults
from tasks.stage.work import reading_with_model
from tasks.training.trained import chat_template_of

if TYPE_CHECKING:
    from model.gpt import GPT
    from model.templates import TemplateName
    from model.tokenizer import Tokenizer

FOUND, RIGHT, ALONE = "found", "right", "alone"
"""What a model reads: the passages that the index finds, the page's passage with the answer, nothing."""
TOKENS_PER_WORD = 1.6
"""Of English with the demo's vocabulary of 4,096 tokens."""


def check(config: AskConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be asked, and that its context is short for a passage."""
    yield from device_faults("ask.device", config.device)
    (context, field), words = context_of(facts), facts.value("index.passage_words")
    if context is not None and words is not None and words * TOKENS_PER_WORD > room(context, config.max_tokens):
        yield Fault(
            "index.passage_words",
            f"A passage of {words:,} words is about {words * TOKENS_PER_WORD:,.0f} tokens, but beside an answer of "
            f"{config.max_tokens:,} a context of {context:,} ({field}) has room for "
            f"{room(context, config.max_tokens):,}: passages lose their ends.",
            stops=False,
        )


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that each question has an answer in each way."""
    import pyarrow.parquet as pq

    asked = artifact.counts.get("questions", 0)
    answers = Counter(pq.read_table(artifact.path / "answers.parquet", columns=["way"])["way"].to_pylist())
    for way in {FOUND, ALONE, *answers}:
        if answers[way] != asked:
            yield f"answers.parquet has {answers[way]:,} answers of the way {way}, not {asked:,}."


@stage(
    makes=kinds.Asked,
    headline=("exact", "exact_alone"),
    per="model",
    version=1,
    contract=contract,
    check=check,
    gpu=True,
    work=reading_with_model,
)
def ask(config: AskConfig, out: Output, model: kinds.Model, index: kinds.Index) -> None:
    """Ask the model the questions of the index, and compare its answers with the right ones word for word.

    `exact` is the share of right answers with the passages that the index finds, `exact_right` (if asked) with the one
    that has the answer (what a better index could gain at most), `exact_alone` without any (what the model knows or
    guesses); `gain` is the mean difference of the first and the last, whose standard error counts the questions of a
    page as one trial. `quoted` is the share of answers that stand in what the model was given, word for word. All with
    standard errors.
    """
    import pyarrow.parquet as pq

    template = chat_template_of(model)
    asked = pq.read_table(index.path / "questions.parquet").to_pylist()[: config.questions]
    if template is None:
        raise PermanentError(
            f"{model.name} was taught no chat, so it answers nothing: let sft teach it, or leave out ask."
        )
    if not asked:
        raise PermanentError(f"{index.name} has no questions: no held-out page is one of Python's documentation.")
    search = Search(index.path)
    rows: list[dict[str, Any]] = []
    with loaded(config, model) as (writer, tokenizer):
        if writer.config.network != "decoder":
            raise PermanentError(f"{model.name} is an {writer.config.network}; only decoders answer questions.")
        ways = (FOUND, RIGHT, ALONE) if config.right else (FOUND, ALONE)
        for way in ways:
            part = [_question(config, search, one, way, writer, tokenizer, template) for one in asked]
            for start in range(0, len(part), config.batch):
                out.progress(len(rows), len(ways) * len(asked), "answers")
                rows += _answered(config, part[start : start + config.batch], writer, tokenizer, template)
    _report(out, rows)


def _question(
    config: AskConfig,
    search: Search,
    asked: dict[str, Any],
    way: str,
    writer: GPT,
    tokenizer: Tokenizer,
    template: TemplateName,
) -> dict[str, Any]:
    """Return a row of the results without its answer, and the prompt in tokens."""
    from model.chat import prompt_of

    def ids(text: str) -> list[int]:
        return list(prompt_of(tokenizer, asked["question"], text, template=template).ids)

    most = room(writer.config.max_seq_len, config.max_tokens)
    passages = []
    if way == FOUND:
        passages = search.find(asked["question"], config.passages)
    elif way == RIGHT and asked["passage"] is not None:
        passages = search.numbered([asked["passage"]])
    shown = that_fit(passages, lambda text: len(ids(text)) <= most)
    text = given(shown)
    return {
        "question": asked["question"],
        "answers": asked["answers"],
        "doc_id": asked["doc_id"],
        "way": way,
        "passages": [one.number for one in shown],
        "given": text,
        "has_answer": holds(text, asked["answers"]),
        "prompt": ids(text),
    }


def _answered(
    config: AskConfig, part: list[dict[str, Any]], writer: GPT, tokenizer: Tokenizer, template: TemplateName
) -> list[dict[str, Any]]:
    from model.chat import stop_ids
    from model.generate import generate_batch

    prompts = [one.pop("prompt") for one in part]
    made = generate_batch(
        writer, prompts, config.max_tokens, stop=stop_ids(tokenizer, template), batch_size=config.batch
    )
    rows = []
    for one, text in zip(part, made, strict=True):
        answer = tokenizer.decode(text.ids).strip()
        rows.append(
            {
                **one,
                "answer": answer,
                "exact": is_right(answer, one["answers"]),
                "quoted": bool(answer) and holds(one["given"], [answer]),
                "mean_log_prob": text.mean_log_prob,
            }
        )
    return rows


def _report(out: Output, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa

    from data_lake.tables.schemas import ASKED

    by_way = {way: [row for row in rows if row["way"] == way] for way in {row["way"]: None for row in rows}}
    shares: dict[str, list[float]] = {
        ("exact" if way == FOUND else f"exact_{way}"): [float(row["exact"]) for row in part]
        for way, part in by_way.items()
    }
    shares["quoted"] = [float(row["quoted"]) for row in by_way[FOUND]]
    shares["given_answer"] = [float(row["has_answer"]) for row in by_way[FOUND]]
    for name, values in shares.items():
        mean, error = mean_and_stderr(values)
        out.metric(**{name: mean, f"{name}_stderr": error})
    out.count(questions=len(by_way[FOUND]))
    pages = [row["doc_id"] for row in by_way[FOUND]]
    out.gain(paired("right answers", "without pages", shares["exact_alone"], shares["exact"], groups=pages))
    out.table("answers", [{k: row[k] for k in ("question", "way", "given", "answer", "exact")} for row in rows[:100]])
    write_parquet(out.dir / "answers.parquet", pa.Table.from_pylist(rows, schema=ASKED))
