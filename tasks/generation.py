"""Using a trained model from the lake: the text that it answers with, or goes on with, piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from tasks.stage import Artifact

# The stages whose models were taught the chat template; others go on from the text as it is.
CHAT_STAGES = ("sft",)


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
) -> Iterator[str]:
    """Yield the model's answer to `prompt` (sft), or what follows it (pretrain), as it comes.

    Raises ValueError where the device or a number of the sampling is none that can be, PermanentError where the model
    and its tokenizer do not belong together.
    """
    from model.chat import prompt_ids
    from model.generate import Sampling, stream
    from model.hardware import choose_device
    from tasks.training import load_trained

    sampling = Sampling(temperature, top_k, top_p, seed)
    model, tokenizer = load_trained(artifact, str(choose_device(device)))
    is_chat = artifact.stage in CHAT_STAGES
    ids = prompt_ids(tokenizer, prompt) if is_chat else [tokenizer.bos, *tokenizer.encode(prompt)]
    # A character may be spread over tokens: the decoder holds its bytes back until it is whole.
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for token in stream(model, ids, max_tokens, sampling, stop=(tokenizer.eos, tokenizer.bos)):
        yield decoder.decode(tokenizer.decode_bytes([token]))
    yield decoder.decode(b"", final=True)
