"""The pretrain stage: trains a network from random weights to predict the next token, or hidden ones if an encoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from model.shape import GPTConfig
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.work import pretraining
from tasks.training.pretrain.config import PretrainConfig, SamplesConfig
from tasks.training.pretrain.masked import filled_gaps, held_out_batch, masking_of, training_batch
from tasks.training.pretrain.mix import mix_contract, open_mix, preview, report_mix
from tasks.training.pretrain.preflight import check
from tasks.training.train import loss_curve, model_contract, train, write_model

if TYPE_CHECKING:
    from data_lake.tokens.loader import TokenDataset
    from model.batches import Batch
    from model.gpt import GPT
    from model.masking import Masking
    from model.tokenizer import Tokenizer


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the model is complete, and that the amounts read from the sources of the mix add up."""
    yield from model_contract(artifact)
    yield from mix_contract(artifact)


@stage(
    makes=kinds.Model,
    headline=("validation_bits_per_byte",),
    version=1,
    contract=contract,
    preview=preview,
    check=check,
    # tiktoken only writes the samples; the weights come from tokens that were encoded before
    without=lambda config: {"tiktoken"},
    gpu=True,
    work=pretraining,
)
def pretrain(config: PretrainConfig, out: Output, tokens: kinds.Tokens, tokenizer: kinds.Tokenizer) -> None:
    """Train from scratch, or continue from the newest checkpoint of an interrupted attempt.

    `loss` and `validation_loss` are the mean cross-entropy of the next token in nats, on training and on held-out text;
    of an encoder, that of the hidden tokens, which is no measure of how well it would continue a text.
    `validation_bits_per_byte` is the validation loss in bits per byte of text, so that models with different tokenizers
    can be compared; lower is better. `tokens_per_second` is the speed, `mfu` the share of the hardware's peak
    performance that the training uses, `epochs` how often the training text was read.
    """
    from data_lake.tokens.loader import TokenDataset
    from model.batches import Batch
    from model.gpt import GPT
    from model.tokenizer import Tokenizer

    loaded = Tokenizer.load(tokenizer.path)
    windows = TokenDataset(tokens.path, "train", seq_len=config.model.max_seq_len)
    held_out = TokenDataset(tokens.path, "val", seq_len=config.model.max_seq_len)
    _check_data(config, windows, held_out, loaded)

    masking = masking_of(config, loaded)
    training = config.training
    mixed = open_mix(config, out, tokens) if config.mix.sources else None
    model = GPT(GPTConfig(vocab_size=loaded.vocab_size, **config.model.model_dump())).initialise(training.seed)
    epochs = training.steps * training.batch_size / len(windows)
    out.info(
        f"Training {model.count_parameters():,} weights for {training.steps:,} steps of {training.batch_size} × "
        f"{windows.seq_len} tokens: {epochs:.2f} epochs of {windows.n_tokens:,} tokens."
    )

    def batch_of(step: int) -> Batch:
        if mixed is not None:
            read = mixed.batch(step, training.batch_size)
        else:
            read = windows.batch(windows.indices(step, training.batch_size, training.seed))
        return Batch.of_windows(read) if masking is None else training_batch(masking, read, training.seed, step)

    history = train(
        out,
        model,
        training,
        config.runtime,
        batch_of,
        lambda model, last: _validate(config, model, held_out, loaded, masking, last),
    )
    out.metric(epochs=epochs)
    if mixed is not None:
        report_mix(config, out, mixed)
    out.figure("loss", loss_curve(history, f"pretraining: {model.count_parameters() / 1e6:.1f} M weights"))
    if masking is None:
        samples = _samples(config.samples, model, held_out, loaded)
    else:
        samples = filled_gaps(config.samples, model, held_out, loaded, masking)
    write_model(out, model, loaded, samples)


def _check_data(config: PretrainConfig, train: TokenDataset, held_out: TokenDataset, tokenizer: Tokenizer) -> None:
    """Refuse data that another tokenizer encoded, and splits shorter than one window."""
    for data in (train, held_out):
        if data.tokenizer_sha256 != tokenizer.sha256:
            raise PermanentError(
                f"The {data.split} tokens were made with tokenizer {data.tokenizer_sha256[:16]}, but this run's is "
                f"{tokenizer.sha256[:16]}; run the tokenize stage again."
            )
        if len(data) == 0:
            more = "give it more documents" if data.split == "train" else f"raise decontaminate.split.{data.split}"
            raise PermanentError(
                f"The {data.split} split has {data.n_tokens:,} tokens, less than one window of "
                f"{config.model.max_seq_len} + 1; {more}"
                + (
                    ", or lower pretrain.model.max_seq_len."
                    if data.n_tokens
                    else ", which leaves it without documents."
                )
            )


def _validate(
    config: PretrainConfig,
    model: GPT,
    held_out: TokenDataset,
    tokenizer: Tokenizer,
    masking: Masking | None,
    last: bool,
) -> dict[str, float]:
    """Measure the loss on held-out windows: on an evenly spaced sample during training, on all of them at the end."""
    import numpy as np

    from model.batches import Batch
    from model.validation import validation_loss

    size = config.training.batch_size
    count = len(held_out) if last else min(len(held_out), size * config.runtime.validate_batches)
    chosen = np.linspace(0, len(held_out) - 1, count).round().astype(int)
    parts = [chosen[start : start + size] for start in range(0, count, size)]
    batches = (
        Batch.of_windows(held_out.batch(part)) if masking is None else held_out_batch(masking, held_out, part.tolist())
        for part in parts
    )
    return validation_loss(model, batches, tokenizer.token_bytes())


def _samples(
    config: SamplesConfig, model: GPT, held_out: TokenDataset, tokenizer: Tokenizer
) -> Iterator[dict[str, Any]]:
    """Yield prompts with their continuations, each sampled with a different seed."""
    from model.chat import fitted
    from model.generate import Sampling, generate

    if config.prompts:
        prompts = [[tokenizer.bos, *tokenizer.encode(text)] for text in config.prompts]
    else:
        spread = max(1, len(held_out) // max(1, config.count))
        windows = range(0, min(len(held_out), spread * config.count), spread)
        prompts = [held_out.window(i)[: config.prompt_tokens].tolist() for i in windows]
    for number, prompt in enumerate(prompts):
        sampling = Sampling(config.temperature, config.top_k, config.top_p, config.seed + number)
        prompt, _ = fitted(tokenizer, prompt, model.config.max_seq_len)
        made = generate(model, prompt, config.new_tokens, sampling, stop={tokenizer.bos, tokenizer.eos})
        yield {"prompt": tokenizer.decode(prompt), "continuation": tokenizer.decode(made.ids), "finish": made.finish}
