"""judge: the numbers are those of the rows, nothing is dropped or scored 0, and both orders are asked.

Also covers: tasks/evaluation/judge/answers.py
Also covers: tasks/evaluation/judge/config.py
Also covers: tasks/evaluation/judge/preflight.py
Also covers: tasks/evaluation/judge/prompts.py
Also covers: tasks/evaluation/judge/rows.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from aiohttp import web
from pydantic import ValidationError

from data_lake.store.lake import Artifact, Lake
from flows.recipe.recipe import Recipe
from tasks.evaluation.judge import JudgeConfig, judge
from tasks.evaluation.judge.preflight import check
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts
from tests.tasks.evaluation.judge.server import Judge, completion, judging
from tests.tasks.pydoc_corpus import build_corpus, build_models

Built = dict[str, Artifact]
PROMPT = "score\n{instruction}\n{expected}\n{answer}"
PAIR = "pair\n{instruction}\n<{first}>\n<{second}>"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Built]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    return lake, build_models(lake, built)


def config_for(server: Judge, **settings: Any) -> JudgeConfig:
    given = {"base_url": server.url, "answer_tokens": 8, "limit": 10, "backoff_seconds": 0.0, "retries": 0}
    return JudgeConfig(**{**given, "prompt": PROMPT, "pair_prompt": PAIR, **settings})


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "judgements.parquet").to_pylist()
    return rows


def instructions(path: Path, number: int) -> str:
    path.write_text("".join(json.dumps({"prompt": f"{n}?", "completion": f"{n}"}) + "\n" for n in range(number)))
    return str(path)


def test_the_results_are_those_of_the_rows(built: tuple[Lake, Built]) -> None:
    lake, artifacts = built
    with judging(lambda request, prompt: str(len(prompt) % 101)) as server:
        made = judge.build(lake, config_for(server), {"model": artifacts["sft"]}).artifact
    rows = rows_of(made.path)
    held_out = [json.loads(line) for line in (artifacts["sft"].path / "alpaca_validation.jsonl").open()]
    assert len(rows) == made.counts["instructions"] == made.counts["scored"] == min(10, len(held_out))
    assert {row["expected"] for row in rows} <= {row["output"] for row in held_out}
    asked = {f"score\n{row['instruction']}\n{row['expected']}\n{row['answer']}": row["score"] for row in rows}
    assert asked == {prompt: len(prompt) % 101 for prompt in server.prompts}
    results = json.loads((made.path / "results.json").read_text())["score"]
    assert results["mean"] == made.metrics["judge_score"] == pytest.approx(sum(asked.values()) / len(rows))
    assert results["failures"] == {}
    assert made.metrics["judge_failures"] == 0


def test_answers_are_the_models_own_whatever_the_model(built: tuple[Lake, Built], tmp_path: Path) -> None:
    """A model without a chat template continues the text; sft's answers are those that sft shows itself."""
    artifacts = built[1]
    samples = [json.loads(line) for line in (artifacts["sft"].path / "samples.jsonl").open()]
    shown = {
        ("\n\n".join(filter(None, [row["instruction"], row["input"]])), row["output"]): row["answer"] for row in samples
    }
    data = instructions(tmp_path / "asked.jsonl", 3)
    with judging(lambda request, prompt: "50") as server:
        for name in ("sft", "pretrain"):
            judge(config_for(server, data=(data,)), local_output(tmp_path / name), model=artifacts[name])
            assert len(rows_of(tmp_path / name)) == 3
        judge(config_for(server, limit=1000), local_output(tmp_path / "own"), model=artifacts["sft"])
    written = {(row["instruction"], row["expected"]): row["answer"] for row in rows_of(tmp_path / "own")}
    assert shown
    assert shown.items() <= written.items()
    with pytest.raises(PermanentError, match=r"not made by sft.*judge\.data"):
        judge(JudgeConfig(), local_output(tmp_path / "none"), model=artifacts["pretrain"])


def test_a_judge_that_never_answers_has_judged_nothing(built: tuple[Lake, Built], tmp_path: Path) -> None:
    data = instructions(tmp_path / "asked.jsonl", 3)
    with judging(lambda request, prompt: web.Response(status=500)) as server:
        config = config_for(server, data=(data,), max_failures=1.0)
        with pytest.raises(ConnectionError, match=r"3 of 3 questions.*or all of them; the last with status 500"):
            judge(config, local_output(tmp_path / "out"), model=built[1]["sft"])


def test_what_has_no_score_is_counted_with_its_reason_and_is_no_zero(built: tuple[Lake, Built], tmp_path: Path) -> None:
    def mixed(request: web.Request, prompt: str) -> web.Response:
        number = int(prompt.splitlines()[1].rstrip("?"))
        if number == 0:
            return web.Response(text="<html>")
        if number == 1:
            return completion("Of 5 points it has 4, so", "length")
        return completion("rather good" if number < 4 else "80")

    data = instructions(tmp_path / "asked.jsonl", 8)
    out = local_output(tmp_path / "out")
    with judging(mixed) as server:
        judge(config_for(server, data=(data,), max_failures=0.2), out, model=built[1]["sft"])
    results = json.loads((out.dir / "results.json").read_text())["score"]
    assert results["failures"] == {"cut at max_tokens": 1, "no JSON": 1, "unparsable": 2}
    assert (results["asked"], results["n"], results["mean"]) == (8, 4, 80)
    assert (results["if_failures_0"], results["if_failures_100"]) == (40, 90)
    assert (out.metrics["judge_score"], out.metrics["judge_failures"]) == (80, 0.5)
    rows = rows_of(out.dir)
    assert [row["score_words"] for row in rows if row["score_failure"] == "unparsable"] == ["rather good"] * 2
    assert sum(row["score"] is None for row in rows) == 4


def test_a_judge_that_scores_nothing_has_no_mean(built: tuple[Lake, Built], tmp_path: Path) -> None:
    out = local_output(tmp_path / "out")
    with judging(lambda request, prompt: "no idea") as server:
        judge(config_for(server), out, model=built[1]["sft"])
    assert (out.metrics["judge_score"], out.metrics["judge_failures"]) == (None, 1)


def test_after_too_many_failures_a_retry_asks_only_what_is_missing(built: tuple[Lake, Built], tmp_path: Path) -> None:
    lake, artifacts = built
    data = instructions(tmp_path / "asked.jsonl", 9)
    works: list[bool] = []

    def half(request: web.Request, prompt: str) -> web.Response:
        number = int(prompt.splitlines()[1].rstrip("?"))
        return completion("5") if works or number % 2 else web.Response(status=500)

    with judging(half) as server:
        config = config_for(server, data=(data,))
        with pytest.raises(ConnectionError, match=r"failed on 5 of 9 questions.*status 500"):
            judge.build(lake, config, {"model": artifacts["sft"]})
        works.append(True)
        made = judge.build(lake, config, {"model": artifacts["sft"]}).artifact
        assert len(server.asked) == 9 + 5
        # a model that writes the same answers gives no new question
        out = local_output(tmp_path / "again")
        out.reuse_from = made
        judge(config, out, model=artifacts["sft"])
        assert len(server.asked) == 9 + 5
    assert rows_of(out.dir) == rows_of(made.path)


def test_the_address_and_the_key_are_not_in_the_key_but_judge_and_prompt_are(built: tuple[Lake, Built]) -> None:
    def key(**settings: Any) -> str:
        return str(judge.payload(JudgeConfig(**settings), {"model": "x"})["config"])

    assert key() == key(base_url="https://else.example/v1", api_key_variable="K", concurrency=9, retries=0)
    assert len({key(), key(model="other"), key(prompt="{instruction}{answer}"), key(seed=1), key(limit=3)}) == 5


@pytest.mark.parametrize(
    ("says", "verdict"),
    [("first", "tie"), ("second", "tie"), ("own", "win"), ("other", "loss"), ("C", "tie"), ("hm", None)],
)
def test_two_models_are_compared_in_both_orders(
    built: tuple[Lake, Built], tmp_path: Path, says: str, verdict: str | None
) -> None:
    artifacts = built[1]
    answers: dict[str, str] = {}

    def pick(request: web.Request, prompt: str) -> str:
        kind, instruction, *_ = prompt.split("\n")
        if kind == "score":
            answers[instruction] = prompt.split("\n", 3)[3]
            return "1"
        first, second = re.findall(r"<(.*?)>(?=\n<|\Z)", prompt, re.DOTALL)
        assert first != second, "the two models write the same; the test needs others"
        own = "A" if first == answers[instruction] else "B"
        return {"first": "A", "second": "B", "own": own, "other": "AB".replace(own, "")}.get(says, says)

    data = instructions(tmp_path / "asked.jsonl", 6)
    out = local_output(tmp_path / "out")
    with judging(pick) as server:
        config = config_for(server, data=(data,), concurrency=1)
        judge(config, out, model=artifacts["sft"], against=artifacts["pretrain"])
        assert len(server.asked) == 3 * 6
    assert {row["verdict"] for row in rows_of(out.dir)} == {verdict}
    found = json.loads((out.dir / "results.json").read_text())["pairs"]
    counts = {"win": found["wins"], "tie": found["ties"], "loss": found["losses"]}
    assert counts == {name: 6 * (name == verdict) for name in counts}
    assert found["failures"] == ({} if verdict else {"unparsable": 6})
    assert found["n"] + sum(found["failures"].values()) == found["asked"] == 6
    assert found["p"] == (None if verdict is None else 1 if verdict == "tie" else pytest.approx(2 / 2**6))


def test_broken_records_are_put_aside_and_braces_in_a_text_stay(built: tuple[Lake, Built], tmp_path: Path) -> None:
    data = tmp_path / "asked.jsonl"
    one = json.dumps({"instruction": "What is {answer}?", "input": "{x}", "output": "{expected}"})
    told = json.dumps({"messages": [{"role": role, "content": text} for role, text in
                                    [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello"),
                                     ("user", "Who?"), ("assistant", "Me")]]})  # fmt: skip
    data.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([one, "{", one, '{"prompt": 5, "completion": "x"}', told]).encode())
    out = local_output(tmp_path / "out")
    with judging(lambda request, prompt: "1") as server:
        judge(config_for(server, data=(str(data),)), out, model=built[1]["sft"])
    assert out.counts["instructions"] == 2
    assert out.counts["rejected"] == 3
    assert out.accounts is not None
    assert not list(out.accounts.problems())
    assert {line["place"] for line in map(json.loads, (out.dir / "rejected.jsonl").open())} == {
        "asked.jsonl:2", "asked.jsonl:3", "asked.jsonl:4",
    }  # fmt: skip
    shown = sorted(server.prompts)
    assert any(prompt.startswith("score\nWhat is {answer}?\n\n{x}\n{expected}\n") for prompt in shown)
    assert any("Be kind.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Who?" in prompt for prompt in shown)


def test_a_long_prompt_is_cut_and_counted(built: tuple[Lake, Built], tmp_path: Path) -> None:
    data = tmp_path / "asked.json"
    data.write_text(json.dumps([{"prompt": "long " * 400, "completion": "x"}]))
    out = local_output(tmp_path / "out")
    with judging(lambda request, prompt: "1") as server:
        judge(config_for(server, data=(str(data),)), out, model=built[1]["sft"])
    assert out.counts["prompts_cut"] == 1


def test_what_a_plan_can_know_it_says(built: tuple[Lake, Built], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_KEY", raising=False)
    config = JudgeConfig(data=("nosuch.jsonl",), api_key_variable="NO_KEY", device="nodevice")
    faults = {fault.field: fault.reason for fault in check(config, Facts({"judge": config}, built[0]))}
    assert set(faults) == {"judge.device", "judge.api_key_variable", "judge.data"}
    assert "judge.data names 'nosuch.jsonl'" in faults["judge.data"]
    assert not list(check(JudgeConfig(), Facts({"judge": JudgeConfig()}, built[0])))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"base_url": "localhost:80/v1"}, "must be http"),
        ({"base_url": "http://"}, "must be http"),
        ({"base_url": "http://host:99999/v1"}, "must be http"),
        ({"base_url": "https://me:secret@host/v1"}, "no password"),
        ({"prompt": "Score {answer}"}, r"lacks \{instruction\}"),
        ({"pair_prompt": "{instruction}{answer}"}, r"lacks \{first\} and \{second\}"),
        ({"api_key_variable": "sk-abc"}, "pattern"),
    ],
)
def test_a_config_that_cannot_work_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        JudgeConfig(**given)


def test_a_recipe_has_something_to_judge() -> None:
    with pytest.raises(ValidationError, match="nothing to ask"):
        Recipe.model_validate({"judge": {}, "sft": None})
    Recipe.model_validate({"judge": {"data": ["a.jsonl"]}, "sft": None})
