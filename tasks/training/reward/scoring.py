"""Scoring answers with a trained reward model, for stages that learn from rewards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.stage import Artifact, PermanentError

if TYPE_CHECKING:
    from model.chat import Exchanges

READ_AT_ONCE = 64  # answers that are scored together


class RewardScorer:
    """A reward model in memory."""

    def __init__(self, artifact: Artifact, device: str = "cpu") -> None:
        """Load the model with its tokenizer; raises PermanentError if it has another number of outputs than one."""
        from model.folder import load_headed
        from model.tokenizer import Tokenizer
        from tasks.training.trained import chat_template_of

        self.model, _ = load_headed(artifact.path, device)
        self.tokenizer = Tokenizer.load(artifact.path / "tokenizer")
        self.template = chat_template_of(artifact) or "textmill"
        if self.model.outputs != 1:
            raise PermanentError(f"{artifact.name} has {self.model.outputs} outputs; a reward model has one.")

    def score(
        self, prompts: Sequence[tuple[str, str]], answers: Sequence[str], system: str = "", history: Exchanges = ()
    ) -> list[float]:
        """Return the reward of each answer to its prompt (instruction, input).

        What is longer than the model's context loses the beginning: the answer's end is what the reward is read from.
        """
        import torch

        from model.batches import answer_batch
        from model.chat import Example, example

        made = []
        for (instruction, given), answer in zip(prompts, answers, strict=True):
            one = example(self.tokenizer, instruction, given, answer, system, history, self.template)
            ids = (*one.ids[-self.model.config.max_seq_len :], one.ids[-1])  # a batch never reads the last token
            made.append(Example(ids, ((len(ids) - 1, len(ids)),)))
        found: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(made), READ_AT_ONCE):
                batch = answer_batch(made[start : start + READ_AT_ONCE], self.tokenizer.pad).to(self.model.device)
                found += self.model.scores(batch)[:, 0].tolist()
        return found
