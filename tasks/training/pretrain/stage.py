"""The pretrain stage: trains a network from random weights to predict the next token, or hidden ones if an encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from model.shape import GPTConfig
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.work import pretraining
from tasks.training.pretrain.base import load_base
from tasks.training.pretrain.config import PretrainConfig, SamplesConfig
from tasks.training.pretrain.masked import filled_gaps
from tasks.training.pretrain.mix import log_shares, mix_contract, preview, report_mix
from tasks.training.pretrain.preflight import NO_BASE, check
from tasks.training.pretrain.reading import Reading
from tasks.training.train import loss_curve, train
from tasks.training.written import model_contract, write_model

if TYPE_CHECKING:
    from model.batches import Batch
    from model.gpt import GPT
    from model.tokenizer import Tokenizer


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the model is complete, and that the amounts read from the sources of the mix add up."""
    yield from model_contract(artifact)
    yield from mix_contract(artifact)


def batches(config: PretrainConfig, inputs: Mapping[str, Artifact]) -> tuple[Callable[[int], Batch], Tokenizer]:
    """Return what makes the batch of a step, and the tokenizer, to show them."""
    from model.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(inputs["tokenizer"].path)
    return Reading(config, inputs["tokens"], tokenizer).batch, tokenizer


@stage(
    makes=kinds.Model,
    headline=("validation_bits_per_byte",),
    version=1,
    contract=contract,
    preview=preview,
    check=check,
    # these only write the samples; the weights come from tokens that were encoded before
    without=lambda config: {"tiktoken", "tokenizers", "sentencepiece"},
    gpu=True,
    work=pretraining,
    batches=batches,
)
def pretrain(
    config: PretrainConfig,
    out: Output,
    tokens: kinds.Tokens,
    tokenizer: kinds.Tokenizer,
    base: kinds.Model | None = None,
) -> None:
    """Train from random weights or go on from a base, or continue from the newest checkpoint of an interrupted attempt.

    `loss` and `validation_loss` are the mean cross-entropy of the next token in nats, on training and on held-out text;
    of an encoder, that of the hidden tokens, which is no measure of how well it would continue a text.
    `validation_bits_per_byte` is the validation loss in bits per byte of text, so that models with different tokenizers
    can be compared; lower is better. `tokens_per_second` is the speed, `mfu` the share of the hardware's peak
    performance that the training uses, `epochs` how often the training text was read.
    """
    from model.gpt import GPT
    from model.planting import plant
    from model.tokenizer import Tokenizer
    from model.validation import validation_loss

    loaded = Tokenizer.load(tokenizer.path)
    model = None
    if config.adapter is not None and base is None:
        raise PermanentError(NO_BASE)
    if base is not None:
        if config.start != "random":
            raise PermanentError("pretrain.start means nothing when training goes on from a model; leave it out.")
        model, config = load_base(base, loaded, config, out)
    reading = Reading(config, tokens, loaded)
    training = config.training
    if model is None:
        model = GPT(GPTConfig(vocab_size=loaded.vocab_size, **config.model.model_dump())).initialise(training.seed)
        if config.start == "induction":
            plant(model, training.seed)
    out.info(
        f"Training {model.count_parameters():,} weights for {training.steps:,} steps of {training.batch_size} × "
        f"{reading.train.seq_len} tokens: {reading.epochs:.2f} epochs of {reading.train.n_tokens:,} tokens."
    )
    if reading.mixed is not None:
        log_shares(out, reading.mixed)
    history = train(
        out,
        model,
        training,
        config.runtime,
        reading.batch,
        lambda model, last: validation_loss(model, reading.validation(last), loaded.token_bytes()),
        adapter=config.adapter,
    )
    _account(out, config, reading)
    out.figure("loss", loss_curve(history, f"pretraining: {model.count_parameters() / 1e6:.1f} M weights"))
    if reading.masking is None:
        samples = _samples(config.samples, model, reading, loaded)
    else:
        samples = filled_gaps(config.samples, model, reading.held_out, loaded, reading.masking)
    write_model(out, model, loaded, samples)


def _account(out: Output, config: PretrainConfig, reading: Reading) -> None:
    """Count what was read, down to the last token; padding is no token and is counted by itself."""
    read, positions = reading.tokens_read, reading.draws * config.model.max_seq_len
    out.count(tokens_read=read, padding=positions - read)
    if config.repeats:
        out.count(tokens_repeated=config.training.steps * config.repeats * config.model.max_seq_len)
    out.metric(epochs=reading.epochs, padding_share=(positions - read) / positions)
    out.ledger(reading.ledger())
    if reading.mixed is not None:
        report_mix(config, out, reading.mixed)


def _samples(config: SamplesConfig, model: GPT, reading: Reading, tokenizer: Tokenizer) -> Iterator[dict[str, Any]]:
    """Yield prompts with their continuations, each sampled with a different seed."""
    from model.chat import fitted
    from model.generate import Sampling, generate_batch

    if config.prompts:
        prompts = [[tokenizer.bos, *tokenizer.encode(text)] for text in config.prompts]
    else:
        prompts = reading.prompts(config.count, config.prompt_tokens)
    prompts = [fitted(tokenizer, prompt, model.config.max_seq_len)[0] for prompt in prompts]
    samplings = [
        Sampling(config.temperature, config.top_k, config.top_p, config.seed + number) for number in range(len(prompts))
    ]
    texts = generate_batch(model, prompts, config.new_tokens, samplings, {tokenizer.bos, tokenizer.eos})
    for prompt, made in zip(prompts, texts, strict=True):
        yield {"prompt": tokenizer.decode(prompt), "continuation": tokenizer.decode(made.ids), "finish": made.finish}
