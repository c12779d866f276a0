"""The client of a judge: asks an endpoint of OpenAI's chat completions many questions, and asks none of them twice.

Failures are results as well: each question ends with words or with the reason why there are none.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.store.fingerprint import sha256_of
from tasks.corpus.crawl.proxies import Proxies
from tasks.corpus.crawl.retry_after import retry_after
from tasks.stage import PermanentError

if TYPE_CHECKING:
    import aiohttp

    from tasks.evaluation.judge.config import JudgeConfig

MAX_BYTES = 4 << 20  # of one response; a judge writes a few words
MAX_PAUSE = 60.0
MAX_IN_A_ROW = 10
"""So many questions that fail for good one after the other mean that the endpoint does not work at all."""


@dataclass(frozen=True)
class Words:
    """What a judge wrote; `cut` if it was stopped at the length limit."""

    text: str
    cut: bool = False


@dataclass(frozen=True)
class Failure:
    """Why a question has no answer: a few words to count by, and what was seen."""

    reason: str
    detail: str


class _Failed(Exception):
    def __init__(self, reason: str, detail: str, *, again: bool = True, pause: float | None = None) -> None:
        super().__init__(detail)
        self.failure, self.again, self.pause = Failure(reason, detail), again, pause


class Cache:
    """The words of a judge by the key of their question, in a file of JSON lines that survives a kill."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Words] = {}
        if path.exists():
            for line in path.read_bytes().splitlines():
                try:
                    found = json.loads(line)
                    self._known[found["key"]] = Words(found["text"], found["cut"])
                except (ValueError, KeyError, TypeError):
                    continue  # the line that a kill cut off: that question is asked again

    def get(self, key: str) -> Words | None:
        """Return the words that are known for a question."""
        return self._known.get(key)

    def put(self, key: str, words: Words) -> None:
        """Keep words, on the disk as well."""
        if key not in self._known:
            self._known[key] = words
            with open(self._path, "a+b") as file:
                if file.tell() and not self._ends_in_newline():
                    file.write(b"\n")
                file.write(json.dumps({"key": key, **asdict(words)}).encode() + b"\n")

    def _ends_in_newline(self) -> bool:
        with open(self._path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def api_key(variable: str) -> str | None:
    """Return the key that the environment has for the endpoint; raises PermanentError if it is missing or none."""
    if not variable:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise PermanentError(f"judge.api_key_variable names {variable}, which the environment does not have; set it.")
    if not (key.isascii() and key.isprintable()):
        raise PermanentError(f"The environment variable {variable} has characters that no key has; set it again.")
    return key


class JudgeClient:
    """Asks one judge. What it wrote is in the cache as soon as it came, so a retry asks only what is missing."""

    def __init__(self, config: JudgeConfig, cache: Cache) -> None:
        """Raises PermanentError if the environment lacks the key that the config names."""
        self._config, self._cache = config, cache
        self._key = api_key(config.api_key_variable)
        self._url = f"{config.base_url}/chat/completions"
        self._in_a_row = 0

    def body(self, prompt: str) -> dict[str, Any]:
        """Return the request for a prompt: everything that shapes the answer."""
        return {
            "model": self._config.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "seed": self._config.seed,
            "max_tokens": self._config.max_tokens,
        }

    def key(self, prompt: str) -> str:
        """Return the name of a question in the cache: the sha256 of its whole request."""
        return str(sha256_of(self.body(prompt)))

    def ask(self, prompts: Iterable[str], progress: Callable[[int, int], None]) -> dict[str, Words | Failure]:
        """Return prompt → the judge's words, or why there are none.

        Raises PermanentError if the endpoint refuses every question (a wrong key, address or model), and
        ConnectionError if it answers none of many in a row.
        """
        found: dict[str, Words | Failure] = {}
        missing = []
        for prompt in dict.fromkeys(prompts):
            known = self._cache.get(self.key(prompt))
            if known is None:
                missing.append(prompt)
            else:
                found[prompt] = known
        if missing:
            asyncio.run(self._ask_all(missing, found, len(found) + len(missing), progress))
        return found

    async def _ask_all(
        self, prompts: list[str], found: dict[str, Words | Failure], total: int, progress: Callable[[int, int], None]
    ) -> None:
        import aiohttp

        waiting = iter(prompts)

        async def work(session: aiohttp.ClientSession) -> None:
            for prompt in waiting:  # one iterator for all workers: each takes the next question
                found[prompt] = await self._ask(session, prompt)
                progress(len(found), total)

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        async with aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self._config.timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            workers = [asyncio.create_task(work(session)) for _ in range(min(self._config.concurrency, len(prompts)))]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _ask(self, session: aiohttp.ClientSession, prompt: str) -> Words | Failure:
        for number in range(self._config.retries + 1):
            try:
                words = await self._post(session, prompt)
            except _Failed as error:
                failure = error.failure
                if not error.again or number == self._config.retries:
                    break
                pause = self._config.backoff_seconds * 2**number
                await asyncio.sleep(min(MAX_PAUSE, max(pause, error.pause or 0.0)))
            else:
                self._in_a_row = 0
                self._cache.put(self.key(prompt), words)
                return words
        self._in_a_row += 1
        if self._in_a_row >= MAX_IN_A_ROW:
            raise ConnectionError(
                f"The judge at {self._url} answered none of {self._in_a_row} questions in a row; the last failed with "
                f"{failure.reason}: {failure.detail}. See that it runs, and start again: what it judged is kept."
            )
        return failure

    async def _post(self, session: aiohttp.ClientSession, prompt: str) -> Words:
        import aiohttp

        try:
            async with session.post(
                self._url, json=self.body(prompt), proxy=Proxies().of(self._url), allow_redirects=False
            ) as answer:
                data = await _whole(answer)
                status, wait = answer.status, answer.headers.get("retry-after")
        except TimeoutError as error:
            raise _Failed("timeout", f"no whole answer in {self._config.timeout_seconds:g} s") from error
        except (aiohttp.ClientError, ConnectionError, OSError) as error:
            raise _Failed("connection", f"{type(error).__name__}: {error}"[:300]) from error
        if status in (401, 403, 404):
            raise PermanentError(
                f"The judge at {self._url} refuses the model {self._config.model!r} with status {status}: "
                f"{self._shown(data)} Correct judge.base_url, judge.model or the key in judge.api_key_variable."
            )
        if status != 200:
            again = status in (408, 409, 425, 429) or status >= 500
            raise _Failed(f"status {status}", self._shown(data), again=again, pause=retry_after(wait))
        return self._words(data)

    def _words(self, data: bytes) -> Words:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _Failed("no JSON", self._shown(data)) from error
        try:
            choice = value["choices"][0]
            text = choice["message"]["content"]
        except (KeyError, IndexError, TypeError) as error:
            raise _Failed("no chat completion", self._shown(data)) from error
        if text is None:  # a refusal, or a judge that only reasoned
            text = ""
        if isinstance(text, list):
            text = "".join(str(part.get("text", "")) for part in text if isinstance(part, Mapping))
        if not isinstance(text, str):
            raise _Failed("no chat completion", self._shown(data))
        # half a surrogate pair cannot be stored as UTF-8
        return Words(text.encode("utf-8", "backslashreplace").decode(), choice.get("finish_reason") == "length")

    def _shown(self, data: bytes) -> str:
        """Return the beginning of a response, without the key, which some servers repeat."""
        text = data.decode("utf-8", "backslashreplace")
        return (text.replace(self._key, "***") if self._key else text)[:300]


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > MAX_BYTES:
            raise _Failed("too long", f"the response has more than {MAX_BYTES:,} bytes", again=False)
    return bytes(data)
