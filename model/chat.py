"""Conversations as tokens: what stands around each message is said by a chat template (model/templates.py).

textmill's own is  <|bos|> [<|system|> text] <|user|> instruction [blank line, input] <|assistant|> answer <|eos|> …

Its roles are special tokens, and text is always encoded as ordinary tokens, so no message can forge a role. The role
tokens are reserved when the tokenizer is trained; fine-tuning gives them their meaning.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from model.templates import TEMPLATES, Part, Place, TemplateName, resolved
from model.tokenizer import Tokenizer


@dataclass(frozen=True)
class Example:
    """A conversation as one sequence; `answers` are the spans [start, end) of `ids` that the model learns to write.

    The answers are the assistant's turns, each with its end token but without the role before it.
    """

    ids: tuple[int, ...]
    answers: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Prompt:
    """A prompt in tokens; `optional` are the places of texts, in the order in which they may be left out."""

    ids: tuple[int, ...]
    optional: tuple[int, ...]


Exchanges = Sequence[tuple[str, str]]
"""Earlier turns of a conversation, in order: pairs of the user's message and the assistant's answer."""


def prompt_ids(
    tokenizer: Tokenizer,
    instruction: str,
    given: str = "",
    system: str = "",
    history: Exchanges = (),
    template: TemplateName = "textmill",
) -> list[int]:
    """Return the tokens after which the assistant answers; `given` is Alpaca's input field."""
    return list(prompt_of(tokenizer, instruction, given, system, history, template).ids)


def prompt_of(
    tokenizer: Tokenizer,
    instruction: str,
    given: str = "",
    system: str = "",
    history: Exchanges = (),
    template: TemplateName = "textmill",
) -> Prompt:
    """Return the tokens after which the assistant answers, with what `fitted` may leave out of them.

    First to go are earlier turns, the oldest before all others; then the end of the input, and the beginnings of the
    instruction and of the system's text.
    """
    asked = _asked(tokenizer, instruction, given, system, history, template)
    asked.close()
    places = {kind: [*itertools.chain(*(range(*span) for span in asked.spans.get(kind, ())))] for kind in _KINDS}
    places["given"].reverse()
    return Prompt(tuple(asked.ids), tuple(itertools.chain(*(places[kind] for kind in _KINDS))))


def example(
    tokenizer: Tokenizer,
    instruction: str,
    given: str,
    answer: str,
    system: str = "",
    history: Exchanges = (),
    template: TemplateName = "textmill",
) -> Example:
    """Return a conversation as one sequence with its answers, each of which ends in the template's end token."""
    made = _asked(tokenizer, instruction, given, system, history, template)
    made.answer(answer)
    made.close()
    return Example(tuple(made.ids), tuple(made.answers))


def stop_ids(tokenizer: Tokenizer, template: TemplateName | None = "textmill") -> tuple[int, ...]:
    """Return the tokens that end an answer, or a text if there is no template."""
    closes = resolved(TEMPLATES[template].closes, tokenizer) if template else []
    roles = [tokenizer.role(role) for role in ("eos", "bos") if tokenizer.has(role)]
    return tuple(dict.fromkeys([*(part for part in closes if isinstance(part, int)), *roles]))


def answers_begin_texts(tokenizer: Tokenizer, template: TemplateName) -> bool:
    """Whether a special token stands right before an answer, which then is encoded as a text of its own."""
    return isinstance(resolved(TEMPLATES[template].answers, tokenizer)[-1], int)


def fitted(tokenizer: Tokenizer, prompt: Sequence[int] | Prompt, room: int) -> tuple[list[int], int]:
    """Return the prompt shortened to at most `room` tokens, and how many tokens of its text were left out.

    Of a `Prompt`, the texts are left out in its order; of plain ids the oldest text, and the system's last of all.
    Special tokens and a template's marks are always kept. Raises ValueError if they alone need more room.
    """
    ids = prompt.ids if isinstance(prompt, Prompt) else prompt
    excess = len(ids) - room
    if excess <= 0:
        return list(ids), 0
    optional = prompt.optional if isinstance(prompt, Prompt) else _oldest_first(tokenizer, prompt)
    if excess > len(optional):
        roles = len(ids) - len(optional)
        raise ValueError(f"A prompt needs {roles} tokens for its roles alone, but there is room for {room}.")
    left_out = set(optional[:excess])
    return [token for place, token in enumerate(ids) if place not in left_out], excess


def _oldest_first(tokenizer: Tokenizer, prompt: Sequence[int]) -> list[int]:
    special = set(tokenizer.specials.values())
    text = [place for place, token in enumerate(prompt) if token not in special]
    user = prompt.index(tokenizer.user) if tokenizer.has("user") and tokenizer.user in prompt else 0
    return sorted(text, key=lambda place: (place < user, place))


_KINDS = ("earlier", "given", "instruction", "system")


def _asked(
    tokenizer: Tokenizer, instruction: str, given: str, system: str, history: Exchanges, template: TemplateName
) -> _Tokens:
    """Return a conversation up to where the assistant answers."""
    style = TEMPLATES[template]
    made = _Tokens(tokenizer, template)
    made.put(style.opens)
    made.put(style.system if system else style.unasked, ("system", system))
    for asked, answer in history:
        made.put(style.user, ("earlier", asked))
        made.put(style.answers)
        made.answer(answer)
    about = [("", style.given), ("given", given)] if given else []
    made.put(style.user, ("instruction", instruction), *about)
    made.put(style.answers)
    return made


class _Tokens:
    """A conversation in the making. Text between two special tokens is encoded as a whole, as `transformers` does.

    `spans` are the places of messages by their kind.
    """

    def __init__(self, tokenizer: Tokenizer, template: TemplateName) -> None:
        self._tokenizer, self._style = tokenizer, TEMPLATES[template]
        self._run: list[tuple[str, str]] = []  # (kind, text) since the last special token; "" = the template's own
        self.ids: list[int] = []
        self.spans: dict[str, list[tuple[int, int]]] = {}
        self.answers: list[tuple[int, int]] = []

    def put(self, parts: Sequence[Part], *message: tuple[str, str]) -> None:
        """Add parts of the template, with a message in its place: pieces (kind, text)."""
        for part in resolved(parts, self._tokenizer):
            if isinstance(part, int):
                self.close()
                self.ids.append(part)
            elif isinstance(part, Place):
                self._run += message
            else:
                self._run.append(("", part))

    def answer(self, text: str) -> None:
        """Add an answer and what ends it."""
        self._run.append(("earlier", text))
        self.put(self._style.closes)
        start, _ = self.spans["earlier"][-1]
        self.answers.append((start, len(self.ids)))
        self.put(self._style.after)

    def close(self) -> None:
        """Encode the text since the last special token."""
        text = "".join(piece for _, piece in self._run)
        ids = self._tokenizer.encode(text) if text else []
        start, first, place = len(self.ids), 0, 0
        if len(self._run) == 1:
            self._note(self._run[0][0], start, start + len(ids))
        else:
            bounds = _Bounds(self._tokenizer, text, ids)
            for kind, piece in self._run:
                place, before = place + len(piece), place
                first, last = bounds.first_from(before), bounds.last_until(place)
                self._note(kind, start + first, start + max(first, last))
        self.ids += ids
        self._run = []

    def _note(self, kind: str, start: int, end: int) -> None:
        if kind:
            self.spans.setdefault(kind, []).append((start, end))


class _Bounds:
    """Which tokens of a text lie behind a character and before one."""

    def __init__(self, tokenizer: Tokenizer, text: str, ids: Sequence[int]) -> None:
        self._tokenizer, self._text, self._ids = tokenizer, text, ids
        sizes = [len(tokenizer.decode_bytes([id_])) for id_ in ids]
        self._ends = [*itertools.accumulate(sizes)]
        extra = sum(sizes) - len(text.encode())  # some vocabularies put a space before a text
        whole = b" " * max(extra, 0) + text.encode()
        self._extra = extra if extra in (0, 1) and tokenizer.decode_bytes(ids) == whole else None

    def first_from(self, character: int) -> int:
        """Return the first token that begins at this character or behind it."""
        if not character:
            return 0
        if self._extra is None:  # the vocabulary rewrites texts: the tokens of the text before it
            return min(len(self._tokenizer.encode(self._text[:character])), len(self._ids))
        wanted = len(self._text[:character].encode()) + self._extra
        return next((i for i, end in enumerate([0, *self._ends]) if end >= wanted), len(self._ids))

    def last_until(self, character: int) -> int:
        """Return the number of tokens that end at this character or before it."""
        if character == len(self._text):
            return len(self._ids)
        if self._extra is None:
            return self.first_from(character)
        wanted = len(self._text[:character].encode()) + self._extra
        return sum(end <= wanted for end in self._ends)
