"""The clean stage: plans shards of pages, has worker processes clean them, and adds up the results."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_lake.tables.documents import documents_fingerprint
from model.cores import usable_cores
from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.preflight import check as faults
from tasks.corpus.clean.processes import run_all
from tasks.corpus.clean.user_files import source_fingerprint
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.roles import inputs_of

if TYPE_CHECKING:
    from data_lake.reading.ledger import Ledger
    from tasks.corpus.clean.worker import Job, Phase


NETWORK = "tasks.corpus.clean.network"


def not_used(config: CleanConfig) -> set[str]:
    """Return the libraries and modules that a config does not use."""
    used = {
        "emoji": config.normalize.emoji != "keep",
        "ftfy": config.normalize.repair,
        "phonenumbers": "phone" in config.pii.types,
        "pyspellchecker": bool(config.normalize.spelling),
        "python-stdnum": bool({"credit_card", "iban", "national_id"} & set(config.pii.types)),
        "trafilatura": config.asks_trafilatura,
        NETWORK: any(one.trained_by for one in config.filters.classifiers),
    }
    return {name for name, needed in used.items() if not needed}


def check(artifact: Artifact) -> Iterator[str]:
    """Yield violations of the output contract: every page is a document or a removal, and there are documents."""
    import pyarrow.parquet as pq

    from data_lake.tables.documents import count_rows, shards
    from data_lake.tables.schemas import DOCUMENTS, REMOVED

    counts = artifact.counts
    for folder, schema in (("documents", DOCUMENTS), ("removed", REMOVED)):
        rows = count_rows(artifact.path / folder)
        if rows != counts.get(folder):
            yield f"{folder}/ has {rows:,} rows, but {counts.get(folder)} were counted."
        for path in shards(artifact.path / folder):
            if not pq.read_schema(path).equals(schema):
                yield f"{folder}/{path.name} does not have the schema data_lake.tables.schemas.{folder.upper()}."
    if not counts.get("documents"):
        yield "There is not a single document: see the reasons in removed/."
    if counts.get("documents", 0) + counts.get("removed", 0) != counts.get("pages"):
        yield f"{counts.get('pages')} pages came in, which is not the sum of documents and removed pages."


@stage(
    makes=kinds.Documents,
    version=2,
    contract=check,
    content=documents_fingerprint,
    sources=source_fingerprint,
    check=faults,
    without=not_used,
    reuses=True,
)
def clean(config: CleanConfig, out: Output, pages: kinds.Pages, classifiers: Sequence[kinds.Classifier] = ()) -> None:
    """Clean all pages of the crawl.

    `documents` is the number of pages that became documents, `megabytes` the size of their texts; the figure and the
    artifact's ledger show the reasons for which the others were removed. `pages_reused` is the number of pages whose
    outcome was taken from the previous build. `classifiers` are those that `filters.classifiers` names, in its order.
    """
    from data_lake.reading.ledger import Amount, Ledger, Tally
    from data_lake.tables.documents import count_rows
    from tasks.corpus.clean.identity import count_repeats
    from tasks.corpus.crawl.pages import kept_sizes

    started = time.perf_counter()
    sizes = kept_sizes(pages.path)
    count_repeats(pages.path, out.work)
    _train(config, out)
    networks = networks_of(config, classifiers)
    if config.filters.boilerplate.max_page_share < 1:
        run_all(_plan(config, out, pages, sizes, "extract", {}), config.workers or usable_cores(), out)
        _find_repeated(config, out)
        jobs = _plan(config, out, pages, sizes, "judge", networks)
    else:
        jobs = _plan(config, out, pages, sizes, "all", networks)
    run_all(jobs, config.workers or usable_cores(), out)
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
    for sentence in large_removals(ledger, {one.name for one in config.filters.classifiers}):
        out.warning(sentence)
    _show(out, ledger)


def large_removals(ledger: Ledger, classifiers: Collection[str] = ()) -> Iterator[str]:
    """Yield a sentence for each reason that removed more than a third of the pages or of their bytes.

    A classifier's own name is a reason, too.
    """
    from tasks.corpus.clean.filter_config import FILTERS

    whole = ledger.incoming
    for reason, amount in ledger.by_reason():
        if 3 * amount.documents <= whole.documents and 3 * amount.bytes <= whole.bytes:
            continue
        section = f"clean.filters.{reason}" if reason in FILTERS else "clean"
        section = "clean.filters.classifiers" if reason in classifiers else section
        books = "; whole books need others, as in the recipe `books`" if reason in ("gopher_quality", "fineweb") else ""
        yield (
            f"{reason} took {amount.documents / whole.documents:.0%} of the pages ({amount.documents:,} of "
            f"{whole.documents:,}) and {amount.bytes / max(1, whole.bytes):.0%} of their bytes. See if that is right: "
            f"`textmill sample removed --reason {reason}` shows some; {section} has its limits{books}."
        )


def _train(config: CleanConfig, out: Output) -> None:
    """Train the classifiers that an earlier attempt did not train; report their quality on held-out examples."""
    from tasks.corpus.clean.classifier import train
    from tasks.corpus.clean.linear import classifier_file

    for settings in config.filters.classifiers:
        if settings.trained_by:
            continue
        path = classifier_file(out.dir, settings.name)
        report = path.with_suffix(".json")
        if not path.exists():
            classifier, found = train(settings)
            report.parent.mkdir(parents=True, exist_ok=True)
            report.write_text(json.dumps(found, indent=1, sort_keys=True))
            classifier.save(path)  # last: if the weights exist, so does the report
        measured = json.loads(report.read_text())
        out.metric(**{f"{settings.name}_{name}": measured[name] for name in ("precision", "recall", "auc")})


def _find_repeated(config: CleanConfig, out: Output) -> None:
    """Write the table of lines that sites repeat, unless an earlier attempt has written it."""
    from tasks.corpus.clean import boilerplate

    if not (out.dir / boilerplate.TABLE).exists():
        lines = boilerplate.find_repeated(out.work, out.dir, config.filters.boilerplate)
        out.info(f"{lines:,} lines are repeated from page to page of their host and are taken off.")


def _plan(
    config: CleanConfig, out: Output, crawl: Artifact, sizes: list[int], phase: Phase, networks: Mapping[str, Artifact]
) -> list[Job]:
    """Cut the pages into shards of about shard_megabytes; the same pages and config make the same shards."""
    from dataclasses import replace

    from tasks.corpus.clean.worker import Job

    jobs: list[Job] = []
    values = config.model_dump(mode="json")
    # which lines a site repeats depends on all of its pages, so a page's outcome is not valid for another crawl
    earlier = out.reuse_from if phase == "all" else None
    if earlier is not None and _asked(earlier) != [one.content for one in networks.values()]:
        earlier = None  # other networks judged its pages
    reuse_from = "" if earlier is None else str(earlier.path)
    folders = {name: str(one.path) for name, one in networks.items()}
    first, size = 0, 0
    for number, n_bytes in enumerate(sizes, start=1):
        size += n_bytes
        if size >= config.shard_megabytes * 1e6 or number == len(sizes):
            job = Job(
                len(jobs), first, number, str(crawl.path), str(out.dir), str(out.work), values, {}, phase, reuse_from,
                networks=folders,
            )  # fmt: skip
            jobs.append(replace(job, **json.loads(job.bad.read_text())) if job.bad.exists() else job)
            first, size = number, 0
    at_once = min(len(jobs), config.workers or usable_cores())
    return [replace(job, threads=max(1, usable_cores() // at_once)) for job in jobs]


def networks_of(config: CleanConfig, classifiers: Sequence[Artifact]) -> dict[str, Artifact]:
    """Return the networks that the config names, by the names of their classifiers."""
    names = [one.name for one in config.filters.classifiers if one.trained_by]
    return dict(zip(names, classifiers, strict=True))


def _asked(earlier: Artifact) -> list[str]:
    """Return the contents of the networks that judged the pages of an earlier artifact, in their order."""
    inputs = earlier.manifest.inputs
    return [inputs[role].content for role in inputs_of("classifiers", inputs)]


def _without_trafilatura(out: Output) -> int:
    """Return how many pages have a text only because they were extracted without trafilatura."""
    bad = [json.loads(path.read_text()) for path in sorted(out.work.glob("*.bad.json"))]
    return sum(len(set(pages["plain"]) - set(pages["skip"])) for pages in bad)


def _show(out: Output, ledger: Any) -> None:
    """Draw the funnel and the corpus figures; show a sample of the removed pages."""
    import pyarrow.parquet as pq

    from data_lake.tables.documents import shards
    from tasks.corpus.figures import show_corpus
    from tasks.stage.figures import funnel

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
