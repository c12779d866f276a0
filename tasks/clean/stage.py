"""The clean stage: plans shards of pages, has each cleaned by a process of its own, and adds up what became of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.documents import documents_fingerprint
from data_lake.files import write_whole
from tasks.clean.config import CleanConfig
from tasks.clean.user_files import source_fingerprint
from tasks.shards import cores
from tasks.stage import Artifact, Output, PermanentError, stage

if TYPE_CHECKING:
    from tasks.clean.worker import Job, Phase


def check(artifact: Artifact) -> Iterator[str]:
    """The output contract: every page is a document or a removal, and there are documents."""
    import pyarrow.parquet as pq

    from data_lake.documents import count_rows, shards
    from data_lake.schemas import DOCUMENTS, REMOVED

    counts = artifact.counts
    for folder, schema in (("documents", DOCUMENTS), ("removed", REMOVED)):
        rows = count_rows(artifact.path / folder)
        if rows != counts.get(folder):
            yield f"{folder}/ has {rows:,} rows, but {counts.get(folder)} were counted."
        for path in shards(artifact.path / folder):
            if not pq.read_schema(path).equals(schema):
                yield f"{folder}/{path.name} does not have the schema data_lake.schemas.{folder.upper()}."
    if not counts.get("documents"):
        yield "There is not a single document: see the reasons in removed/."
    if counts.get("documents", 0) + counts.get("removed", 0) != counts.get("pages"):
        yield f"{counts.get('pages')} pages came in, which is not the sum of documents and removed pages."


@stage(
    version=2,
    code=[
        "tasks.clean",
        "tasks.crawl.decode",
        "tasks.crawl.pages",
        "tasks.crawl.urls",
        "tasks.crawl.warc",
        "data_lake.schemas",
        "data_lake.documents",
        "data_lake.text_units",
    ],
    contract=check,
    content=documents_fingerprint,
    sources=source_fingerprint,
    reuses=True,
)
def clean(config: CleanConfig, out: Output, crawl: Artifact) -> None:
    """Clean all pages of the crawl."""
    from data_lake.documents import count_rows
    from data_lake.ledger import Amount, Ledger, Tally
    from tasks.crawl.pages import kept_sizes

    started = time.perf_counter()
    sizes = kept_sizes(crawl.path)
    _train(config, out)
    if config.filters.boilerplate.max_page_share < 1:
        _run_all(_plan(config, out, crawl, sizes, "extract"), config, out)
        _find_repeated(config, out)
        jobs = _plan(config, out, crawl, sizes, "judge")
    else:
        jobs = _plan(config, out, crawl, sizes, "all")
    _run_all(jobs, config, out)
    tally, changed, reused = Tally(), Counter[str](), 0
    for job in jobs:
        result = json.loads(job.done.read_text())
        reused += result["reused"]
        tally.add(Ledger.from_dict(result["ledger"]))
        changed.update(result["counts"])
    ledger = tally.ledger(incoming=Amount(len(sizes), sum(sizes)))
    out.ledger(ledger)
    documents, removed = count_rows(out.dir / "documents"), count_rows(out.dir / "removed")
    out.count(pages=len(sizes), documents=documents, removed=removed, bytes=ledger.kept.bytes)
    changed["without_trafilatura"] = _without_trafilatura(out)
    out.count(**{name: number for name, number in sorted(changed.items()) if number})
    out.metric(
        documents=documents,
        megabytes=ledger.kept.bytes / 1e6,
        pages_reused=reused,
        pages_per_second=len(sizes) / (time.perf_counter() - started),
    )
    if documents == 0:
        reasons = ", ".join(f"{amount.documents} {reason}" for reason, amount in ledger.removed.items())
        raise PermanentError(f"No page is left after cleaning ({reasons}); look at clean.filters.")
    _show(out, ledger)


def _train(config: CleanConfig, out: Output) -> None:
    """Train the classifiers that an earlier attempt has not trained; say how good they are on held-out examples."""
    from tasks.clean.classifier import train
    from tasks.clean.filters.classified import FOLDER

    for settings in config.filters.classifiers:
        path = out.dir / FOLDER / f"{settings.name}.safetensors"
        report = path.with_suffix(".json")
        if not path.exists():
            classifier, found = train(settings)
            report.parent.mkdir(parents=True, exist_ok=True)
            report.write_text(json.dumps(found, indent=1, sort_keys=True))
            classifier.save(path)  # last: with the weights there, the report is there too
        measured = json.loads(report.read_text())
        out.metric(**{f"{settings.name}_{name}": measured[name] for name in ("precision", "recall", "auc")})


def _find_repeated(config: CleanConfig, out: Output) -> None:
    """Make the table of lines that sites repeat, unless an earlier attempt made it."""
    from tasks.clean import boilerplate

    if not (out.dir / boilerplate.TABLE).exists():
        lines = boilerplate.find_repeated(out.work, out.dir, config.filters.boilerplate)
        out.info(f"{lines:,} lines are repeated from page to page of their host and are taken off.")


def _plan(config: CleanConfig, out: Output, crawl: Artifact, sizes: list[int], phase: Phase) -> list[Job]:
    """Cut the pages into shards of about shard_megabytes; the same pages and config make the same shards."""
    from dataclasses import replace

    from tasks.clean.worker import Job

    jobs: list[Job] = []
    values = config.model_dump(mode="json")
    # lines that a site repeats depend on all of its pages, so a page's outcome does not hold for another crawl
    earlier = str(out.sibling.path) if out.sibling is not None and phase == "all" else ""
    first, size = 0, 0
    for number, n_bytes in enumerate(sizes, start=1):
        size += n_bytes
        if size >= config.shard_megabytes * 1e6 or number == len(sizes):
            job = Job(
                len(jobs), first, number, str(crawl.path), str(out.dir), str(out.work), values, {}, phase, earlier
            )
            jobs.append(replace(job, **json.loads(job.bad.read_text())) if job.bad.exists() else job)
            first, size = number, 0
    return jobs


def _run_all(jobs: list[Job], config: CleanConfig, out: Output) -> None:
    """Run the jobs that are not done; one whose process is killed by a page is run again without that page."""
    workers = config.workers or cores()
    todo = [job for job in jobs if not job.done.exists()]
    running: dict[subprocess.Popen[bytes], Job] = {}
    try:
        while todo or running:
            while todo and len(running) < workers:
                job = todo.pop(0)
                running[_start(job)] = job
            time.sleep(0.02)
            for process in [process for process in running if process.poll() is not None]:
                job = running.pop(process)
                if not job.done.exists():
                    todo.insert(0, _without_bad_page(process, job, out))
            done = sum(job.done.exists() for job in jobs)
            out.progress(done, len(jobs), "shards")
    finally:
        for process in running:
            process.kill()
            process.wait()


def _start(job: Job) -> subprocess.Popen[bytes]:
    from dataclasses import asdict

    job.at.unlink(missing_ok=True)
    path = job.done.with_suffix(".job")
    path.write_text(json.dumps(asdict(job)))
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    with open(job.done.with_suffix(".log"), "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tasks.clean.worker", str(path)],
            stdin=subprocess.PIPE,  # never written to: its end tells the process that we are gone
            stdout=log,
            stderr=log,
            env=environment,
        )


def _without_bad_page(process: subprocess.Popen[bytes], job: Job, out: Output) -> Job:
    """Return the job without the page that ended its process, or with trafilatura kept from it.

    Raises OSError where no page is to blame.
    """
    from dataclasses import replace

    code = process.returncode
    if code >= 0:  # it ended by itself: an exception, told in its log (a full disk, an artifact that is damaged)
        said = job.done.with_suffix(".log").read_text("utf-8", "replace").strip().rpartition("\n")[2]
        raise OSError(f"Cleaning shard {job.number} failed: {said or f'exit code {code}'}")
    page = job.at.read_bytes().decode().strip() if job.at.exists() else ""
    if not page or page in job.skip:
        raise OSError(f"The process that cleans shard {job.number} was ended by {signal.Signals(-code).name}.")
    name = signal.Signals(-code).name
    reason = f"too_slow: longer than {job.config['page_seconds']} s" if code == -signal.SIGALRM else f"crash: {name}"
    config = CleanConfig.model_validate(job.config)
    if config.asks_trafilatura and job.phase != "judge" and page not in job.plain:
        out.warning(f"Page {page} of shard {job.number} is extracted again without trafilatura ({reason}).")
        job = replace(job, plain=[*job.plain, page])
    else:
        out.warning(f"Page {page} of shard {job.number} is left out ({reason}).")
        job = replace(job, skip=job.skip | {page: reason})
    write_whole(job.bad, json.dumps({"skip": job.skip, "plain": job.plain}))
    return job


def _without_trafilatura(out: Output) -> int:
    """Return how many pages have a text only because trafilatura was kept from them."""
    bad = [json.loads(path.read_text()) for path in sorted(out.work.glob("*.bad.json"))]
    return sum(len(set(pages["plain"]) - set(pages["skip"])) for pages in bad)


def _show(out: Output, ledger: Any) -> None:
    """Draw the funnel and what the corpus is like; show some of what was removed."""
    import pyarrow.parquet as pq

    from data_lake.documents import shards
    from tasks.corpus_figures import show_corpus
    from tasks.figures import funnel

    out.figure("documents", funnel({"clean": ledger}))
    show_corpus(out)
    rows: list[dict[str, Any]] = []
    for path in shards(out.dir / "removed"):
        table = pq.read_table(path, columns=["url", "reason", "value", "threshold", "text"])
        rows += [row | {"text": (row["text"] or "")[:200]} for row in table.slice(0, 20).to_pylist()]
        if len(rows) >= 20:
            break
    if rows:
        out.table("removed", rows[:20])
