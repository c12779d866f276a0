"""model/text_stream.py: whole characters, nothing of a stop string, everything else, however the tokens are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.text_stream import TextStream


def pieces(parts: list[bytes], stop: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    """What a stream lets out after each token, and at the end; token i stands for parts[i]."""
    stream = TextStream(lambda ids: b"".join(parts[i] for i in ids), stop)
    shown = []
    for token in range(len(parts)):
        shown.append(stream.push(token))
        if stream.stopped:
            return shown, True
    shown.append(stream.end())
    return shown, stream.stopped


def expected(text: str, stop: tuple[str, ...]) -> str:
    """The text read letter by letter, up to where the first stop string is complete."""
    for end in range(1, len(text) + 1):
        found = [one for one in stop if text[:end].endswith(one)]
        if found:
            return text[: end - len(max(found, key=len))]
    return text


@given(
    st.text("ab<|é🙂\n", max_size=12),
    st.lists(st.text("ab<|é", min_size=1, max_size=4), max_size=3).map(tuple),
    st.lists(st.integers(0, 40), max_size=8),
)
@example("a<|b", ("<|a", "a<|a"), [1, 2, 3])
def test_the_text_does_not_depend_on_the_tokens(text: str, stop: tuple[str, ...], cuts: list[int]) -> None:
    data = text.encode()
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    parts = [data[a:b] for a, b in itertools.pairwise(places)]
    shown, stopped = pieces(parts, stop)
    assert "".join(shown) == expected(text, stop)
    assert stopped == any(one in text for one in stop)
    assert "�" not in "".join(shown)
    assert not any(one in "".join(shown) for one in stop)


@given(st.lists(st.binary(max_size=4), max_size=8))
def test_bytes_that_are_no_text_come_out_as_when_decoded_at_once(parts: list[bytes]) -> None:
    assert "".join(pieces(parts)[0]) == b"".join(parts).decode(errors="replace")


@pytest.mark.parametrize(
    ("parts", "stop", "shown"),
    [
        ([b"go ", b"EN", b"D on"], ("END",), ["go ", "", ""]),  # a stop string across two tokens
        ([b"go ", b"EN", b"ough"], ("END",), ["go ", "", "ENough", ""]),  # what only seemed to be one
        ([b"go ", b"EN"], ("END",), ["go ", "", "EN"]),  # held back, then let out at the end
        ([b"\xf0\x9f", b"\x99\x82!"], (), ["", "🙂!", ""]),  # a character across two tokens
        ([b"\xf0\x9f"], (), ["", "�"]),  # half a character is not kept back for ever
        ([b"a", b"b\xc3"], ("b�",), ["a", "", ""]),  # a stop string that only the end completes
        ([b"aab"], ("ab", "aab"), [""]),  # of stop strings that end together, the longest
        ([b"abc"], ("abc", "b"), ["a"]),  # the first that is complete, whichever begins first
    ],
)
def test_what_is_shown_after_each_token(parts: list[bytes], stop: tuple[str, ...], shown: list[str]) -> None:
    assert pieces(parts, stop)[0] == shown
