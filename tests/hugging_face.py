"""Small Hugging Face folders as `transformers` writes them: each family with its odd sides, weights drawn at random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}),
    "gpt2-untied-narrow": (
        "GPT2",
        {"n_embd": 12, "n_layer": 1, "n_head": 3, "n_positions": 32, "n_inner": 20, "layer_norm_epsilon": 1e-3,
         "activation_function": "gelu_pytorch_tanh", "tie_word_embeddings": False},
    ),
    "llama": ("Llama", {"hidden_size": 16, "num_attention_heads": 2}),
    "llama-grouped-stretched": (
        "Llama",
        {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True,
         "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
         "rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, "factor": 4.0, "low_freq_factor": 1.0,
                             "high_freq_factor": 4.0, "original_max_position_embeddings": 16}},
    ),
    "smollm": (
        "Llama",
        {"hidden_size": 18, "num_attention_heads": 3, "num_key_value_heads": 1, "tie_word_embeddings": True,
         "rope_parameters": {"rope_type": "default", "rope_theta": 1e5}},
    ),
    "mistral": (
        "Mistral",
        {"hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": None},
    ),
    "qwen3": (
        "Qwen3",
        {"hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
         "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
    ),
    "qwen3-tied": ("Qwen3", {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
                             "tie_word_embeddings": True}),
}  # fmt: skip
"""Name → the model's class in `transformers` without its ending, and the settings that make it small or odd."""

VOCAB = 96


def build(name: str, **changes: Any) -> Any:
    """Return a model of `transformers` with weights that matter: biases and norms too are drawn at random."""
    import torch
    import transformers

    kind, settings = CONFIGS[name]
    if kind != "GPT2":
        settings = {"intermediate_size": 24, "num_hidden_layers": 2, "max_position_embeddings": 32, **settings}
    config = getattr(transformers, f"{kind}Config")(
        **{"vocab_size": VOCAB, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None, **settings, **changes}
    )
    model = getattr(transformers, f"{kind}LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM")(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            mean = 1.0 if parameter.dim() == 1 else 0.0
            parameter.copy_(mean + 0.2 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def save(name: str, folder: Path, **changes: Any) -> Any:
    """Write such a model into a folder, and return it."""
    model = build(name, **changes)
    model.save_pretrained(folder)
    return model
