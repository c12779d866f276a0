"""The teacher stage: a model's likeliest tokens at each place of training text, so that a student is trained without
the teacher in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tasks.compression.teacher.config import TeacherConfig
from tasks.compression.teacher.preflight import check
from tasks.compression.windows import windows_of
from tasks.evaluation.computing import loaded
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.work import reading_with_model

WINDOWS, IDS, LOG_PROBS = "windows.npy", "ids.npy", "log_probs.npy"


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that each place of each window has as many tokens as were asked for."""
    ids, log_probs = (np.load(artifact.path / name, mmap_mode="r") for name in (IDS, LOG_PROBS))
    wanted = (artifact.counts["windows"], artifact.counts["seq_len"], artifact.counts["top"])
    for name, array in ((IDS, ids), (LOG_PROBS, log_probs)):
        if array.shape != wanted:
            yield f"{name} has the shape {array.shape}, not {wanted}."


@stage(
    makes=kinds.TeacherLogits,
    headline=("kept",),
    per="model",
    version=1,
    contract=contract,
    check=check,
    gpu=True,
    work=reading_with_model,
)
def teacher(config: TeacherConfig, out: Output, model: kinds.Model, tokens: kinds.Tokens) -> None:
    """Write ids and log-probabilities of the likeliest tokens. `kept` is the probability that they have together, in
    the mean of all places.
    """
    import torch

    from model.distillation import largest

    with loaded(config, model) as (network, tokenizer), torch.inference_mode():
        data = windows_of(tokens, "train", config.seq_len or network.config.max_seq_len)
        if data.tokenizer_sha256 != tokenizer.sha256:
            raise PermanentError(f"{tokens.name} has the tokens of another tokenizer than the teacher {model.name}.")
        if data.seq_len > network.config.max_seq_len:
            raise PermanentError(
                f"Windows of {data.seq_len:,} tokens do not fit the teacher's context of "
                f"{network.config.max_seq_len:,}; lower distil.model.max_seq_len."
            )
        count = min(len(data), config.windows or len(data))
        top = min(config.top, network.config.vocab_size)
        chosen = np.linspace(0, len(data) - 1, count).round().astype(np.int64)
        np.save(out.dir / WINDOWS, chosen)
        shape = (count, data.seq_len, top)
        ids = _memory(out.dir / IDS, np.dtype(np.uint16 if network.config.vocab_size <= 1 << 16 else np.uint32), shape)
        log_probs = _memory(out.dir / LOG_PROBS, np.dtype(np.float16), shape)
        kept = 0.0
        for start in range(0, count, config.batch):
            part = chosen[start : start + config.batch]
            inputs = torch.from_numpy(data.batch(part)[:, :-1].astype(np.int64)).to(network.device)
            states = network.hidden(inputs)
            for row, state in enumerate(states, start):  # the logits of all rows would not fit for a big vocabulary
                found, values = largest(network.logits(state), top, config.temperature)
                ids[row], log_probs[row] = found.cpu().numpy(), values.cpu().numpy()
                kept += float(values.exp().sum(-1).mean())
            out.progress(min(start + config.batch, count), count, "windows")
        ids.flush()
        log_probs.flush()
    out.count(windows=count, seq_len=data.seq_len, top=top)
    out.metric(kept=kept / count, temperature=config.temperature)


def _memory(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.memmap:
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
