"""A few rows of each benchmark in its official format, made up, for parity tests."""

from __future__ import annotations

import random
from typing import Any

_TEXT = (
    "the heron walked over a frozen lake and sang on then the baker in town sold bread, stones. rain fell other often "
    "Maria thought of winter music, of a lantern with green glass and its long shadow on the northern wall"
)
WORDS = _TEXT.split()


def words(source: random.Random, least: int, most: int) -> str:
    """Return some random words."""
    return " ".join(source.choices(WORDS, k=source.randint(least, most)))


def rows_of(task: str, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return rows of a benchmark, other ones for another seed."""
    source = random.Random(f"{task.removesuffix('_continuation')} {seed}")
    return [ROWS[task](source, number) for number in range(count)]


def _hellaswag(source: random.Random, number: int) -> dict[str, Any]:
    endings = [f"{words(source, 2, 7)} [step] {words(source, 1, 3)}  ." for _ in range(4)]
    fields = {"activity_label": words(source, 1, 2), "ctx_a": words(source, 5, 12), "ctx_b": words(source, 1, 2)}
    label = str(source.randrange(4))
    return {"ind": number, **fields, "ctx": "", "endings": endings, "label": label, "source_id": f"wikihow~{number}"}


def _arc(source: random.Random, number: int) -> dict[str, Any]:
    labels = ["A", "B", "C", "D", "E"][: source.randint(3, 5)] if number % 2 else ["1", "2", "3", "4"]
    choices = {"text": [words(source, 1, 6) for _ in labels], "label": labels}
    question = words(source, 5, 12) + "?"
    return {"id": f"q{number}", "question": question, "choices": choices, "answerKey": source.choice(labels)}


def _piqa(source: random.Random, number: int) -> dict[str, Any]:
    ways = {"sol1": words(source, 2, 9), "sol2": words(source, 2, 9)}
    return {"goal": words(source, 3, 8), **ways, "label": source.randrange(2)}


def _winogrande(source: random.Random, number: int) -> dict[str, Any]:
    sentence = f"{words(source, 3, 7)} because _ {words(source, 2, 6)}."
    return {"sentence": sentence, "option1": "Maria", "option2": "the baker", "answer": source.choice("12")}


def _truthfulqa(source: random.Random, number: int) -> dict[str, Any]:
    one = [words(source, 1, 6) for _ in range(4)]
    several = {"choices": [words(source, 1, 6) for _ in range(5)], "labels": [1, 1, 0, 0, 0]}
    question = words(source, 4, 8) + "?"
    return {"question": question, "mc1_targets": {"choices": one, "labels": [1, 0, 0, 0]}, "mc2_targets": several}


def _lambada(source: random.Random, number: int) -> dict[str, Any]:
    return {"text": words(source, 8, 20) if number else "a\\n\\n quoted line said the heron"}


def _wikitext(source: random.Random, number: int) -> dict[str, Any]:
    head = f" = {words(source, 1, 2)} = \n \n = = A part = = \n "
    body = f'the 1 @,@ 200 " quoted " words , it \'s ( a note ) {words(source, 40, 120 * (number + 1))} . \n'
    return {"page": head + body}


def _mmlu(source: random.Random, number: int) -> dict[str, Any]:
    choices = [words(source, 1, 5) for _ in range(4)]
    return {"question": f" {words(source, 4, 9)}? ", "subject": "", "choices": choices, "answer": source.randrange(4)}


def _sentences(*names: str, labels: int = 2) -> Any:
    def row(source: random.Random, number: int) -> dict[str, Any]:
        return {**{name: words(source, 3, 9) for name in names}, "label": source.randrange(labels), "idx": number}

    return row


def _copa(source: random.Random, number: int) -> dict[str, Any]:
    texts = {name: f"The {words(source, 2, 6)}." for name in ("premise", "choice1", "choice2")}
    return {**texts, "question": source.choice(["cause", "effect"]), "label": source.randrange(2)}


def _record(source: random.Random, number: int) -> dict[str, Any]:
    names = ["The Baker", "Maria", "a heron's wall", "Town, North", "Maria"]
    passage = f"{words(source, 5, 9)}\n@highlight\n{words(source, 3, 5)}\n@highlight\nMaria sang"
    answers = source.sample(names, 2)
    return {"passage": passage, "query": "then @placeholder sang on", "entities": names, "answers": answers}


def _wic(source: random.Random, number: int) -> dict[str, Any]:
    texts = {"sentence1": f"a lake of {words(source, 1, 4)}", "sentence2": f"the lake {words(source, 1, 4)}"}
    return {"word": "lake", **texts, "start1": 2, "end1": 6, "start2": 4, "end2": 8, "label": source.randrange(2)}


def _wsc(source: random.Random, number: int) -> dict[str, Any]:
    text = 'Maria said that the wall ( of stone ) is n\'t high , as " she " saw it .'
    spans = {"span1_index": 0, "span1_text": "Maria", "span2_index": 15, "span2_text": "she"}
    return {"text": f"{text} {words(source, 1, 4)}", **spans, "label": source.randrange(2)}


def _gsm8k(source: random.Random, number: int) -> dict[str, Any]:
    result = source.randint(1, 2000)
    answer = f"{words(source, 3, 6)} <<2*3=6>>6.\nSo it is ${result:,}.\n#### {result:,}"
    return {"question": f"{words(source, 5, 9)}?", "answer": answer}


def _crows_pairs(source: random.Random, number: int) -> dict[str, Any]:
    kind = source.choice(["gender", "age", "race-color"])
    return {"id": number, "sent_more": words(source, 3, 9), "sent_less": words(source, 3, 9), "bias_type": kind}


def _winogender(source: random.Random, number: int) -> dict[str, Any]:
    gender, pronoun = source.choice([("male", "he"), ("female", "she"), ("neutral", "they")])
    people = {"occupation": "baker", "participant": "customer", "label": source.randrange(2)}
    sentence = f"The baker {words(source, 3, 6)} as {pronoun}."
    return {"sentence": sentence, "gender": gender, "pronoun": pronoun, **people}


def _bbq(source: random.Random, number: int) -> dict[str, Any]:
    people = [("The grandfather", ["grandfather", "old"]), ("The grandson", ["grandson", "nonOld"])]
    people.append(("Not known", ["not known", "unknown"]))
    source.shuffle(people)
    answers = {f"ans{place}": name for place, (name, _) in enumerate(people)}
    told = {f"ans{place}": groups for place, (_, groups) in enumerate(people)}
    facts = {"context": words(source, 4, 9), "question": f"{words(source, 2, 4)}?", "label": source.randrange(3)}
    kind = {
        "question_polarity": source.choice(["neg", "nonneg"]),
        "context_condition": ["ambig", "disambig"][number % 2],
    }
    more = {"subcategory": "None", "stereotyped_groups": ["old"], "version": "a", "source": ""}
    category = source.choice(["Age", "SES"])
    return {**kind, **facts, **answers, "category": category, "answer_info": told, "additional_metadata": more}


ROWS = {
    "cola": _sentences("sentence"),
    "sst2": _sentences("sentence"),
    "mrpc": _sentences("sentence1", "sentence2"),
    "qqp": _sentences("question1", "question2"),
    "mnli": _sentences("premise", "hypothesis", labels=3),
    "mnli_mismatch": _sentences("premise", "hypothesis", labels=3),
    "qnli": _sentences("question", "sentence"),
    "rte": _sentences("sentence1", "sentence2"),
    "wnli": _sentences("sentence1", "sentence2"),
    "boolq": _sentences("passage", "question"),
    "cb": _sentences("premise", "hypothesis", labels=3),
    "copa": _copa,
    "multirc": _sentences("paragraph", "question", "answer"),
    "record": _record,
    "sglue_rte": _sentences("premise", "hypothesis"),
    "wic": _wic,
    "wsc": _wsc,
    "gsm8k": _gsm8k,
    "crows_pairs_english": _crows_pairs,
    "winogender_all": _winogender,
    "bbq": _bbq,
    "hellaswag": _hellaswag,
    "arc_easy": _arc,
    "arc_challenge": _arc,
    "piqa": _piqa,
    "winogrande": _winogrande,
    "truthfulqa_mc1": _truthfulqa,
    "truthfulqa_mc2": _truthfulqa,
    "lambada_openai": _lambada,
    "wikitext": _wikitext,
    "mmlu": _mmlu,
    "mmlu_continuation": _mmlu,
}
