"""The ledger adds up, or says where it does not."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from data_lake.reading.ledger import Amount, Ledger, Tally

events = st.lists(
    st.tuples(st.sampled_from(["kept", "too_short", "robots"]), st.integers(0, 10**6), st.integers(0, 10**6))
)


@given(events)
def test_a_tally_always_adds_up_and_survives_json(rows):
    tally = Tally()
    for what, size, written in rows:
        tally.keep(size, written=written) if what == "kept" else tally.remove(what, size)
    ledger = tally.ledger()
    assert list(ledger.problems()) == []
    assert ledger.incoming.documents == len(rows)
    assert Ledger.from_dict(json.loads(json.dumps(ledger.to_dict()))) == ledger


@given(events, events)
def test_the_sum_of_shards_is_the_ledger_of_the_whole(left, right):
    whole, sums = Tally(), Tally()
    for rows in (left, right):
        part = Tally()
        for what, size, written in rows:
            for tally in (part, whole):
                tally.keep(size, written=written) if what == "kept" else tally.remove(what, size)
        sums.add(part.ledger())
    assert sums.ledger() == whole.ledger()


def test_a_lost_document_is_a_sentence():
    tally = Tally()
    tally.keep(10)
    problems = list(tally.ledger(Amount(2, 15)).problems())
    assert len(problems) == 2
    assert "2 documents came in" in problems[0]
    assert "+1" in problems[0]
    assert "15 bytes" in problems[1]


def test_negative_numbers_and_rewritten_documents_are_problems():
    ledger = Ledger(Amount(1), Amount(2), {"odd": Amount(-1)})
    assert any("odd has -1 documents" in sentence for sentence in ledger.problems())
    assert any("reason" in sentence for sentence in Ledger(Amount(1), Amount(0), {}, Amount(1)).problems())


def test_text_that_grows_is_rewritten_by_a_negative_amount():
    tally = Tally()
    tally.keep(10, written=12)
    assert tally.ledger().rewritten == Amount(0, -2)
    assert list(tally.ledger().problems()) == []
