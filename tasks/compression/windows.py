"""The windows of a split of a corpus' tokens, for stages that compare two models on them."""

from __future__ import annotations

from data_lake.tokens.loader import TokenDataset
from data_lake.tokens.shards import TokenShardError
from tasks.stage import Artifact, PermanentError


def windows_of(tokens: Artifact, split: str, seq_len: int) -> TokenDataset:
    """Return the windows of a split; raises PermanentError if there are none."""
    try:
        data = TokenDataset(tokens.path, split, seq_len=seq_len)
    except (TokenShardError, FileNotFoundError) as error:
        raise PermanentError(str(error)) from error
    if not len(data):
        raise PermanentError(
            f"The {split} split has {data.n_tokens:,} tokens, less than one window of {seq_len:,} + 1; give it more "
            "documents (decontaminate.split)."
        )
    return data
