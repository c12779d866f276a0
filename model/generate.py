"""Text generation: one prompt, token by token or as a whole, or many prompts at once.

What these functions do is said by `model.decoding.Request`, and what they return by `Generation`.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence

from model.decoding import DecodeBytes, Decoder, Finish, Generation, Request
from model.gpt import GPT
from model.sampling import GREEDY, Sampling

__all__ = ["Finish", "Generation", "Sampling", "generate", "generate_batch", "stream"]


def stream(
    model: GPT, prompt: Sequence[int], max_new_tokens: int, sampling: Sampling = GREEDY, stop: Collection[int] = ()
) -> Generator[int, None, Generation]:
    """Yield the new token ids after `prompt` one by one, and return the finished text.

    Prompt and text share the model's context of `max_seq_len` tokens: the whole prompt is always read, and the text
    ends when the context is full. Raises ValueError if the prompt alone does not fit.
    """
    decoder = Decoder(model)
    made = decoder.add(Request(prompt, max_new_tokens, sampling, stop))
    shown = 0
    while made.finish is None:
        decoder.step()
        if len(made.ids) > shown:
            yield made.ids[-1]
            shown += 1
    return made


def generate(
    model: GPT,
    prompt: Sequence[int],
    max_new_tokens: int,
    sampling: Sampling = GREEDY,
    stop: Collection[int] = (),
    *,
    slide: int | None = None,
    source: Sequence[int] | None = None,
    decode_bytes: DecodeBytes | None = None,
) -> Generation:
    """Return the finished text of one prompt.

    Prompt and text share the model's context: the whole prompt is always read; when the context is full, the text ends
    or, with `slide`, goes on without its oldest quarter. Raises ValueError if the prompt alone does not fit, if its ids
    are not the model's, or if a setting does not fit the model.
    """
    return generate_batch(
        model,
        [prompt],
        max_new_tokens,
        sampling,
        stop,
        slide=slide,
        sources=None if source is None else [source],
        decode_bytes=decode_bytes,
        batch_size=1,
    )[0]


def generate_batch(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int | Sequence[int],
    sampling: Sampling | Sequence[Sampling] = GREEDY,
    stop: Collection[int] = (),
    *,
    slide: int | None = None,
    sources: Sequence[Sequence[int]] | None = None,
    decode_bytes: DecodeBytes | None = None,
    batch_size: int = 32,
) -> list[Generation]:
    """Return the finished texts of many prompts, in their order; lengths and samplings are for all or one for each.

    At most `batch_size` texts grow at the same time: as soon as half of them have ended, the next prompts join. A
    prompt that occurs several times is read once if its samples join together.
    """
    lengths = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else list(max_new_tokens)
    samplings = [sampling] * len(prompts) if isinstance(sampling, Sampling) else list(sampling)
    given = [None] * len(prompts) if sources is None else list(sources)
    if not len(prompts) == len(lengths) == len(samplings) == len(given):
        raise ValueError(
            f"There are {len(prompts):,} prompts, {len(lengths):,} lengths, {len(samplings):,} samplings and "
            f"{len(given):,} source texts; give one for all or one for each prompt."
        )
    requests = [
        Request(prompt, length, sampled, stop, slide, source)
        for prompt, length, sampled, source in zip(prompts, lengths, samplings, given, strict=True)
    ]
    return generate_all(model, requests, decode_bytes=decode_bytes, batch_size=batch_size)


def generate_all(
    model: GPT, requests: Sequence[Request], *, decode_bytes: DecodeBytes | None = None, batch_size: int = 32
) -> list[Generation]:
    """Return the finished texts of many requests, in their order; as `generate_batch`, with settings for each."""
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; at least one text must grow.")
    decoder = Decoder(model, decode_bytes)
    for number, request in enumerate(requests):  # before the first text, not after the last
        try:
            decoder.check(request)
        except ValueError as error:
            which = f"Prompt {number + 1} of {len(requests):,}: " if len(requests) > 1 else ""
            raise ValueError(f"{which}{error}") from None
    # Long prompts first: texts that grow together are then of similar length and need little padding.
    waiting = iter(sorted(range(len(requests)), key=lambda number: len(requests[number].prompt), reverse=True))
    made: dict[int, Generation] = {}
    while True:
        if 2 * decoder.active <= batch_size:
            for number in waiting:
                made[number] = decoder.add(requests[number])
                if decoder.active == batch_size:
                    break
        if not decoder.active:
            return [made[number] for number in range(len(requests))]
        decoder.step()
