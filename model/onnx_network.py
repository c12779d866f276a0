"""A network as an ONNX file, and what onnxruntime computes with it: the logits of all tokens, without a cache."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.files import whole_path
from model.gpt import GPT
from model.huggingface.export import probe

INPUT, OUTPUT = "input_ids", "logits"
MOST_BYTES = 2_000_000_000
"""Of weights: such a file is one message of Protocol Buffers, which has 2 GiB at most."""
TOLERANCE = 1e-4
"""Largest difference of logits between a network and onnxruntime, in float32; measured on the demo's model was 1e-5."""


def write_onnx(model: GPT, path: Path) -> None:
    """Write a network that takes ids (B, T) of any batch and length to logits (B, T, V), its weights in the same file.

    Raises ValueError for a network that is no decoder.
    """
    if model.config.network != "decoder":
        raise ValueError(f"A network of the kind {model.config.network} does not leave as ONNX; only decoders do.")
    if (size := sum(one.nbytes for one in model.parameters())) > MOST_BYTES:
        raise ValueError(f"Its weights are {size:,} bytes; an ONNX file that is whole holds {MOST_BYTES:,} at most.")
    example = torch.zeros(2, min(8, model.config.max_seq_len), dtype=torch.int64)
    dynamic = torch.export.Dim.DYNAMIC  # type: ignore[attr-defined]
    was_training = model.training
    heard = logging.getLogger("torch.onnx")
    level = heard.level
    heard.setLevel(logging.ERROR)  # it warns of libraries for pictures that are not installed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                model.eval(), (example,), dynamo=True, dynamic_shapes=({0: dynamic, 1: dynamic},),
                input_names=[INPUT], output_names=[OUTPUT], verbose=False,
            )  # fmt: skip
    finally:
        heard.setLevel(level)
        model.train(was_training)
    assert program is not None
    with whole_path(path) as part:
        program.save(str(part), external_data=False)


class OnnxNetwork:
    """A written file, as onnxruntime opens it on the processor."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def logits(self, ids: np.ndarray) -> np.ndarray:
        """Return the logits (B, T, V) of ids (B, T)."""
        made: np.ndarray = self._session.run([OUTPUT], {INPUT: ids.astype(np.int64)})[0]
        return made

    def log_likelihood(self, context: Sequence[int], continuation: Sequence[int]) -> float:
        """Return the log-likelihood of a continuation in nats."""
        ids = [*context, *continuation]
        logits = torch.from_numpy(self.logits(np.array([ids[:-1]]))[0, len(context) - 1 :])
        wanted = torch.tensor(continuation)
        return float(torch.log_softmax(logits.double(), dim=-1).gather(1, wanted[:, None]).sum())


@torch.inference_mode()
def prove_onnx(opened: OnnxNetwork, model: GPT) -> float:
    """Return the largest difference of logits between a network and what onnxruntime opened, in batches and lengths
    that it was not written with; raises ValueError if it is more than `TOLERANCE`."""
    ids, was_training, difference = probe(model), model.training, 0.0
    model.eval()
    for part in (ids, ids[:1, :1], ids[1:, : ids.shape[1] // 2 + 1]):
        theirs = torch.from_numpy(opened.logits(part.numpy()))
        difference = max(difference, float((model(part) - theirs).abs().max()))
    model.train(was_training)
    if not difference <= TOLERANCE:
        raise ValueError(f"onnxruntime's logits differ by {difference:.2g}; {TOLERANCE:g} is allowed.")
    return difference
