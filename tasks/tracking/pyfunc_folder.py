"""The folder of an MLflow model: weights as safetensors, the code that reads them, signature, an example; no pickle."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

SETTINGS = {"max_tokens": 128, "temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0}
"""What a prediction may be told, and what holds where it is not: greedy texts."""
CODE = Path(__file__).with_name("pyfunc_model.py")
_NEEDED = (
    "mlflow", "torch", "safetensors", "numpy", "pandas", "pydantic", "tiktoken", "tokenizers", "sentencepiece",
    "protobuf",
)  # fmt: skip
_FILES = {"weights": "model.safetensors", "described": "model.json", "tokenizer": "tokenizer"}


MOST_BYTES = 1 << 30
"""Of weights that MLflow gets a copy of: what is sent when a run ends has to be sent within seconds."""


def is_loadable(folder: Path) -> bool:
    """Whether a folder holds a model that can leave with its weights: it writes texts, as no encoder and nothing with a
    head for labels or rewards does, and it is not too large."""
    if not all((folder / name).exists() for name in _FILES.values()):
        return False
    if (folder / _FILES["weights"]).stat().st_size > MOST_BYTES:
        return False
    described = json.loads((folder / "model.json").read_text("utf-8"))
    network = described.get("config", {}).get("network")
    return network == "decoder" and "head" not in described


def write_pyfunc(folder: Path, to: Path, model_id: str, metadata: Mapping[str, str]) -> None:
    """Write the model of a folder as an MLflow model into the new folder `to`. model_id: of the one that MLflow logs.

    `mlflow.pyfunc.load_model` reads it wherever the packages of its requirements.txt are installed: the modules of
    textmill that it needs are in it.
    """
    import mlflow.pyfunc
    import pandas
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    described = json.loads((folder / "model.json").read_text("utf-8"))
    kinds = {int: "long", float: "double"}
    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "prompt")]),
        outputs=Schema([ColSpec("string", "text")]),
        params=ParamSchema([ParamSpec(name, kinds[type(value)], value) for name, value in SETTINGS.items()]),
    )
    prompt = "What is a mill?" if described.get("chat_template") else "The mill"
    package = importlib.util.find_spec("model")
    assert package is not None
    assert package.submodule_search_locations
    mlflow.pyfunc.save_model(
        path=str(to),
        python_model=str(CODE),
        artifacts={name: str(folder / file) for name, file in _FILES.items()},
        code_paths=[package.submodule_search_locations[0]],
        signature=signature,
        input_example=pandas.DataFrame({"prompt": [prompt]}),
        pip_requirements=[f"{name}=={importlib.metadata.version(name).split('+')[0]}" for name in _NEEDED],
        mlflow_model=Model(model_id=model_id),
        metadata=dict(metadata),
    )
