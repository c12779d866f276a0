"""The audit of a corpus: the ledgers of all stages that made it, each starting with what the one before kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data_lake.reading.ledger import Amount, Ledger
from data_lake.store.lake import Artifact, Lake
from data_lake.store.manifest import InputEntry


@dataclass(frozen=True)
class Row:
    """One line of an audit; `tokens` is None for stages that do not count tokens yet."""

    stage: str
    entry: str  # "came in", "removed", "rewritten" or "kept"
    reason: str | None  # of a removal
    documents: int
    bytes: int
    tokens: int | None

    @property
    def label(self) -> str:
        """The entry as text; a removal is shown by its reason."""
        return f"− {self.reason}" if self.entry == "removed" else self.entry


@dataclass(frozen=True)
class StageAudit:
    """One stage's ledger and its place in the audit; `follows` is the stage whose kept documents came in."""

    stage: str
    artifact: str
    ledger: Ledger
    follows: str | None
    problems: tuple[str, ...]

    def rows(self) -> Iterator[Row]:
        """Yield what came in, was removed (most documents first), was rewritten away, and was kept."""
        yield from ledger_rows(self.stage, self.ledger)


@dataclass(frozen=True)
class Audit:
    """All stage audits in the order of the pipeline."""

    stages: tuple[StageAudit, ...]

    @property
    def problems(self) -> list[str]:
        """One sentence for each thing that does not add up; empty if every document and byte is accounted for."""
        return [problem for stage in self.stages for problem in stage.problems]

    def rows(self) -> list[Row]:
        """All lines, from the first stage to the last."""
        return [row for stage in self.stages for row in stage.rows()]

    def ledgers(self) -> dict[str, Ledger]:
        """The ledgers that count documents, by stage: the data of a funnel."""
        return {stage.stage: stage.ledger for stage in self.stages if stage.ledger.counts == "documents"}

    def to_json(self) -> dict[str, Any]:
        """Plain data for programs."""
        stages = [
            {
                "stage": stage.stage,
                "artifact": stage.artifact,
                "follows": stage.follows,
                **stage.ledger.to_dict(),
                "problems": list(stage.problems),
            }
            for stage in self.stages
        ]
        return {"adds_up": not self.problems, "stages": stages}


def ledger_rows(stage: str, ledger: Ledger) -> Iterator[Row]:
    """Yield the lines of one ledger; empty reasons and an empty rewriting are left out."""
    counts_tokens = bool(ledger.incoming.tokens or ledger.kept.tokens)

    def row(entry: str, amount: Amount, reason: str | None = None) -> Row:
        return Row(stage, entry, reason, amount.documents, amount.bytes, amount.tokens if counts_tokens else None)

    yield row("came in", ledger.incoming)
    for reason, amount in ledger.by_reason():
        if amount != Amount():
            yield row("removed", amount, reason)
    if ledger.rewritten != Amount():
        yield row("rewritten", ledger.rewritten)
    yield row("kept", ledger.kept)


def audit_of(artifacts: Sequence[Artifact]) -> Audit:
    """Return the audit of artifacts in the order of the pipeline; artifacts without a ledger are left out.

    A stage follows the last earlier stage that it reads and whose ledger counts the same things: what that one kept
    must be what came in here, to the last document and byte. Tokens are compared if both stages count them.
    """
    stages: list[StageAudit] = []
    earlier: list[Artifact] = []
    for artifact in artifacts:
        if artifact.manifest.ledger is None:
            continue
        ledger = Ledger.from_dict(artifact.manifest.ledger)
        problems = [f"{artifact.name}: {problem}" for problem in ledger.problems()]
        before = followed(artifact, earlier)
        if before is not None:
            problems += gaps(before, artifact)
        follows = None if before is None else before.stage
        stages.append(StageAudit(artifact.stage, artifact.name, ledger, follows, tuple(problems)))
        earlier.append(artifact)
    return Audit(tuple(stages))


def followed(artifact: Artifact, earlier: Iterable[Artifact]) -> Artifact | None:
    """Return which of the earlier artifacts this one got its documents from: the last one that it read (or one with
    the same content) whose ledger counts the same things."""
    found = None
    for before in earlier:
        if (
            _entry(artifact, before) is not None
            and _counts(before) is not None
            and _counts(before) == _counts(artifact)
        ):
            found = before
    return found


def gaps(before: Artifact, after: Artifact) -> Iterator[str]:
    """Yield a sentence for each unit in which `before` kept another amount than came into `after`.

    If `after` was made from another artifact with the same content, only documents are compared: a page whose dates
    are ignored (crawl.digest_ignore) may have had other bytes there.
    """
    assert before.manifest.ledger is not None
    assert after.manifest.ledger is not None
    entry = _entry(after, before)
    itself = entry is not None and entry.key == before.key
    incoming = Ledger.from_dict(after.manifest.ledger).incoming
    for unit, was in asdict(Ledger.from_dict(before.manifest.ledger).kept).items():
        came = getattr(incoming, unit)
        if unit != "documents" and not itself:
            continue
        if was != came and (unit != "tokens" or was):  # tokens are counted from the first tokenizer on
            yield (
                f"{before.name} kept {was:,} {unit}, but {came:,} came into {after.name} (difference {came - was:+,})."
            )


def _entry(artifact: Artifact, before: Artifact) -> InputEntry | None:
    """Return how `artifact` names what it read of `before`; what it only compared with hands it no document."""
    for role, entry in artifact.manifest.inputs.items():
        if (entry.stage, entry.content) == (before.stage, before.content) and "[" not in role:
            return entry
    return None


def _counts(artifact: Artifact) -> str | None:
    ledger = artifact.manifest.ledger
    return None if ledger is None else Ledger.from_dict(ledger).counts


def lineage(lake: Lake, artifacts: Iterable[Artifact]) -> tuple[list[Artifact], list[str]]:
    """Return these artifacts with everything they were made from, inputs first, and the names of inputs that are no
    longer in the lake. Only manifests are read."""
    there = {artifact.name: artifact for artifact in lake.artifacts()}
    found: dict[str, Artifact] = {}
    gone: list[str] = []

    def visit(artifact: Artifact) -> None:
        if artifact.name in found:
            return
        for entry in artifact.manifest.inputs.values():
            if entry.name in there:
                visit(there[entry.name])
            elif entry.name not in gone:
                gone.append(entry.name)
        found[artifact.name] = artifact

    for artifact in artifacts:
        visit(artifact)
    return list(found.values()), gone
