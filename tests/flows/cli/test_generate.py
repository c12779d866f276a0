"""`textmill generate`: one prompt or many, for people and for programs, and what is wrong with a command.

Also covers: tasks/delivery/generation.py
Also covers: tasks/training/trained.py
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.delivery.generation import Writer
from tasks.training.trained import CHAT_TEMPLATE
from tests.flows.cli.untrained import untrained
from tests.terminal import data, notes, textmill


def test_the_same_seed_says_the_same(model: Artifact) -> None:
    arguments = ("generate", "pretrain", "a mill", "--max-tokens", "5", "--temperature", "1", "--seed", "3")
    assert textmill(*arguments) == textmill(*arguments)
    assert textmill("generate", model.name, "-", "--max-tokens", "3", stdin="from stdin").endswith("\n")


def test_a_model_is_asked_in_the_chat_template_if_its_folder_says_that_it_was_taught_it(home: Path) -> None:
    def asked(template: str | None) -> str:
        made = untrained(home, template)
        return " ".join(notes("generate", made.name, "a mill", "--max-tokens", "1000").split())

    assert "with the prompt's 7 it" in asked(None)  # <|bos|> and six letters
    assert "with the prompt's 9 it" in asked(CHAT_TEMPLATE)  # and the roles of user and assistant
    assert "with the prompt's 13 it" in asked("phi3")  # <|user|> and <|assistant|> are special tokens here
    strange = untrained(home, "vicuna")
    said = textmill("generate", strange.name, "a mill", code=1)
    assert "was taught the chat template 'vicuna', which textmill does not know" in " ".join(said.split())


def test_the_prompt_is_kept_and_the_answer_shortened(model: Artifact) -> None:
    answers = [textmill("generate", "pretrain", prompt, "--max-tokens", "1000") for prompt in ("a mill", "the sea")]
    assert answers[0] != answers[1]
    # <|bos|> and six letters leave 25 places, and the last token of an answer needs none
    said = notes("generate", "pretrain", "a mill", "--max-tokens", "1000")
    assert "ends after 26 of 1,000 tokens: with the prompt's 7 it fills the model's context of 32" in " ".join(
        said.split()
    )
    long = " ".join(notes("generate", "pretrain", "x" * 100, "--max-tokens", "3").split())
    assert "prompt has 101 tokens, but the model's context only 32: the first 72 tokens" in long
    assert "ends after" not in long


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pretrain", " "], "The prompt is empty"),
        (["pretrain", "x", "--top-p", "0"], "--top-p 0 leaves no token to sample"),
        (["pretrain", "x", "--device", "abacus"], "abacus"),
        (["pretrain"], "There is no prompt"),
        (["pretrain", "x", ""], "The prompt is empty"),
        (["pretrain", "x", "--n", "2"], "all 2 answers are the same"),
        (["pretrain", "x", "--n", "0", "--temperature", "1"], "--n"),
        (["pretrain", "x", "--min-p", "2"], "--min-p"),
        (["pretrain", "x", "--min-p", "nan"], "--min-p"),
        (["pretrain", "x", "--repetition-penalty", "0"], "repetition_penalty > 0"),
        (["pretrain", "x", "--stop", ""], "none of them empty"),
        (["pretrain", "x", "--prompts", "nosuch.txt"], "nosuch.txt cannot be read"),
        (["pretrain", "x", "--max-tokens", "0"], "--max-tokens"),
        (["pretrain", "x", "--temperature", "inf"], "finite temperature"),
        (["pretrain", "x", "--seed", str(2**64), "--temperature", "1"], "does not fit 64 bits"),
        (["sft", "x"], "The lake has no artifact 'sft': there are artifacts of pretrain"),
    ],
)
def test_what_cannot_be_generated(model: Artifact, arguments: list[str], words: str) -> None:
    assert words in textmill("generate", *arguments, code=2)


def test_an_artifact_without_a_model(lake: Lake) -> None:
    assert "has no model" in textmill("generate", "dedup", "x", code=2)


def test_a_damaged_model_is_not_used(model: Artifact) -> None:
    with (model.path / "model.safetensors").open("ab") as file:
        file.write(b"x")
    assert "`textmill run` builds it again" in textmill("generate", "pretrain", "x", code=2)


def test_several_prompts_are_answered_as_each_alone(model: Artifact, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("the sea\n\nbread\n", encoding="utf-8")
    (tmp_path / "more.jsonl").write_text('{"prompt": "the sea"}\n{"prompt": "bread", "id": 3}\n', encoding="utf-8")
    settings = ("--max-tokens", "6", "--temperature", "1.2", "--seed", "5")
    for file in ("more.txt", "more.jsonl"):
        made = data("generate", "pretrain", "a mill", "--prompts", str(tmp_path / file), "--n", "2", *settings)
        assert [(one["prompt"], one["seed"]) for one in made] == [
            (prompt, seed) for prompt in ("a mill", "the sea", "bread") for seed in (5, 6)
        ]
        for one in made:
            alone = textmill("generate", "pretrain", one["prompt"], *settings[:4], "--seed", str(one["seed"]))
            assert alone == one["text"] + "\n"
            assert one["tokens"] <= 6
    shown = textmill("generate", "pretrain", "a mill", "bread", "--max-tokens", "4")
    assert shown.index("a mill") < shown.index("bread")


def test_how_sure_the_model_is(model: Artifact) -> None:
    made = data("generate", "pretrain", "a mill", "--max-tokens", "6")[0]
    assert made["mean_log_prob"] == pytest.approx(-math.log(264), abs=0.5)  # it knows nothing, of 264 tokens
    said = notes("generate", "pretrain", "a mill", "--max-tokens", "6")
    assert f"Mean log-probability: {made['mean_log_prob']:.3f} nats per token" in " ".join(said.split())


def test_a_question_about_a_text_is_asked_with_it_and_keeps_its_words(home: Path, tmp_path: Path) -> None:
    made = untrained(home, CHAT_TEMPLATE)
    (tmp_path / "page.txt").write_text("  the sea\n", encoding="utf-8")
    arguments = ("generate", made.name, "where", "--max-tokens", "3")
    asked = [data(*arguments, "--input", given)[0] for given in ("the sea", f"@{tmp_path / 'page.txt'}")]
    assert asked[0] == asked[1] != data(*arguments)[0]
    assert asked[0]["prompt_tokens"] == len("<>where\n\nthe sea<")  # <|bos|>, both roles, and bytes
    assert asked[0]["is_quotation"] is False
    assert data(*arguments)[0]["is_quotation"] is None
    said = " ".join(notes(*arguments, "--input", "x" * 40).split())
    assert "the last 21 tokens of the input were left out" in said
    assert "The answer does not stand in the input word for word." in said
    page = "the sea\n" * 9 + "where:\n a mill\nthe end"
    for question in (arguments, ("generate", untrained(home).name, "where", "--max-tokens", "3")):
        long = data(*question, "--input", page)[0]
        assert long["excerpt"] == "where:\n a mill"
        assert long["prompt_tokens"] == data(*question, "--input", long["excerpt"])[0]["prompt_tokens"]
    assert "read only what fits the question best, from 'where:' on" in " ".join(
        notes(*arguments, "--input", page).split()
    )
    continued = untrained(home)
    assert data("generate", continued.name, "b", "--input", "a")[0]["prompt_tokens"] == len("<a\n\nb")


@pytest.mark.parametrize(
    ("given", "words"), [(" ", "text of --input is empty"), ("@nosuch.txt", "nosuch.txt cannot be read")]
)
def test_an_input_that_cannot_be_read(model: Artifact, given: str, words: str) -> None:
    assert words in textmill("generate", "pretrain", "x", "--input", given, code=2)


def test_an_answer_ends_before_the_stop_text(model: Artifact) -> None:
    whole = data("generate", "pretrain", "a mill", "--max-tokens", "20")[0]["text"]
    stop = whole[5:7]
    arguments = ("generate", "pretrain", "a mill", "--max-tokens", "20", "--stop", "never said", "--stop", stop)
    made = data(*arguments)[0]
    assert (made["text"], made["finish"]) == (whole[: whole.index(stop)], "stop")
    assert textmill(*arguments) == made["text"] + "\n"


def test_past_the_context_the_oldest_text_slides_out(home: Path) -> None:
    for template, kept in ((None, 1), (CHAT_TEMPLATE, 9)):  # <|bos|>; or the whole question with its roles
        made = untrained(home, template)
        said = notes("generate", made.name, "a mill", "--max-tokens", "40", "--slide")
        once = (32 - kept) // 4
        slid = -(-(kept + 39 + (0 if template else 6) - 32) // once) * once
        assert f"the oldest {slid} slid out of its sight" in " ".join(said.split())
        assert "ends after" not in said
        assert data("generate", made.name, "a mill", "--max-tokens", "40", "--slide")[0]["tokens"] == 40


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("latin.txt", b"caf\xe9", "is not UTF-8 text (byte 3)"),
        ("empty.txt", b"\n\n", "all of its lines are empty"),
        ("broken.jsonl", b'{"prompt": "x"}\n{', "Line 2 of"),
        ("other.jsonl", b'{"question": "x"}', "has no prompt"),
        ("list.jsonl", b"[1]", "has no prompt"),
        ("number.jsonl", b'{"prompt": 3}', "has no prompt"),
    ],
)
def test_a_file_without_prompts(model: Artifact, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in " ".join(textmill("generate", "pretrain", "--prompts", str(tmp_path / name), code=2).split())


def test_a_text_of_a_writer_does_not_depend_on_how_it_is_shown(model: Artifact) -> None:
    from model.sampling import Sampling

    writer, pieces = Writer(model, "cpu"), []
    shown = writer.write(["é🙂"], 12, Sampling(1.0, seed=1), show=pieces.append)
    assert shown == writer.write(["é🙂"], 12, Sampling(1.0, seed=1))
    assert "".join(pieces) == shown[0].text
    assert len(pieces) > 1


def test_an_encoder_decoder_reads_the_prompt_as_its_source(home: Path) -> None:
    made = untrained(home, network="encoder-decoder")
    one, other = data("generate", made.name, "a mill", "b" * 50, "--max-tokens", "40")
    assert (one["prompt_tokens"], one["prompt_tokens_left_out"]) == (7, 0)  # six letters and <|eos|>
    assert (other["prompt_tokens"], other["prompt_tokens_left_out"]) == (32, 19)
    assert one["tokens"] == 32  # the prompt takes no room from the answer
    said = " ".join(notes("generate", made.name, "b" * 50, "--max-tokens", "40").split())
    assert "only 32: the last 19 tokens of its text were left out" in said
    assert "The answer ends after 32 of 40 tokens: it fills the model's context of 32." in said
    assert "An encoder reads whole texts" in textmill(
        "generate", untrained(home, network="encoder").name, "a mill", code=2
    )


def test_a_tokenizer_without_roles_will_do(home: Path) -> None:
    made = untrained(home, specials=("<|pad|>",))
    assert data("generate", made.name, "a mill", "--max-tokens", "99")[0]["prompt_tokens"] == 6
    assert data("generate", made.name, "m" * 99, "--max-tokens", "2")[0]["prompt_tokens_left_out"] == 69
