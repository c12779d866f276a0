"""model/blocks.py: what is shared, what is evicted, and what a text is promised."""

from __future__ import annotations

import random

from model.blocks import BlockPool, BlockTable


def opened(pool: BlockPool, tokens: list[int], most: int = 0) -> BlockTable:
    table = pool.open(tokens, most or len(tokens))
    assert table is not None
    return table


def test_texts_share_the_full_blocks_that_they_begin_with() -> None:
    pool = BlockPool(10, 4)
    first = opened(pool, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    second = opened(pool, [1, 2, 3, 4, 5, 6, 7, 0, 9])
    assert (first.cached, second.cached) == (0, 4)
    assert second.blocks[0] == first.blocks[0]
    assert set(second.blocks[1:]).isdisjoint(first.blocks)
    assert pool.free == 10 - 5


def test_the_last_token_is_always_read() -> None:
    pool = BlockPool(10, 4)
    pool.close(opened(pool, [1, 2, 3, 4, 5, 6, 7, 8]))
    assert opened(pool, [1, 2, 3, 4, 5, 6, 7, 8]).cached == 4
    assert opened(pool, [1, 2, 3, 4, 5, 6, 7, 8, 9]).cached == 8


def test_the_same_tokens_after_others_are_not_the_same() -> None:
    pool = BlockPool(10, 2)
    pool.close(opened(pool, [1, 1, 2, 2, 3]))
    assert opened(pool, [9, 9, 2, 2, 3]).cached == 0


def test_what_a_text_wrote_is_found_by_the_next_turn() -> None:
    pool = BlockPool(10, 2)
    table = opened(pool, [1, 2, 3], most=7)
    for length in range(4, 8):
        pool.extend(table, [1, 2, 3, 4, 5, 6, 7][:length])
    pool.close(table)
    assert opened(pool, [1, 2, 3, 4, 5, 6, 7, 8]).cached == 6


def test_a_text_that_has_begun_never_waits_for_a_block() -> None:
    pool = BlockPool(4, 2)
    first = opened(pool, [1, 2], most=6)
    assert pool.free == 1
    assert pool.open([5, 6, 7], 3) is None
    pool.extend(first, [1, 2, 3, 4, 5, 6])
    assert pool.free == 1
    pool.close(first)
    assert pool.free == 4


def test_the_least_recently_used_block_is_evicted_first_and_the_end_of_a_text_before_its_beginning() -> None:
    pool = BlockPool(4, 2)
    for tokens in ([1, 1, 2, 2], [3, 3, 4, 4]):
        pool.close(opened(pool, tokens))
    pool.close(opened(pool, [1, 1, 2, 2, 0]))  # the first text again: its last block makes room from the other's end
    assert pool.needed([3, 3, 9], 3) == 2
    table = opened(pool, [3, 3, 4, 4, 9])
    assert table.cached == 2
    pool.close(table)
    assert opened(pool, [1, 1, 9]).cached == 2


def test_blocks_are_neither_lost_nor_given_twice() -> None:
    chance = random.Random(5)
    pool = BlockPool(24, 4)
    grown: dict[BlockTable, list[int]] = {}
    for _ in range(3000):
        if grown and chance.random() < 0.7:
            table = chance.choice(list(grown))
            if len(grown[table]) < table.most * 4 and chance.random() < 0.8:
                grown[table] = [*grown[table], chance.randrange(2)]
                pool.extend(table, grown[table])
            else:
                del grown[table]
                pool.close(table)
        else:
            tokens = [chance.randrange(2) for _ in range(chance.randrange(1, 20))]
            table_or_none = pool.open(tokens, chance.randrange(1, 40))
            if table_or_none:
                grown[table_or_none] = tokens
        owners: dict[int, list[tuple[int, ...]]] = {}
        for table, tokens in grown.items():
            assert len(table.blocks) == -(-len(tokens) // 4)
            for number, block in enumerate(table.blocks):
                owners.setdefault(block, []).append(tuple(tokens[: 4 * number + 4]))
        for beginnings in owners.values():  # who shares a block has the same text up to its end
            assert len(set(beginnings)) == 1
            assert len(beginnings) == 1 or len(beginnings[0]) % 4 == 0
        assert 0 <= pool.free <= 24 - len(owners)
    for table in grown:
        pool.close(table)
    assert pool.free == 24
