"""The dedup stage: what is removed, what is kept, and that every document is accounted for.

Also covers: tasks/corpus/dedup/sign.py
Also covers: tasks/corpus/dedup/write.py
"""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import WORK, Artifact, Lake
from data_lake.tables.documents import doc_id, read_documents
from tasks.corpus.dedup import DedupConfig, comparison, dedup, levels
from tasks.stage import Output, local_output
from tests.live_up import eventually

Given = Callable[..., Artifact]

ENGLISH = [
    "mill",
    "river",
    "stone",
    "house",
    "miller",
    "grey",
    "cat",
    "runs",
    "past",
    "turns",
    "lives",
    "with",
    "seven",
]
CHINESE = "水车转动河水流过老石屋磨坊主和七只灰猫住在那里每天清晨他打开闸门让水进来再磨面粉送到镇上去卖"


def build(lake: Lake, clean: Artifact, **config: object) -> Artifact:
    return dedup.build(lake, DedupConfig(**config), {"documents": clean}).artifact


def kept(artifact: Artifact) -> set[str]:
    return {row["url"] for batch in read_documents(artifact.path) for row in batch.to_pylist()}


def decided(artifact: Artifact) -> list[dict]:
    return pq.read_table(artifact.path / "duplicates.parquet").to_pylist()


def sentence(seed: int, words: int = 120) -> list[str]:
    generator = random.Random(seed)
    return [f"{generator.choice(ENGLISH)}{generator.randrange(50)}" for _ in range(words)]


def edited(words: list[str], every: int) -> str:
    return " ".join("changed" if i % every == every - 1 else word for i, word in enumerate(words))


def test_exact_copies_go_and_the_first_stays(lake: Lake, given_documents: Given) -> None:
    text = " ".join(sentence(1))
    clean = given_documents([text, "another text altogether, of its own", text, f"  {text}\n", "é", "e\u0301"])
    made = build(lake, clean, near=False)
    assert made.counts["exact_duplicates"] == 3
    # the copy with more white space is the longest, in bytes
    assert kept(made) == {f"http://example.org/{i}" for i in (1, 3, 5)}
    assert all(row["method"] == "exact" and row["score"] == 1 and row["removed"] for row in decided(made))
    assert {row["partner_url"] for row in decided(made)} == {"http://example.org/3", "http://example.org/5"}


TYPED = (
    "It's the \"miller's\" wife - who doesn't like the river's noise... and she can't sleep; 12 houses, fine",
    "It’s the “miller’s” wife – who doesn’t like the river’s noise… and she can’t sleep; 12 houses, ﬁne",
    "Itʼs the „millerʼs“ wife — who doesn´t like the river‘s noise… and she can’t sleep; \uff11\uff12 houses, fine",
    "It's the «miller's» wife \u2011 who doesn't like the ri\u00adver's noi\u200bse… and\u00a0she can't sleep;"
    " 12 houses, fine",
)  # fmt: skip


@pytest.mark.parametrize("level", ["exact", "near"])
def test_what_was_only_typed_in_another_way_is_the_same(lake: Lake, given_documents: Given, level: str) -> None:
    other = "It's the miller who likes the noise of the river, and sleeps well when it is high in spring"
    made = build(lake, given_documents([*TYPED, other]), url=False, exact=level == "exact", near=level == "near")
    assert made.counts["documents"] == 2
    assert {row["method"] for row in decided(made) if row["removed"]} == {"exact" if level == "exact" else "minhash"}
    assert all(row["score"] == 1 for row in decided(made) if row["removed"])


def test_near_duplicates_go_and_the_longest_stays(lake: Lake, given_documents: Given) -> None:
    words = sentence(2)
    longer = [*words, "with", "one", "more", "line"]
    clean = given_documents([" ".join(words), " ".join(longer), " ".join(sentence(3)), edited(words, 10)])
    made = build(lake, clean)
    assert kept(made) == {f"http://example.org/{i}" for i in (1, 2, 3)}  # every tenth word: J5 is far below 0.8
    (decision,) = [row for row in decided(made) if row["removed"]]
    assert decision["url"] == "http://example.org/0"
    assert decision["partner_url"] == "http://example.org/1"
    assert decision["score"] == pytest.approx(116 / 120)
    (removed,) = pq.read_table(made.path / "removed").to_pylist()
    assert (removed["reason"], removed["value"], removed["threshold"]) == ("near_duplicate", decision["score"], 0.8)


@pytest.mark.parametrize("n_words", [1, 4, 5, 6])
def test_short_documents_are_compared_too(lake: Lake, given_documents: Given, n_words: int) -> None:
    words = sentence(4, n_words)
    made = build(lake, given_documents([" ".join(words), " ".join(words).upper(), "quite another"]))
    assert made.counts["near_duplicates"] == 1
    assert len(kept(made)) == 2


def test_documents_without_words_are_not_alike(lake: Lake, given_documents: Given) -> None:
    made = build(lake, given_documents(["…", "---", "!!", "", "words"]))
    assert len(kept(made)) == 5


@pytest.mark.parametrize(
    "script",
    [
        CHINESE,
        "กังหันน้ำหมุนและแม่น้ำไหลผ่านบ้านหินเก่าที่เจ้าของโรงสีอาศัยอยู่กับแมวสีเทาเจ็ดตัวทุกเช้าเขาเปิดประตูน้ำ",
        "水車が回り川が古い石の家を流れ過ぎるそこに粉屋が七匹の灰色の猫と住んでいる",
    ],
)
def test_scripts_without_spaces(lake: Lake, given_documents: Given, script: str) -> None:
    generator = random.Random(5)
    other = "".join(generator.sample(script, len(script)))
    made = build(lake, given_documents([script * 2, f"{script * 2}。好", other]))
    assert kept(made) == {"http://example.org/1", "http://example.org/2"}


def test_nothing_is_removed_because_of_a_removed_document(lake: Lake, given_documents: Given) -> None:
    """a ~ b and b ~ c, but not a ~ c: components would remove both b and c; c is like no document that is kept."""
    words = sentence(6, 1000)
    a = [*words, *sentence(7, 20)]
    b = words[100:] + sentence(8, 10)
    c = words[200:] + sentence(9, 5)
    made = build(lake, given_documents([" ".join(text) for text in (a, b, c)]))
    assert kept(made) == {"http://example.org/0", "http://example.org/2"}
    assert [row["removed"] for row in decided(made) if row["url"] == "http://example.org/2"] in ([False], [])


def test_a_copy_follows_its_original(lake: Lake, given_documents: Given) -> None:
    """The original of a copy is removed for a longer text: the copy's partner is that one, with its own similarity."""
    words = sentence(12)
    made = build(lake, given_documents([" ".join(words), "\n".join(words), " ".join([*words, "and", "more"])]))
    assert kept(made) == {"http://example.org/2"}
    assert {row["partner_url"] for row in decided(made)} == {"http://example.org/2"}
    assert {row["score"] for row in decided(made)} == {116 / 118}
    assert made.counts["near_duplicates"] == 2
    assert made.counts["exact_duplicates"] == 0


def test_the_ledger_adds_up_and_samples_are_kept(lake: Lake, given_documents: Given) -> None:
    words = sentence(10)
    texts = [
        " ".join(words),
        " ".join([*words, "more"]),
        " ".join([*words, "more"]),
        *(" ".join(sentence(i)) for i in range(20, 60)),
    ]
    made = build(lake, given_documents(texts, shards=3))
    ledger = made.manifest.ledger
    assert ledger is not None
    assert ledger["incoming"]["documents"] == len(texts)
    assert ledger["incoming"]["bytes"] == sum(len(text) for text in texts)
    assert {reason: amount["documents"] for reason, amount in ledger["removed"].items()} == {
        "exact_duplicate": 1,
        "near_duplicate": 1,
    }
    assert dedup.violations(made) == []
    reasons = {row["reason"] for row in pq.read_table(made.path / "removed").to_pylist()}
    assert reasons == {"exact_duplicate", "near_duplicate"}


def test_all_pairs_agree_with_exact_jaccard(lake: Lake, given_documents: Given) -> None:
    """Every pair at the threshold is found, no other: against word 5-grams as Python sets, all pairs compared."""
    generator = random.Random(11)
    texts = []
    for family in range(40):
        words = sentence(100 + family, 150)
        texts.append(words)
        for edits in (1, 2, 3, 6, 12):
            copy = list(words)
            for place in generator.sample(range(len(copy)), edits):
                copy[place] = f"edit{generator.randrange(10**6)}"
            texts.append(copy[: 150 - generator.randrange(5)])
    made = build(lake, given_documents([" ".join(words) for words in texts]))
    sets = [{tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in texts]
    sizes = [len(" ".join(words)) for words in texts]
    names = [f"http://example.org/{i}" for i in range(len(texts))]
    order = sorted(range(len(texts)), key=lambda i: (-sizes[i], doc_id(url=names[i])))
    expected: list[int] = []
    for i in order:
        if all(len(sets[i] & sets[j]) / len(sets[i] | sets[j]) < 0.8 for j in expected):
            expected.append(i)
    assert kept(made) == {names[i] for i in expected}
    assert 60 < len(expected) < len(texts) - 60
    by_name = dict(zip(names, sets, strict=True))
    for row in decided(made):
        a, b = by_name[row["url"]], by_name[row["partner_url"]]
        assert row["score"] == pytest.approx(len(a & b) / len(a | b))


def test_same_bytes_whatever_the_workers_and_shards_resume(lake: Lake, given_documents: Given, tmp_path: Path) -> None:
    clean = given_documents([" ".join(sentence(i % 30)) for i in range(60)], shards=3)
    one, two = local_output(tmp_path / "one"), local_output(tmp_path / "two")
    dedup(DedupConfig(workers=1), one, documents=clean)
    dedup(DedupConfig(workers=2), two, documents=clean)
    assert contents(one) == contents(two)

    before = {path: path.stat().st_mtime_ns for path in (two.dir / "signatures").iterdir()}
    (two.dir / "documents" / "part-00001.parquet").unlink()
    (two.dir / "signatures" / "part-00002.parquet").unlink()
    dedup(DedupConfig(workers=1), two, documents=clean)
    assert contents(one) == contents(two)
    again = {path: path.stat().st_mtime_ns for path in (two.dir / "signatures").iterdir()}
    assert [path.name for path in before if before[path] != again[path]] == ["part-00002.parquet"]


def test_other_settings_with_the_same_result_rebuild_nothing_downstream(lake: Lake, given_documents: Given) -> None:
    clean = given_documents([" ".join(sentence(i % 4)) for i in range(6)])
    one, two, three = build(lake, clean), build(lake, clean, seed=2), build(lake, clean, exact=False, near=False)
    assert one.key != two.key != three.key
    assert one.content == two.content != three.content


def contents(out: Output) -> dict[str, bytes]:
    files = (path for path in out.dir.rglob("*") if path.is_file())
    return {path.relative_to(out.dir).as_posix(): path.read_bytes() for path in files}


def test_memory_does_not_change_a_byte(lake: Lake, given_documents: Given, tmp_path: Path) -> None:
    """Out of core or not: the same files, down to the last byte, from ranges of a hundredth of the keys."""
    texts = [edited(sentence(i % 40), 20 + i % 7) for i in range(400)]
    clean = given_documents(texts, shards=4)
    config = {"lines": {"enabled": True, "min_words": 3}, "paragraphs": {"enabled": True}, "max_bucket": 5}
    made = []
    for name, limit in (("large", None), ("small", 97)):
        out = local_output(tmp_path / name)
        with pytest.MonkeyPatch.context() as patch:
            if limit:
                patch.setattr(levels, "limit_of", lambda config: 97)
                patch.setattr(comparison, "PAIR_BYTES", 1 << 24)
            dedup(DedupConfig(workers=1, memory_megabytes=1024, **config), out, documents=clean)
        searched = len(list(out.work.glob("memory-1024/pairs/*.run")))
        assert searched > 50 if limit else searched == 1
        made.append({path: data for path, data in contents(out).items() if not path.startswith(WORK)})
    assert made[0] == made[1]


def test_killed_at_any_point_it_goes_on_and_ends_the_same(lake: Lake, given_documents: Given, tmp_path: Path) -> None:
    """kill -9 at random moments of a process until one run ends: the same bytes, and no finished shard touched."""
    clean = given_documents([edited(sentence(i % 50), 30 + i % 3) for i in range(200)], shards=8)
    whole = local_output(tmp_path / "whole")
    config = {"lines": {"enabled": True, "min_words": 3}, "workers": 1}
    dedup(DedupConfig(**config), whole, documents=clean)
    # not fork: the copy of a test process that has used compiled code and torch ends at the first parallel region
    context, begun = multiprocessing.get_context("spawn"), tmp_path / "begun"
    seen: dict[Path, int] = {}
    generator = random.Random(7)
    for attempt in range(100):
        begun.unlink(missing_ok=True)
        process = context.Process(target=in_a_process, args=(config, tmp_path / "killed", clean, begun))
        process.start()
        eventually(begun.exists, 60, "the process has begun")
        process.join(generator.uniform(0.02, 0.2 + 0.05 * attempt))  # longer and longer: the machine may be busy
        done = {path: path.stat().st_mtime_ns for path in finished(tmp_path / "killed")}
        assert [path for path, at in seen.items() if done.get(path) != at] == []
        seen = done
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
    assert process.exitcode == 0
    left = Output(tmp_path / "killed")
    assert {path: data for path, data in contents(left).items() if not path.startswith(WORK)} == {
        path: data for path, data in contents(whole).items() if not path.startswith(WORK)
    }


def in_a_process(config: dict, folder: Path, clean: Artifact, begun: Path) -> None:
    begun.touch()
    dedup(DedupConfig(**config), local_output(folder), documents=clean)


def finished(folder: Path) -> list[Path]:
    """Shards that no later attempt may write again."""
    patterns = (
        "signatures/part-*.parquet",
        f"{WORK}/facts/part-*",
        f"{WORK}/memory-*/pairs/part-*",
        f"{WORK}/written/*.json",
    )
    return [path for pattern in patterns for path in folder.glob(pattern)]


def test_a_lost_row_breaks_the_contract(lake: Lake, given_documents: Given) -> None:
    made = build(lake, given_documents([" ".join(sentence(i)) for i in range(4)]))
    path = made.path / "documents" / "part-00000.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    assert any("3 rows, but the stage counted 4" in problem for problem in dedup.violations(made))


@pytest.mark.shared
@pytest.mark.parametrize("size", [100, 1000])
def test_known_pairs_are_found_and_no_others(lake: Lake, given_documents: Given, shared_data: Path, size: int) -> None:
    """chrisjmccormick/MinHash: articles with planted near-duplicates."""
    folder = shared_data / "09_near_dup" / "chrisjmccormick__MinHash" / "data"
    lines = (folder / f"articles_{size}.train").read_text().splitlines()
    names, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
    truth = {frozenset(line.split()) for line in (folder / f"articles_{size}.truth").read_text().splitlines()}
    made = build(lake, given_documents(texts))
    by_url = {f"http://example.org/{i}": name for i, name in enumerate(names)}
    found = {frozenset((by_url[row["url"]], by_url[row["partner_url"]])) for row in decided(made) if row["removed"]}
    assert found == truth
    assert made.counts["documents"] == size - len(truth)
    assert np.all([row["score"] >= 0.8 for row in decided(made) if row["removed"]])
