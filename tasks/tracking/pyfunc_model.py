"""A registered model as MLflow loads it: prompts in, texts out. MLflow keeps this file beside the weights and runs it.

It needs the package `model`, which lies beside it too, and nothing else of textmill: no server, no lake.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import pandas


class TextModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers prompts if the model was taught a chat template, and else continues them."""

    def load_context(self, context: Any) -> None:
        """Read weights and tokenizer from the files beside this one."""
        from model.chat import answers_begin_texts, stop_ids
        from model.folder import load_model
        from model.tokenizer import Tokenizer

        folder = Path(context.artifacts["weights"]).parent
        self.network, described = load_model(folder)
        self.tokenizer = Tokenizer.load(folder / "tokenizer")
        if described["tokenizer_sha256"] != self.tokenizer.sha256:
            raise ValueError(f"The weights in {folder} were trained with another tokenizer than the one beside them.")
        self.template = described.get("chat_template")
        self.ends = stop_ids(self.tokenizer, self.template)
        begins = self.template is not None and answers_begin_texts(self.tokenizer, self.template)
        self.drops_space = begins and self.tokenizer.vocabulary.drops_first_space

    def predict(
        self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None
    ) -> pandas.DataFrame:
        """Return a table with the column `text` for one with the column `prompt`."""
        from model.generate import Sampling, generate_batch

        given = dict(params or {})  # by the signature, with a value for each
        most = given.pop("max_tokens", 128)
        drawn = Sampling(**given)
        prompts = [self._ids(str(prompt), most) for prompt in model_input["prompt"]]
        made = generate_batch(
            self.network, prompts, most, drawn, self.ends, decode_bytes=self.tokenizer.decode_bytes
        )  # fmt: skip
        texts = [one.text or "" for one in made]
        return pandas.DataFrame({"text": [text[self.drops_space and text[:1] == " " :] for text in texts]})

    def _ids(self, prompt: str, most: int) -> list[int]:
        """Return a prompt in tokens, without its beginning where it is longer than the context."""
        from model.chat import fitted, prompt_of

        asked = prompt_of(self.tokenizer, prompt, template=self.template) if self.template else self._begun(prompt)
        room = self.network.config.max_seq_len
        size = len(asked) if isinstance(asked, list) else len(asked.ids)
        ids, _ = fitted(self.tokenizer, asked, room if size <= room else room - min(most, room // 4))
        return ids

    def _begun(self, prompt: str) -> list[int]:
        begin = [self.tokenizer.bos] if self.tokenizer.has("bos") else []
        return [*begin, *self.tokenizer.encode(prompt)]


mlflow.models.set_model(TextModel())
