"""A GGUF file in the real llama.cpp (package xllamacpp), asked over the HTTP API of its server."""

from __future__ import annotations

import http.client
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from model.gguf import child

_FORCED = 1e6  # a bias with which only one token can be drawn
_ALL = 1 << 30  # more tokens than any vocabulary has


class LlamaCppError(ValueError):
    """llama.cpp does not open a file, or does not answer."""


class LlamaCpp:
    """A file that llama.cpp has opened, with caches in float32. Use it as a context manager.

    bytes_of: the bytes of each token. context: of the model, in tokens. Raises LlamaCppError with llama.cpp's own words
    if it does not open the file.
    """

    def __init__(self, path: Path, context: int, bytes_of: Callable[[int], bytes]) -> None:
        self._bytes_of = bytes_of
        self._path = path
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, child.__file__, str(path), str(context)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},  # with it, a failed check starts a debugger
        )
        assert self._process.stdout is not None
        address = next((line for line in self._process.stdout if line.startswith("http")), None)
        if address is None:
            self._process.wait()
            told = self._last_words()
            self.close()
            raise LlamaCppError(f"llama.cpp does not open {path.name}: {told}")
        self._connection = http.client.HTTPConnection(urlsplit(address.strip()).netloc, timeout=600)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()

    def tokens(self, text: str, *, whole: bool = False) -> list[int]:
        """Return the ids of a text. whole: as a prompt, with the token that opens it, and names of specials as such."""
        asked = {"content": text, "add_special": whole, "parse_special": whole}
        ids: list[int] = self._ask("/tokenize", asked)["tokens"]
        return ids

    def likeliest(self, ids: Sequence[int], count: int) -> dict[int, float]:
        """Return the log-probabilities of the tokens that most probably follow, the first one first.

        What is written is an "a", as probabilities are not told of half a character; they are those before this bias.
        """
        made = self._complete(ids, n_predict=1, n_probs=count, logit_bias=[[self.tokens("a")[-1], _FORCED]])
        return {one["id"]: one["logprob"] for one in made["completion_probabilities"][0]["top_logprobs"]}

    def log_likelihood(self, context: Sequence[int], continuation: Sequence[int]) -> float:
        """Return the log-likelihood of a continuation in nats."""
        before, nats = list(context), []
        for whole, run in itertools.groupby(continuation, self._is_whole):
            ids = list(run)
            if whole:
                nats += self._written(before, ids)
                before += ids
                continue
            for id_ in ids:  # of parts of characters neither a grammar nor the answer knows anything
                nats.append(self.likeliest(before, _ALL)[id_])
                before.append(id_)
        return math.fsum(nats)

    def _written(self, before: Sequence[int], ids: Sequence[int]) -> list[float]:
        """Return the log-probability of each of the tokens, which a grammar has the model write; what is told are the
        probabilities before the grammar."""
        forced = "root ::= " + " ".join(f"<[{id_}]>" for id_ in ids)
        made = self._complete(before, n_predict=len(ids), n_probs=1, grammar=forced)
        found = made.get("completion_probabilities", [])
        if [one["id"] for one in found] != list(ids):
            raise LlamaCppError(f"llama.cpp wrote {len(found)} other tokens than the {len(ids)} that it had to.")
        return [one["logprob"] for one in found]

    def _is_whole(self, id_: int) -> bool:
        """Whether a token consists of whole characters."""
        try:
            self._bytes_of(id_).decode()
        except UnicodeDecodeError:
            return False
        return True

    def ends_with(self, ids: Sequence[int], end: int) -> bool:
        """Whether a text ends where the model writes this token."""
        made = self._complete(ids, n_predict=3, logit_bias=[[end, _FORCED]], ignore_eos=False)
        return bool(made["stop_type"] == "eos" and made["tokens_predicted"] == 1)

    def rendered(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return what a conversation becomes by the file's own template."""
        return str(self._ask("/apply-template", {"messages": list(messages)})["prompt"])

    def prompt_size(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Return how many tokens a conversation has in which the model is asked for an answer."""
        answered = self._ask("/v1/chat/completions", {"messages": list(messages), "max_tokens": 1})
        return int(answered["usage"]["prompt_tokens"])

    def _complete(self, ids: Sequence[int], **asked: Any) -> dict[str, Any]:
        usual = {"samplers": [], "ignore_eos": True, "seed": 0}
        return self._ask("/completion", {"prompt": list(ids), **usual, **asked})

    def _ask(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        try:
            self._connection.request("POST", path, json.dumps(asked), {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            data = json.loads(answer.read())
        except (OSError, http.client.HTTPException) as error:
            self._process.kill()
            self._process.wait()
            raise LlamaCppError(f"llama.cpp ended while it read {self._path.name}: {self._last_words()}") from error
        if answer.status != 200:
            raise LlamaCppError(f"llama.cpp answers {path} with {answer.status}: {data['error']['message']}")
        return dict(data)

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        told = [line.split(" E ", 1)[-1] for line in lines if " E " in line or "ASSERT" in line]
        return (told[:1] or lines[-1:] or ["it said nothing."])[0]
