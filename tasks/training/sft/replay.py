"""Plain text of the training pages, read beside the instructions, so that the model does not forget it.

Ouyang et al. 2022 mix pretraining gradients into their reinforcement learning (PPO-ptx); here rows of text are mixed
into the steps of a fine-tuning, and every token of them is learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_lake.tokens.loader import TokenDataset
from data_lake.tokens.shards import TokenShardError
from tasks.stage import Artifact, PermanentError

if TYPE_CHECKING:
    from model.chat import Example
    from model.tokenizer import Tokenizer
    from tasks.training.sft.config import SftConfig


class Replay:
    """The rows of text of each step: windows of the training tokens, each once per epoch, in the order of a seed."""

    def __init__(self, config: SftConfig, tokens: Artifact, tokenizer: Tokenizer, context: int) -> None:
        """Open the tokens. Raises PermanentError if they are damaged, too few, or another tokenizer's."""
        self._config = config
        try:
            self._windows = TokenDataset(tokens.path, "train", seq_len=context)
        except (TokenShardError, FileNotFoundError) as error:
            raise PermanentError(str(error)) from error
        if self._windows.tokenizer_sha256 != tokenizer.sha256:
            raise PermanentError(
                f"{tokens.name} was encoded with another tokenizer than the model's, so that sft.replay cannot read "
                "it; tokenize the pages with the model's own, or set sft.replay to 0."
            )
        if not len(self._windows):
            raise PermanentError(
                f"The train split of {tokens.name} has {self._windows.n_tokens:,} tokens, less than one row of "
                f"{context:,} + 1 for sft.replay; give it more documents, or set sft.replay to 0."
            )

    def examples(self, step: int) -> list[Example]:
        """Return the rows of a step as examples all of whose tokens but the first are learned."""
        from model.chat import Example

        windows = self._windows.batch(self._windows.indices(step, self._config.replay, self._config.training.seed))
        return [Example(tuple(window), ((1, len(window)),)) for window in windows.tolist()]

    @property
    def epochs(self) -> float:
        """How often the whole training reads the text."""
        return self._config.training.steps * self._config.replay / len(self._windows)
