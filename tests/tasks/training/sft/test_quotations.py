"""tasks/training/sft/quotations.py: made-up questions follow from seed and step, held-out pages are asked truly."""

from __future__ import annotations

import pytest
import torch

from data_lake.store.lake import Artifact
from model.losses import IGNORE
from tasks.training.sft import SftConfig, sft
from tasks.training.sft.quotations import Quotations
from tasks.training.trained import load_trained
from tests.tasks.pydoc_corpus import SFT, build_corpus, build_models

QUOTING = {**SFT, "quotations": {"count": 3, "passages": 2, "measured": 20}}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    models = build_models(lake, built)
    return {"corpus": models["decontaminate"], "base": models["pretrain"]}


@pytest.mark.parametrize("packed", [False, True])
def test_each_step_reads_other_made_up_questions_after_its_pairs(given: dict[str, Artifact], packed: bool) -> None:
    asked = SftConfig.model_validate({**QUOTING, "packed": packed})
    batch_of, tokenizer = sft.batches(asked, given)  # type: ignore[misc]
    batch = batch_of(7)
    assert torch.equal(batch.inputs, sft.batches(asked, given)[0](7).inputs)  # type: ignore[misc]
    answers = []
    for step in (7, 8):
        made = batch_of(step)
        assert len(made.inputs) <= 4 + 3
        assert packed or len(made.inputs) == 4 + 3
        for row, targets in zip(made.inputs[4:], made.targets[4:], strict=True):
            text = tokenizer.decode(row.tolist())
            found = tokenizer.decode(targets[targets != IGNORE].tolist()).split("<|eos|>")[:-1]
            assert all(text.count(answer) > 1 for answer in found)
            answers += found
    assert len(set(answers)) == 6
    without, _ = sft.batches(SftConfig.model_validate({**SFT, "packed": packed}), given)  # type: ignore[misc]
    width = min(batch.inputs.shape[1], without(7).inputs.shape[1])
    assert torch.equal(batch.inputs[:4, :width], without(7).inputs[:, :width])


def test_an_answer_counts_if_it_is_what_the_model_would_write(given: dict[str, Artifact]) -> None:
    from model.chat import stop_ids
    from model.generate import generate_batch

    model, tokenizer = load_trained(given["base"])
    config = SftConfig.model_validate(QUOTING)
    asked = Quotations(config, given["corpus"], tokenizer, model.config.max_seq_len)
    assert asked.held_out == 20
    before = asked.measured(model)
    assert before.numbers == {"quoted_exact": 0.0, "quoted_exact_stderr": 0.0, "quoted_begun": 0.0}
    # a model that knows the answers of half of the questions by heart
    known = [example for _, example in asked._held_out[:10]]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
    from model.batches import answer_batch
    from model.trainer import next_token_loss

    batch = answer_batch(known, tokenizer.pad)
    for _ in range(60):
        optimizer.zero_grad()
        (next_token_loss(model, batch, torch.float32) / batch.n_valid).backward()
        optimizer.step()
    model.eval()
    prompts = [list(example.ids[: example.answers[-1][0]]) for _, example in asked._held_out]
    wanted = [list(example.ids[example.answers[-1][0] : -1]) for _, example in asked._held_out]
    written = generate_batch(model, prompts, 64, stop=stop_ids(tokenizer))
    right = sum(made.ended and made.ids == answer for made, answer in zip(written, wanted, strict=True))
    found = asked.measured(model)
    exact, begun = found.numbers["quoted_exact"], found.numbers["quoted_begun"]
    assert exact == right / 20
    assert 0.2 < exact <= begun <= 1  # type: ignore[operator]
    gain = found.gain_over(before)
    assert gain is not None
    assert (gain.reference, gain.gain, gain.items, gain.clear) == (0.0, exact, 20, True)
