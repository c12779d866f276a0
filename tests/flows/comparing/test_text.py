"""flows/comparing/text.py: a comparison fits 80 columns, and says in words what the numbers mean."""

from __future__ import annotations

from data_lake.store.home import Home
from flows.comparing.comparison import compare
from flows.comparing.text import as_text
from tests.evaluations import Runs

RIGHT = [n % 3 == 0 for n in range(90)]


def text(*names: str) -> str:
    return as_text(compare(names, Home.from_env()))


def test_rows_fit_80_columns_and_say_what_it_would_take(made: Runs) -> None:
    long = "a_benchmark_with_quite_a_long_name"
    made.run(RIGHT, [1234.5] * 12, benchmark=long, depth=6)
    made.run([*RIGHT[:-2], True, True], [1239.5 - n for n in range(12)], benchmark=long, depth=12, asked="other")
    shown = text("last~1", "last")
    assert max(map(len, shown.splitlines())) <= 80
    words = " ".join(shown.split())
    assert "A demo 00000000: finished, started 1970-01-01 00:00:00 UTC B demo 00010001" in words
    assert "pretrain A B B − A B is" in words
    assert "bits_per_byte 1.7810 1.7803 −0.0007 not distinguishable" in words
    assert "12 documents (sign flips, exact); p " in words
    assert "90 items (McNemar, exact); p 1; " in words
    assert "items would tell" in words
    assert "Intervals (95%) are of one row alone; p is corrected" in words


def test_seeds_are_means_and_sides_of_several_runs_have_all_their_letters(made: Runs) -> None:
    for depth in (6, 12):
        for seed in range(2):
            name = "demo until pretrain and evaluate"
            made.run([n < depth + seed for n in range(90)], name=name, training={"seed": seed}, depth=depth)
    words = " ".join(text("last~3", "last~2", "last").split())
    assert "pretrain A+B C C − A+B C is" in words
    assert "A+B is the mean of 2 seeds and C is the mean of 2 seeds, of all that this lake has." in words
    assert "Welch's t over 2 and 2 seeds; p " in words


def test_what_was_left_out_is_counted(made: Runs) -> None:
    made.run(RIGHT, depth=6, contaminated=[n < 9 for n in range(90)])
    made.run(RIGHT[:60], depth=12, asked="fewer")
    words = " ".join(text("last~1", "last").split())
    assert "60 items (McNemar, exact); p 1; 30 left out that only one has (30 + 0); 9 contaminated" in words
    assert "clean 0.333 0.333 0.000 not distinguishable" in words
    assert "51 items" in words
    assert "no difference seen" in words
