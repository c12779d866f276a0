"""Text generation with a trained model from the lake: an answer or a continuation, piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator

from tasks.stage import Artifact


def generate_text(
    artifact: Artifact,
    prompt: str,
    *,
    max_tokens: int = 120,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    device: str = "auto",
    warn: Callable[[str], None] = lambda _: None,
) -> Iterator[str]:
    """Yield the model's output piece by piece: an answer if it was taught a chat template, else a continuation.

    Prompt and answer share the model's context. The prompt has priority: if both do not fit, the answer is shortened.
    Only a prompt that is longer than the context itself loses the beginning of its text. `warn` is called with a
    message in either case. Raises ValueError if the device or a sampling parameter is invalid, PermanentError if the
    model was trained with another tokenizer.
    """
    from model.chat import fitted, prompt_ids
    from model.generate import Sampling, stream
    from model.hardware import choose_device
    from tasks.training.trained import chat_template_of, load_trained

    sampling = Sampling(temperature, top_k, top_p, seed)
    model, tokenizer = load_trained(artifact, str(choose_device(device)))
    ids = prompt_ids(tokenizer, prompt) if chat_template_of(artifact) else [tokenizer.bos, *tokenizer.encode(prompt)]
    context = model.config.max_seq_len
    # A prompt that has to be cut leaves at most a quarter of the context for the answer.
    room = context if len(ids) <= context else context - min(max_tokens, context // 4)
    ids, left_out = fitted(tokenizer, ids, room)
    if left_out:
        warn(
            f"The prompt has {left_out + len(ids):,} tokens, but the model's context only {context:,}: the first "
            f"{left_out:,} tokens of its text were left out."
        )
    # A character may span several tokens: the decoder holds its bytes back until it is complete.
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    tokens = stream(model, ids, max_tokens, sampling, stop=(tokenizer.eos, tokenizer.bos))
    count = 0
    while True:
        try:
            token = next(tokens)
        except StopIteration as end:
            finish = end.value.finish
            break
        count += 1
        yield decoder.decode(tokenizer.decode_bytes([token]))
    yield decoder.decode(b"", final=True)
    if finish == "context":
        warn(
            f"The answer ends after {count:,} of {max_tokens:,} tokens: with the prompt's {len(ids):,} it fills the "
            f"model's context of {context:,}."
        )
