"""What pretraining reads: the batch of each step, the held-out batches, and an account of every token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from data_lake.reading.ledger import Amount, Ledger
from data_lake.tokens.loader import TokenDataset
from data_lake.tokens.mix import documents_of_split
from data_lake.tokens.order import draws_of_step
from data_lake.tokens.shards import TokenShardError
from tasks.stage import Artifact, PermanentError
from tasks.training.pretrain.masked import held_out_batch, masking_of, training_batch
from tasks.training.pretrain.mix import open_mix
from tasks.training.pretrain.repeats import with_repeats

if TYPE_CHECKING:
    from data_lake.tokens.packing import PackedDataset
    from model.batches import Batch
    from model.tokenizer import Tokenizer
    from tasks.training.pretrain.config import PretrainConfig


class Reading:
    """The texts of a pretraining as batches.

    The batch of a step follows from the tokens, the mix, the seed and the number of the step alone. Ranks share its
    rows, and a micro-batch is a part of them, so neither changes what a step learns from.
    """

    def __init__(self, config: PretrainConfig, tokens: Artifact, tokenizer: Tokenizer) -> None:
        """Open the tokens. Raises PermanentError if they are damaged, too few, or another tokenizer's, or if the mix
        cannot be drawn from them."""
        self._config, self._tokens, self._tokenizer = config, tokens, tokenizer
        self.masking = masking_of(config, tokenizer)
        self._plain = np.flatnonzero(tokenizer.token_bytes())  # the ids that stand for text
        self._end = end_of_document(config, tokenizer)
        try:
            self.train, self.held_out = self._rows("train"), self._rows("val")
        except (TokenShardError, FileNotFoundError) as error:
            raise PermanentError(str(error)) from error
        self.mixed = open_mix(config, tokens, self._end) if config.mix.sources else None

    @property
    def draws(self) -> int:
        """Rows that the whole run reads."""
        return self._config.training.steps * self._config.training.batch_size

    @property
    def epochs(self) -> float:
        """How often the run reads the training text."""
        return self.draws / len(self.train)

    @property
    def tokens_read(self) -> int:
        """Input tokens of the whole run without padding, each as often as it is read."""
        if self.mixed is not None:
            return sum(row["tokens"] for row in self.mixed.drawn(self.draws))
        return self.train.tokens_in(self.draws, self._config.training.seed)

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """Return the rows of a step that a rank reads; with one rank, all of them."""
        seed, size = self._config.training.seed, self._config.training.batch_size
        if self.masking is None:
            batch = self._batch(self._read(step, rank, world_size))
            return with_repeats(batch, self._config.repeats, self._plain, seed, step, rank, world_size)
        # what is hidden in a row depends on the rows before it, so every rank hides tokens in all of them
        mine = draws_of_step(step, size, rank, world_size) - step * size
        whole = training_batch(self.masking, self._checked(self._read(step, 0, 1)), seed, step)
        return whole.rows(slice(int(mine[0]), int(mine[-1]) + 1))

    def validation(self, last: bool) -> Iterator[Batch]:
        """Yield held-out batches: an evenly spaced sample during training, all of them at the end."""
        size = self._config.training.batch_size
        count = len(self.held_out) if last else min(len(self.held_out), size * self._config.runtime.validate_batches)
        chosen = np.linspace(0, len(self.held_out) - 1, count).round().astype(int)
        for start in range(0, count, size):
            part = chosen[start : start + size]
            if self.masking is None:
                yield self._batch(self.held_out.batch(part))
            else:
                yield held_out_batch(self.masking, self.held_out, part.tolist())

    def prompts(self, count: int, length: int) -> list[list[int]]:
        """Return the first `length` tokens of evenly spaced held-out windows, or of documents if they are packed."""
        spread = max(1, len(self.held_out) // max(1, count))
        rows = self.held_out.batch(range(0, min(len(self.held_out), spread * count), spread))
        if rows.ndim == 3:
            return [inputs[documents == 0][:length].tolist() for inputs, _, documents in rows]
        return [row[:length].tolist() for row in rows[:, :-1]]

    def ledger(self) -> Ledger:
        """Account for every token of the tokenize stage: trained on, held out, not reached, or left over at the end.

        A token was trained on if it was an input of a step. In joined windows, the tokens after the last window are no
        inputs; packed documents leave none over.
        """
        of_split = {split: self._amount(split) for split in ("train", "val", "test")}
        tokens, seed = of_split["train"].tokens, self._config.training.seed
        if self.mixed is None:
            reachable = self.train.tokens_in(len(self.train), seed)
            reached = self.train.tokens_in(min(self.draws, len(self.train)), seed)
        else:
            drawn = self.mixed.drawn(self.draws)
            reachable = sum(row["reachable_tokens"] for row in drawn)
            reached = sum(row["distinct_tokens"] for row in drawn)
        return Ledger(
            incoming=sum(of_split.values(), Amount()),
            kept=Amount(of_split["train"].documents, of_split["train"].bytes, reached),
            removed={
                "held_out": of_split["val"] + of_split["test"],
                "not_reached": Amount(tokens=reachable - reached),
                "after_last_window": Amount(tokens=tokens - reachable),
            },
        )

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _rows(self, split: str) -> TokenDataset | PackedDataset:
        data = TokenDataset(self._tokens.path, split, seq_len=self._config.model.max_seq_len)
        if data.tokenizer_sha256 != self._tokenizer.sha256:
            raise PermanentError(
                f"The {split} tokens were made with tokenizer {data.tokenizer_sha256[:16]}, but this run's is "
                f"{self._tokenizer.sha256[:16]}; run the tokenize stage again."
            )
        if why := too_short(split, data.n_tokens, self._config):
            raise PermanentError(why)
        if self._end is None:
            return data
        from data_lake.tokens.packing import PackedDataset

        index = documents_of_split(self._tokens.path, split)
        first, counts = index["first_token"].to_numpy(), index["n_tokens"].to_numpy()
        return PackedDataset(data, first, counts, end=self._end)

    def _read(self, step: int, rank: int, world_size: int) -> np.ndarray:
        training = self._config.training
        if self.mixed is not None:
            return self.mixed.batch(step, training.batch_size, rank, world_size)
        return self.train.batch(self.train.indices(step, training.batch_size, training.seed, rank, world_size))

    def _batch(self, read: np.ndarray) -> Batch:
        from model.batches import Batch

        return (Batch.of_windows if read.ndim == 2 else Batch.of_packed)(self._checked(read))

    def _checked(self, read: np.ndarray) -> np.ndarray:
        """Refuse ids that the network has no embedding for: a GPU would only report a failed assertion, much later."""
        if (largest := int(read.max())) >= self._tokenizer.vocab_size:
            raise PermanentError(
                f"{self._tokens.path} holds the id {largest:,}, but its vocabulary has {self._tokenizer.vocab_size:,} "
                "ids: a shard is damaged. Run the tokenize stage again."
            )
        return read

    def _amount(self, split: str) -> Amount:
        import pyarrow.compute as pc

        index = documents_of_split(self._tokens.path, split)
        n_bytes, tokens = (int(pc.sum(index[name]).as_py() or 0) for name in ("n_bytes", "n_tokens"))
        return Amount(index.num_rows, n_bytes, tokens)


def end_of_document(config: PretrainConfig, tokenizer: Tokenizer) -> int | None:
    """Return the token that the model learns to write after a packed document; None if documents are joined."""
    if config.documents == "joined":
        return None
    try:
        return tokenizer.eos
    except KeyError as error:
        raise PermanentError(
            f"pretrain.documents is separate, so that a document ends with a token of its own. {error.args[0]} Choose "
            "another tokenizer, or join the documents."
        ) from error


def too_short(split: str, n_tokens: int, config: PretrainConfig) -> str | None:
    """Return why a split of so many tokens is too short to be read; None if it is not."""
    needed = config.model.max_seq_len + 1 if config.documents == "joined" else 1
    if n_tokens >= needed:
        return None
    more = "give it more documents" if split == "train" else f"raise decontaminate.split.{split}"
    if not n_tokens:
        return f"The {split} split has no documents; {more}."
    return (
        f"The {split} split has {n_tokens:,} tokens, less than one window of {needed - 1:,} + 1; {more}, lower "
        "pretrain.model.max_seq_len, or set pretrain.documents to separate, which pads."
    )
