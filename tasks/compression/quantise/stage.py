"""The quantise stage: a model's weights in few bits, and what that loses on held-out text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.compression.quantise.config import QuantiseConfig
from tasks.compression.quantise.preflight import check
from tasks.compression.windows import windows_of
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.work import reading_with_model
from tasks.training.trained import chat_template_of, load_trained
from tasks.training.written import whole_model, write_model

if TYPE_CHECKING:
    from torch import Tensor

    from model.batches import Batch
    from model.gpt import GPT
    from model.tokenizer import Tokenizer

TOKENS_AT_ONCE = 4096


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the model is complete and quantised, and that it does not lose more than it may."""
    yield from whole_model(artifact)
    asked = artifact.manifest.payload["config"]
    stored = json.loads((artifact.path / "model.json").read_text()).get("quantisation") or {}
    if stored.get("bits") != asked["bits"]:
        yield f"model.json says that the weights have {stored.get('bits')} bits, not {asked['bits']}."
    lost, most = artifact.metrics.get("lost_bits_per_byte"), asked["max_loss"]
    if lost is None:
        yield "It is not known what the model loses."
    elif most is not None and lost > most:
        yield (
            f"The model loses {lost:.4f} bits per byte of held-out text, more than quantise.max_loss ({most:g}). "
            + ("Take 8 bits, a smaller group or method: gptq" if asked["bits"] == 4 else "Leave the model as it is")
            + ", or allow more."
        )


@stage(
    makes=kinds.Model,
    headline=("lost_bits_per_byte", "size"),
    per="model",
    version=1,
    contract=contract,
    check=check,
    work=reading_with_model,
)
def quantise(config: QuantiseConfig, out: Output, model: kinds.Model, tokens: kinds.Tokens) -> None:
    """Write the model with weights of few bits.

    `lost_bits_per_byte` is by how much its bits per byte of held-out text rise, from `bits_per_byte_before` to
    `bits_per_byte`. `agreement` is the share of held-out tokens before which both find the same next token the
    likeliest, and `size` that of the bytes of the weights that is left.
    """
    from model.gptq import quantise_calibrated
    from model.hardware import torch_threads
    from model.quantising import quantise as round_weights

    with torch_threads(config.threads):
        network, tokenizer = load_trained(model)
        held_out = _windows(tokens, "val", network, tokenizer, config.measured_tokens)
        before, likeliest = _measured(network, held_out, tokenizer)
        continued = [_continued(config, network, held_out, tokenizer)]
        try:
            if config.method == "gptq":
                texts = _windows(tokens, "train", network, tokenizer, config.calibration_tokens)
                quantise_calibrated(
                    network,
                    config.form,
                    [batch.inputs for batch in texts],
                    lambda done, of: out.progress(done, of, "blocks"),
                )
            else:
                round_weights(network, config.form)
        except ValueError as error:
            raise PermanentError(f"{model.name} cannot be quantised: {error}") from error
        after, now = _measured(network, held_out, tokenizer)
        continued.append(_continued(config, network, held_out, tokenizer))
    rows = [{**first, "after": second["before"]} for first, second in zip(*continued, strict=True)]
    write_model(out, network, tokenizer, rows, chat_template_of(model))
    size = (out.dir / "model.safetensors").stat().st_size
    out.count(measured_tokens=now.numel(), weight_bytes=size, bits=config.bits)
    out.metric(
        bits_per_byte=after,
        bits_per_byte_before=before,
        lost_bits_per_byte=after - before,
        agreement=float((now == likeliest).float().mean()),
        size=size / (model.path / "model.safetensors").stat().st_size,
    )


def _windows(tokens: Artifact, split: str, model: GPT, tokenizer: Tokenizer, most: int) -> list[Batch]:
    """Return evenly spaced windows of a split, as many as have `most` tokens together, at least one."""
    from model.batches import Batch

    data = windows_of(tokens, split, model.config.max_seq_len)
    if data.tokenizer_sha256 != tokenizer.sha256:
        raise PermanentError(
            f"{tokens.name} has the tokens of another tokenizer ({data.tokenizer_sha256[:16]}) than the model "
            f"({tokenizer.sha256[:16]})."
        )
    count = min(len(data), max(1, most // data.seq_len))
    chosen = np.linspace(0, len(data) - 1, count).round().astype(int)
    size = max(1, TOKENS_AT_ONCE // data.seq_len)
    return [Batch.of_windows(data.batch(chosen[start : start + size])) for start in range(0, count, size)]


def _measured(model: GPT, held_out: list[Batch], tokenizer: Tokenizer) -> tuple[float, Tensor]:
    """Return the bits per byte of held-out text, and the token that the model finds likeliest at each place."""
    import torch

    from model.packed import states_of
    from model.validation import validation_loss

    loss = validation_loss(model, held_out, tokenizer.token_bytes())
    with torch.inference_mode():
        likeliest = [model.logits(states_of(model, batch)).argmax(-1).flatten() for batch in held_out]
    return loss["bits_per_byte"], torch.cat(likeliest)


def _continued(config: QuantiseConfig, model: GPT, held_out: list[Batch], tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the beginnings of held-out windows with what the model finds likeliest to follow."""
    from model.generate import generate_batch

    half = model.config.max_seq_len // 2
    prompts = [ids[: min(16, half)] for batch in held_out for ids in batch.inputs.tolist()][: config.samples]
    made = generate_batch(model, prompts, min(config.sample_tokens, half), stop=_ends(tokenizer))
    return [
        {"prompt": tokenizer.decode(prompt), "before": tokenizer.decode(one.ids)}
        for prompt, one in zip(prompts, made, strict=True)
    ]


def _ends(tokenizer: Tokenizer) -> set[int]:
    return {tokenizer.role(role) for role in ("bos", "eos") if tokenizer.has(role)}
