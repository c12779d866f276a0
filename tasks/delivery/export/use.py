"""How a model is used in each format: the commands of its card."""

from __future__ import annotations

from tasks.delivery.export.config import Format
from tasks.delivery.export.leaving import Leaving
from tasks.delivery.export.writers import gguf_file


def how_to_use(leaving: Leaving, name: Format) -> str:
    """Return a block of commands or code that runs in the format's own folder."""
    if name.startswith("gguf-"):
        return _with_llama_cpp(leaving, name)
    if name == "onnx":
        return _with_onnxruntime(leaving)
    return _with_transformers(chats=leaving.chat is not None)


def _with_llama_cpp(leaving: Leaving, name: Format) -> str:
    asked = "What is a mill?" if leaving.chat else "The mill"
    lines = [
        f"ollama create {leaving.name} -f Modelfile",
        f'ollama run {leaving.name} "{asked}"',
        "",
        f"llama-server -m {gguf_file(name)}    # or llama.cpp's own server: OpenAI's API, and a page to chat",
    ]
    return "\n".join(["```sh", *lines, "```"])


def _with_transformers(*, chats: bool) -> str:
    load = [
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'folder = "."  # this one',
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        "model = AutoModelForCausalLM.from_pretrained(folder)",
    ]
    if chats:
        ask = [
            'messages = [{"role": "user", "content": "What is a mill?"}]',
            "inputs = tokenizer.apply_chat_template(",
            '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"',
            ")",
        ]
    else:
        ask = ['inputs = tokenizer("The mill", return_tensors="pt")']
    write = ["ids = model.generate(**inputs, max_new_tokens=60)[0]", "print(tokenizer.decode(ids))"]
    return "\n".join(["```python", *load, *ask, *write, "```"])


def _with_onnxruntime(leaving: Leaving) -> str:
    end = leaving.tokenizer.eos if leaving.tokenizer.has("eos") else leaving.tokenizer.bos
    lines = [
        "import numpy as np",
        "import onnxruntime",
        "from tokenizers import Tokenizer",
        "",
        'tokenizer = Tokenizer.from_file("tokenizer.json")',
        'session = onnxruntime.InferenceSession("model.onnx")',
        'ids = tokenizer.encode("The mill").ids',
        f"while len(ids) < {min(60, leaving.network.config.max_seq_len)} and ids[-1] != {end}:",
        '    logits = session.run(["logits"], {"input_ids": np.array([ids])})[0]',
        "    ids.append(int(logits[0, -1].argmax()))  # without a cache: every step reads all tokens again",
        "print(tokenizer.decode(ids))",
    ]
    return "\n".join(["```python", *lines, "```"])
