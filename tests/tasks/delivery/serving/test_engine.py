"""tasks/delivery/serving/engine.py: texts that join and leave, a queue with an end, faults that reach their owners.

Also covers: tasks/delivery/serving/served.py
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tasks.delivery.serving.engine import Engine, EngineFull, EngineStopped, Load, Piece
from tasks.delivery.serving.served import ContextExceeded, Message, NoChat, Served, Wanted
from tests.flows.cli.untrained import untrained
from tests.live_up import eventually


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = Served(untrained(tmp_path_factory.mktemp("home"), context=512), "it", device="cpu", slots=2, queue=3)
    yield made
    made.engine.close(10)
    torch.set_num_threads(threads)


class Told:
    """What an engine tells of one ticket."""

    def __init__(self) -> None:
        self.news: queue.Queue[Piece | Exception] = queue.Queue()

    def __call__(self, news: Piece | Exception) -> None:
        self.news.put(news)

    def whole(self) -> tuple[list[int], str | None]:
        ids: list[int] = []
        while True:
            piece = self.news.get(timeout=30)
            if isinstance(piece, Exception):
                raise piece
            ids += piece.ids
            if piece.finish:
                return ids, piece.finish


def test_texts_are_told_piece_by_piece_and_are_those_of_one_alone(served: Served) -> None:
    from model.generate import generate

    prompts = [served.text_ids(text) for text in ("a mill", "x", "the sea")]
    told = [Told() for _ in prompts]
    for prompt, one in zip(prompts, told, strict=True):
        served.submit([prompt], Wanted(20, temperature=0), one)
    for prompt, one in zip(prompts, told, strict=True):
        assert one.whole()[0] == generate(served.model, prompt, 20, stop=served.ends).ids


def test_the_queue_has_an_end_and_cancelled_texts_make_room(served: Served) -> None:
    told = Told()
    tickets = [served.submit([[1, 2]], Wanted(500, temperature=0), told) for _ in range(5)]
    with pytest.raises(EngineFull) as full:
        served.submit([[1]], Wanted(1), Told())
    assert full.value.retry_after >= 1
    with pytest.raises(ValueError, match="more than this server takes"):
        served.submit([[1]], Wanted(1, n=6), Told())
    for ticket in tickets:
        served.engine.cancel(ticket)
    eventually(lambda: served.engine.load == Load(0, 0), 10, "all are gone")
    ids, finish = _asked(served, Wanted(3))
    assert (len(ids), finish) == (3, "length")


def test_texts_wait_for_blocks_and_none_fails(served: Served) -> None:
    """There is memory for one text of full length: two slots are of no use for two of them, but for shorter ones."""
    from model.decoding import Request
    from model.paged_texts import megabytes_of

    room = megabytes_of(served.model, 1, 512)
    with pytest.raises(ValueError, match="its context alone is 512 tokens"):
        Engine(served.model, served.tokenizer.decode_bytes, megabytes=room / 2)
    engine = Engine(served.model, served.tokenizer.decode_bytes, slots=2, queue=8, megabytes=room)
    running: list[int] = []
    told = Told()

    def tell(news: Piece | Exception) -> None:
        running.append(engine.load.running)
        if not isinstance(news, Piece) or news.finish:
            told(news)

    for length, texts in ((490, 4), (200, 2)):
        running.clear()
        engine.submit([Request([number + 1] * 20, length) for number in range(texts)], tell)
        pieces = [told.news.get(timeout=30) for _ in range(texts)]
        assert [isinstance(piece, Piece) and piece.finish for piece in pieces] == ["length"] * texts
        assert max(running) == (1 if length == 490 else 2)
    assert engine.close(10)
    assert engine.prefix_cache.usage < 1
    assert engine.prefix_cache.queries == 6 * 20


def test_a_text_that_is_not_streamed_is_told_once(served: Served) -> None:
    told = Told()
    served.submit([[1, 2, 3]], Wanted(20, temperature=0, n=2), told, stream=False)
    pieces = [told.news.get(timeout=30) for _ in range(2)]
    assert all(isinstance(piece, Piece) and piece.finish for piece in pieces)
    assert sorted(piece.choice for piece in pieces if isinstance(piece, Piece)) == [0, 1]
    assert told.news.empty()


def _asked(served: Served, wanted: Wanted) -> tuple[list[int], str | None]:
    told = Told()
    served.submit([[1]], wanted, told)
    return told.whole()


def test_a_fault_reaches_whom_it_concerns_and_the_engine_goes_on(served: Served) -> None:
    weight = served.model.output_weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        _asked(served, Wanted(5))
    with torch.no_grad():
        weight.copy_(kept)
    assert len(_asked(served, Wanted(5, temperature=0))[0]) == 5
    with pytest.raises(ZeroDivisionError):
        served.engine.call(lambda: 1 // 0).result(10)
    assert served.engine.call(lambda: threading.current_thread().name).result(10) == "engine it"


def test_an_engine_that_closes_ends_what_it_has_and_takes_nothing_new(served: Served) -> None:
    engine = Engine(served.model, served.tokenizer.decode_bytes, slots=1, queue=5)
    from model.decoding import Request

    told = [Told() for _ in range(3)]
    for one in told:
        engine.submit([Request([1, 2], 30)], one)
    assert engine.close(30)
    for one in told:
        assert len(one.whole()[0]) == 30
    with pytest.raises(EngineStopped):
        engine.submit([Request([1], 1)], Told())
    with pytest.raises(EngineStopped):
        engine.call(time.time)


def test_prompts_that_do_not_fit(served: Served) -> None:
    with pytest.raises(ContextExceeded, match="context of 512"):
        served.submit([[1] * 513], Wanted(1), Told())
    with pytest.raises(ValueError, match="top_p"):
        served.submit([[1]], Wanted(1, top_p=0), Told())
    with pytest.raises(NoChat, match="was taught no chat"):
        served.chat_ids([Message("user", "x")])


def test_encoders_are_not_served(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only decoders"):
        Served(untrained(tmp_path, network="encoder"), "it", device="cpu")


def test_a_chat_is_asked_in_the_style_that_the_model_was_taught(tmp_path: Path) -> None:
    served = Served(untrained(tmp_path, "phi3"), "it", device="cpu")
    served.engine.close(10)
    asked = served.decode(served.chat_ids([Message("system", "s"), Message("user", "x")]))
    assert asked == "<|bos|><|system|>\ns\n<|user|>\nx\n<|assistant|>:\n"
    assert served.jinja is not None
    assert ":\\n" in served.jinja
