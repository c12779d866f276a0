"""The clean stage on real artifacts: shards, reasons, resumption, pages that kill their process.

Also covers: tasks/corpus/clean/config.py
Also covers: tasks/corpus/clean/filters/classified.py
Also covers: tasks/corpus/clean/processes.py
Also covers: tasks/corpus/clean/worker.py
Also covers: tasks/stage/patterns.py
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_lake.reading.ledger import Amount, Ledger
from data_lake.store.lake import Artifact, Lake
from data_lake.tables.schemas import PAGES
from tasks.corpus.clean import CleanConfig, clean
from tasks.corpus.clean.processes import after_end
from tasks.corpus.clean.stage import documents_fingerprint, large_removals
from tasks.corpus.clean.worker import Job
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.stage import PermanentError, local_output

SENTENCES = (
    "The quick brown fox jumps over a lazy dog that has seen it all before.",
    "Every spring the river carries snow from the mountains down to the sea.",
    "Bakers rise long before their customers and go to bed when others have supper.",
    "A letter that was posted in winter may well be answered with the first swallows.",
    "Nobody knows who planted these apple trees, but children of two villages climb them.",
)
TEXT = " ".join(SENTENCES)


@pytest.fixture
def crawled(tmp_path) -> Artifact:
    """A crawl of files: twelve good pages, a tiny one, an error page, random bytes, bad rows."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.html").write_text(f"<title>Page {number}</title><p>{TEXT} Number {number}.</p>")
    (folder / "tiny.html").write_text("<p>Hi.</p>")
    (folder / "error.html").write_text(f"<title>404 Not Found</title><p>{TEXT}</p>")
    (folder / "random.html").write_bytes(bytes(range(256)) * 20)
    rows = [{"id": "a", "text": TEXT, "title": "A", "url": "http://example.org/a"}, {"id": "b"}, {"text": TEXT + " B."}]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n")
    return crawl.build(Lake(tmp_path / "lake"), CrawlConfig(paths=(str(folder),)), {}).artifact


def run(crawled: Artifact, folder: Path, **settings: Any) -> Any:
    out = local_output(folder)
    clean(CleanConfig(**settings), out, pages=crawled)
    return out


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [row for path in sorted((folder / kind).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_documents_and_reasons(crawled, tmp_path):
    out = run(crawled, tmp_path / "out")
    documents, removed = rows(tmp_path / "out", "documents"), rows(tmp_path / "out", "removed")
    assert len(documents) == 14, [(row["source"], row["reason"], row["value"], row["detail"]) for row in removed]
    assert {row["source"]: row["reason"] for row in removed} == {
        "tiny.html": "gopher_quality",
        "error.html": "error_page",
        "random.html": "unknown_encoding",
    }
    assert next(row for row in documents if row["source"] == "03.html")["title"] == "Page 3"
    row = next(row for row in documents if row["url"] == "http://example.org/a")
    assert (row["title"], row["text"], row["n_bytes"]) == ("A", TEXT, len(TEXT))
    assert len({row["doc_id"] for row in documents}) == 14
    assert list(out.accounts.problems()) == []
    assert out.counts == {"pages": 17, "documents": 14, "removed": 3, "bytes": sum(row["n_bytes"] for row in documents)}


def test_the_contract_holds_and_sees_damage(crawled, tmp_path):
    artifact = clean.build(Lake(tmp_path / "lake"), CleanConfig(), {"pages": crawled}).artifact
    assert clean.violations(artifact) == []
    (path,) = (artifact.path / "removed").iterdir()
    path.unlink()
    assert any("removed/ has 0 rows" in sentence for sentence in clean.violations(artifact))


def test_the_same_input_makes_the_same_bytes_and_other_shards_the_same_documents(crawled, tmp_path):
    for name in "ab":
        run(crawled, tmp_path / name)
    for path in (tmp_path / "a").rglob("part-*.parquet"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
    run(crawled, tmp_path / "many", shard_megabytes=0.004, workers=2)
    assert len(list((tmp_path / "many" / "documents").iterdir())) >= 2
    assert documents_fingerprint(tmp_path / "a") == documents_fingerprint(tmp_path / "many")


@pytest.mark.parametrize("recycle_megabytes", [1000, 0])
def test_a_process_does_many_shards_until_it_is_too_large(crawled, tmp_path, recycle_megabytes):
    out = run(crawled, tmp_path / "out", shard_megabytes=0.004, workers=1, recycle_megabytes=recycle_megabytes)
    shards = len(list(out.work.glob("shard-*.json")))
    processes = len(list(out.work.glob("worker-*.log")))
    assert shards > 2
    # one that ends a moment after its next job was given leaves that job to another
    assert processes == 1 if recycle_megabytes else shards <= processes < 2 * shards
    run(crawled, tmp_path / "whole")
    assert rows(tmp_path / "out", "documents") == rows(tmp_path / "whole", "documents")


def test_finished_shards_are_not_done_again(crawled, tmp_path):
    run(crawled, tmp_path / "out", shard_megabytes=0.004)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("part-*.parquet")}
    first = tmp_path / "out" / "_work" / "shard-00000.json"
    first.unlink()
    run(crawled, tmp_path / "out", shard_megabytes=0.004)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("part-*.parquet")}
    assert {path.name for path in before if before[path] != after[path]} == {"part-00000.parquet"}


def test_a_killed_run_leaves_no_process_and_is_taken_up(crawled, tmp_path):
    script = (
        "from pathlib import Path; from types import SimpleNamespace; from tasks.corpus.clean import CleanConfig, "
        "clean; "
        "from tasks.stage import local_output; "
        f"clean(CleanConfig(shard_megabytes=0.004, workers=1), local_output(Path({str(tmp_path / 'out')!r})), "
        f"pages=SimpleNamespace(path=Path({str(crawled.path)!r})))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[4])
    work = tmp_path / "out" / "_work"
    while process.poll() is None and not list(work.glob("shard-*.json")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = {path.name: path.stat().st_mtime_ns for path in work.glob("shard-*.json")}
    run(crawled, tmp_path / "out", shard_megabytes=0.004, workers=1)
    assert len(rows(tmp_path / "out", "documents")) == 14
    for name, changed in finished.items():
        assert (work / name).stat().st_mtime_ns == changed


def test_a_page_that_hangs_in_c_code_costs_only_itself(crawled, tmp_path):
    # a regex that backtracks for years holds the interpreter's lock, as a hanging parser does
    run(crawled, tmp_path / "out", page_seconds=4, replace=((r"(?=.*Number 7)(?:[a-z ]+)+!", ""),))
    removed = rows(tmp_path / "out", "removed")
    assert [row["source"] for row in removed if row["reason"] == "too_slow"] == ["07.html"]
    assert len(rows(tmp_path / "out", "documents")) + len(removed) == 17


def test_a_page_over_which_trafilatura_hangs_keeps_the_text_of_the_block_model(crawled, tmp_path, monkeypatch):
    fake = tmp_path / "fake" / "trafilatura"
    fake.mkdir(parents=True)
    (fake / "meta.py").write_text("def reset_caches():\n    pass\n")
    (fake / "__init__.py").write_text(
        "import re\n\n\ndef extract(source, **_):\n"
        "    if 'Number 7' in source:\n        re.match('(?:[a-z ]+)+!', 'a' * 99)\n"
        "    return 'Trafilatura found: ' + re.sub('<[^<>]*>', '', source)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(fake.parent))
    out = run(crawled, tmp_path / "out", page_seconds=4, extraction="quality")
    documents = {row["source"]: row["text"] for row in rows(tmp_path / "out", "documents")}
    assert "Number 7." in documents["07.html"]
    assert "Trafilatura" not in documents["07.html"]
    assert documents["06.html"].startswith("Trafilatura found")
    assert out.counts["without_trafilatura"] == 1


def test_what_is_loaded_at_the_first_page_is_not_its_time(crawled, tmp_path, monkeypatch):
    fake = tmp_path / "fake" / "trafilatura"
    fake.mkdir(parents=True)
    (fake / "meta.py").write_text("def reset_caches():\n    pass\n")
    (fake / "__init__.py").write_text(
        "import time\n\ntime.sleep(5)\n\n\ndef extract(source, **_):\n    return 'Trafilatura found: ' + source\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(fake.parent))
    out = run(crawled, tmp_path / "out", page_seconds=4, extraction="quality")
    assert "without_trafilatura" not in out.counts
    assert all(row["reason"] != "too_slow" for row in rows(tmp_path / "out", "removed"))


def test_a_page_that_crashes_its_process_twice_is_left_out(tmp_path):
    out = local_output(tmp_path)
    job = Job(0, 0, 9, "", str(tmp_path), str(out.work), {}, {})
    job.at.write_text("                   5")
    once = after_end(job, -signal.SIGSEGV, out.work / "log", out)
    assert (once.plain, once.skip) == (["5"], {})
    twice = after_end(once, -signal.SIGSEGV, out.work / "log", out)
    assert twice.skip == {"5": "crash: SIGSEGV"}
    assert json.loads(job.bad.read_text()) == {"skip": twice.skip, "plain": twice.plain}


def test_a_page_that_crashes_its_process_is_left_out(tmp_path):
    out = local_output(tmp_path)
    settings = {"page_seconds": 1, "extraction": "fast"}
    job = Job(0, 0, 9, "", str(tmp_path), str(out.work), settings, {"3": "crash: SIGSEGV"})
    job.at.write_text("                   5")
    again = after_end(job, -signal.SIGSEGV, out.work / "log", out)
    assert again.skip == {"3": "crash: SIGSEGV", "5": "crash: SIGSEGV"}
    with pytest.raises(OSError, match="SIGKILL"):
        after_end(again, -signal.SIGKILL, out.work / "log", out)
    (out.work / "log").write_text("Traceback\nOSError: [Errno 28] No space left on device\n")
    with pytest.raises(OSError, match="No space left"):
        after_end(job, 1, out.work / "log", out)


def test_a_record_that_cannot_be_read_is_a_reason(tmp_path):
    (tmp_path / "warc").mkdir(parents=True)
    (tmp_path / "warc" / "x.warc.gz").write_bytes(b"no warc at all")
    page = {"url": "http://h/", "source": "h", "reason": "fetched", "mime": "text/html", "n_bytes": 3}
    page |= {"file": "warc/x.warc.gz", "offset": 0}
    pq.write_table(pa.Table.from_pylist([page], schema=PAGES), tmp_path / "pages.parquet")
    with pytest.raises(PermanentError, match="1 unreadable_record"):
        run(SimpleNamespace(path=tmp_path), tmp_path / "out")


def test_wrong_settings_are_told():
    for settings in (
        {"replace": (("(", ""),)},
        {"replace": (("a", r"\2"),)},
        {"filters": {"error_page": {"titles": ("[",)}}},
    ):
        with pytest.raises(ValueError, match="regular expression"):
            CleanConfig(**settings)


def sited(tmp_path: Path, pages: int = 8) -> Artifact:
    """A crawl of a site that repeats its menu on every page, among the sentences."""
    folder = tmp_path / "site"
    folder.mkdir()
    lines = []
    for number in range(pages):
        own = " ".join(f"{sentence[:-1]} on page {number}." for sentence in SENTENCES)
        text = f"Our shop sells the finest teas of all five continents.\n\n{own}\n\nWrite to shop{number}@example.org."
        lines.append(json.dumps({"id": str(number), "url": f"http://shop.example/{number}", "text": text}))
    (folder / "pages.jsonl").write_text("\n".join(lines))
    return crawl.build(Lake(tmp_path / "lake"), CrawlConfig(paths=(str(folder),)), {}).artifact


BOILERPLATE: dict[str, Any] = {"filters": {"boilerplate": {"max_page_share": 0.3}}}


def test_lines_that_a_site_repeats_are_taken_off_and_addresses_redacted(tmp_path):
    out = run(sited(tmp_path), tmp_path / "out", shard_megabytes=0.003, **BOILERPLATE)
    documents = rows(tmp_path / "out", "documents")
    assert len(documents) == 8
    assert not [row for row in documents if "finest teas" in row["text"] or "shop1" in row["text"]]
    assert all("Write to <EMAIL>." in row["text"] for row in documents)
    assert {row["language"] for row in documents} == {"en"}
    assert out.counts["boilerplate_lines"] == out.counts["pii_email"] == 8
    assert list(out.accounts.problems()) == []
    (line,) = pq.read_table(tmp_path / "out" / "boilerplate.parquet").to_pylist()
    assert (line["host"], line["pages"], line["text"][:8]) == ("shop.example", 8, "Our shop")


@pytest.mark.slow
def test_with_repeated_lines_other_shards_and_a_kill_make_the_same_bytes(tmp_path):
    crawled = sited(tmp_path)
    run(crawled, tmp_path / "once", shard_megabytes=0.003, **BOILERPLATE)
    run(crawled, tmp_path / "whole", **BOILERPLATE)
    assert documents_fingerprint(tmp_path / "once") == documents_fingerprint(tmp_path / "whole")
    script = (
        "from pathlib import Path; from types import SimpleNamespace; from tasks.corpus.clean import CleanConfig, "
        "clean; "
        "from tasks.stage import local_output; "
        f"clean(CleanConfig(shard_megabytes=0.003, workers=1, **{BOILERPLATE!r}), "
        f"local_output(Path({str(tmp_path / 'out')!r})), pages=SimpleNamespace(path=Path({str(crawled.path)!r})))"
    )
    work = tmp_path / "out" / "_work"
    for seen in ("extract-00001.json", "shard-00000.json"):  # once in each half
        process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[4])
        while process.poll() is None and not (work / seen).exists():
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    finished = {path.name: path.stat().st_mtime_ns for path in work.glob("*-*.json")}
    run(crawled, tmp_path / "out", shard_megabytes=0.003, workers=1, **BOILERPLATE)
    for name, changed in finished.items():
        assert (work / name).stat().st_mtime_ns == changed
    for path in [*(tmp_path / "once").rglob("part-*.parquet"), tmp_path / "once" / "boilerplate.parquet"]:
        if "_work" not in path.parts:
            assert path.read_bytes() == (tmp_path / "out" / path.relative_to(tmp_path / "once")).read_bytes()


def test_a_classifier_is_trained_once_measured_and_asked(crawled, tmp_path):
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text("\n".join(json.dumps({"text": f"{SENTENCES[n % 3]} {n}"}) for n in range(40)))
    bad.write_text("\n".join(json.dumps({"text": f"buy cheap pills online now {n}"}) for n in range(40)))
    examples = {"positive": (str(good),), "negative": (str(bad),)}
    out = run(crawled, tmp_path / "out", filters={"classifiers": ({**examples, "remove_below": 0.2},)})
    documents = rows(tmp_path / "out", "documents")
    assert len(documents) == 14
    assert all(0.2 <= row["quality"] <= 1 for row in documents)
    assert out.metrics["quality_auc"] == 1
    weights = tmp_path / "out" / "classifiers" / "quality.safetensors"
    trained = weights.stat().st_mtime_ns
    again = run(crawled, tmp_path / "out", filters={"classifiers": ({**examples, "remove_below": 0.2},)})
    assert weights.stat().st_mtime_ns == trained
    assert again.metrics["quality_auc"] == 1
    with pytest.raises(PermanentError, match="nice"):
        run(crawled, tmp_path / "spam", filters={"classifiers": ({**examples, "name": "nice", "remove_above": 0.2},)})
    assert {row["reason"] for row in rows(tmp_path / "spam", "removed")} >= {"nice"}


def test_an_edited_list_is_a_new_artifact(crawled, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("nonexistentword")
    config = CleanConfig(filters={"bad_words": {"files": (str(path),)}})
    lake = Lake(tmp_path / "lake")
    first = clean.build(lake, config, {"pages": crawled})
    assert clean.build(lake, config, {"pages": crawled}).status == "cached"
    path.write_text("anothernonexistentword")
    second = clean.build(lake, config, {"pages": crawled})
    assert (second.status, second.artifact.key == first.artifact.key) == ("built", False)
    assert second.artifact.content == first.artifact.content  # the documents are the same: nothing after it is rebuilt


def test_a_reason_that_took_more_than_a_third_is_named_with_what_to_do():
    def ledger(**removed: tuple[int, int]) -> Ledger:
        amounts = {reason: Amount(*amount) for reason, amount in removed.items()}
        gone = sum(amounts.values(), Amount())
        return Ledger(Amount(100, 1000), Amount(100, 1000) - gone, amounts)

    (said,) = large_removals(ledger(gopher_quality=(20, 620), language=(33, 300)))
    assert "gopher_quality took 20% of the pages (20 of 100) and 62% of their bytes" in said
    assert "--reason gopher_quality" in said
    assert "clean.filters.gopher_quality" in said
    assert "`books`" in said
    assert len(list(large_removals(ledger(language=(40, 10), length=(35, 500))))) == 2
    assert list(large_removals(ledger(language=(33, 333)))) == []
    (said,) = large_removals(ledger(spam=(40, 10)), {"spam"})
    assert said.endswith("shows some; clean.filters.classifiers has its limits.")
