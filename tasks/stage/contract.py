"""The stage contract: `@stage` gives a plain function its identity, its cache, its checks and its place in a graph."""

from __future__ import annotations

import datetime
import inspect
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, get_type_hints

from data_lake.reading.audit import followed, gaps
from data_lake.reading.ledger import Ledger
from data_lake.store.fingerprint import canonical, sha256_of
from data_lake.store.lake import Artifact, Lake, Miss, content_of
from data_lake.store.manifest import FileEntry, InputEntry, Manifest
from tasks.stage.code import FOLLOWED, Code, code_of
from tasks.stage.config import StageConfig, execution, identity
from tasks.stage.errors import PermanentError
from tasks.stage.libraries import imports_of, libraries_of
from tasks.stage.memory import enough_memory
from tasks.stage.output import Output, Reporter
from tasks.stage.preflight import Check, Facts, Fault
from tasks.stage.provenance import provenance
from tasks.stage.roles import Role, inputs_of, of_kind, role_of
from tasks.stage.work import Sizes, Work

# The clocks of machines that share a lake may differ by this much; a larger difference means that one is wrong.
_CLOCK_SKEW_SECONDS = 60.0


C = TypeVar("C", bound=StageConfig)
P = ParamSpec("P")
K = TypeVar("K", bound=Artifact)

Contract = Callable[[Artifact], Iterator[str]]
Preview = Callable[[Any, Mapping[str, Artifact]], list[dict[str, Any]]]
Batches = Callable[[Any, Mapping[str, Artifact]], tuple[Callable[[int], Any], Any]]


class ContractError(PermanentError):
    """The stage ended, but its result violates its output contract."""


@dataclass(frozen=True)
class BuildResult:
    """The outcome of a stage run: its artifact, whether it was built now, and why."""

    artifact: Artifact
    status: Literal["cached", "built"]
    reason: str
    seconds: float


@dataclass(frozen=True)
class Stage(Generic[C, P, K]):
    """A stage of the pipeline. `build` enforces the whole contract; Prefect and MLflow only observe it."""

    name: str
    version: int
    function: Callable[Concatenate[C, Output, P], None]
    config_type: type[C]
    makes: type[K]
    inputs: Mapping[str, Role]
    per: str | None
    retries: int
    headline: tuple[str, ...]
    gpu: bool
    contract: Contract | None = field(repr=False)
    content: Callable[[Path], str | None] | None = field(repr=False)
    sources: Callable[[Any], str | None] | None = field(repr=False)
    preview: Preview | None = field(default=None, repr=False)
    reuses: bool = False
    check: Check | None = field(default=None, repr=False)
    without: Callable[[Any], Collection[str]] | None = field(default=None, repr=False)
    work: Callable[[Any, Sizes], Work] | None = field(default=None, repr=False)
    batches: Batches | None = field(default=None, repr=False)

    @property
    def code(self) -> Code:
        """The modules that shape the result: those that the stage's own module imports, and what these import."""
        return code_of(self.function)

    def __call__(self, config: C, out: Output, /, *args: P.args, **inputs: P.kwargs) -> None:
        """Run the plain function, without the contract; for tests."""
        self.function(config, out, *args, **inputs)

    # -- identity ------------------------------------------------------------------------------------------------------

    def payload(self, config: StageConfig, contents: Mapping[str, str]) -> dict[str, Any]:
        """Everything that determines this stage's result; `contents` maps the role of each input to its content.

        The payload is stored in the manifest, so that a plan can say which field changed, not only that one did.
        """
        payload: dict[str, Any] = {
            "stage": self.name,
            "version": self.version,
            "config": identity(config),
            "inputs": dict(contents),
            "code": dict(self._code_for(config).modules),
        }
        if libraries := self.libraries(config):
            payload["libraries"] = libraries
        if self.sources is not None and (sources := self.sources(config)) is not None:
            payload["sources"] = sources
        made: dict[str, Any] = canonical(payload, self.name)
        return made

    def libraries(self, config: StageConfig) -> dict[str, str]:
        """The versions of the libraries that affect this stage's result."""
        return libraries_of(self._code_for(config), self.without(config) if self.without is not None else ())

    def _code_for(self, config: StageConfig) -> Code:
        """The code without the modules that the config does not use, and without what only these import."""
        unused = self.without(config) if self.without is not None else ()
        return code_of(self.function, frozenset(name for name in unused if name.partition(".")[0] in FOLLOWED))

    # -- checking before a run -----------------------------------------------------------------------------------------

    def faults(self, config: StageConfig, facts: Facts) -> list[Fault]:
        """Why the stage would fail, as far as that is known before the stages that it reads have run."""
        return list(self.check(config, facts)) if self.check is not None else []

    # -- checking ------------------------------------------------------------------------------------------------------

    def find(self, lake: Lake, key: str, *, deep: bool = False) -> K | Miss:
        """The artifact of `key` if its bytes are intact and its output contract holds, else why not."""
        found = lake.lookup(self.name, key, deep=deep)
        if isinstance(found, Miss):
            return found
        if broken := self.violations(found):
            return Miss("damaged", "it violates its output contract: " + " ".join(broken))
        return of_kind(self.makes, found)

    def violations(self, artifact: Artifact) -> list[str]:
        """A sentence for each rule of the output contract that `artifact` violates."""
        broken = []
        if artifact.manifest.ledger is not None:
            broken += list(Ledger.from_dict(artifact.manifest.ledger).problems())
        for rules in (of_kind(self.makes, artifact).problems, self.contract and partial(self.contract, artifact)):
            if rules is None:
                continue
            try:
                broken += list(rules())
            except Exception as error:  # a file too damaged to be checked is damaged
                broken.append(f"Its files cannot be checked ({type(error).__name__}: {error}).")
        return broken

    def too_old(self, config: StageConfig, artifact: Artifact) -> str | None:
        """Why a hit must be refreshed (`max_age` in seconds, an execution field), or None."""
        max_age = getattr(config, "max_age", None)
        age = (datetime.datetime.now(datetime.UTC) - artifact.manifest.finished_at).total_seconds()
        if max_age is None or 0 <= age <= max_age:
            return None
        if age < -_CLOCK_SKEW_SECONDS:
            return f"it is dated {-age:,.0f} s in the future, so its age is not known, and max_age is {max_age:,.0f} s"
        if age < 0:
            return None
        return f"it is {age:,.0f} s old and max_age is {max_age:,.0f} s"

    # -- building ------------------------------------------------------------------------------------------------------

    def build(
        self,
        lake: Lake,
        config: StageConfig,
        inputs: Mapping[str, Artifact],
        *,
        force: bool = False,
        attempt: int = 1,
        watch: Watch | None = None,
        contents: Mapping[str, str] | None = None,
        why: str | None = None,
    ) -> BuildResult:
        """Return the stage's artifact: the one in the lake if it is good, else a newly built and committed one.

        Only one process builds a key at a time. A build finds what an earlier attempt at its key left in staging,
        except for the first attempt of a forced build, which must not reuse what it has to redo. `contents` has the
        contents of all inputs if a hit is expected, because a hit needs no input artifacts; `why` is a better reason
        than "it is not in the lake", if the caller knows one (which field changed).
        """
        watch = watch or Watch()
        started = time.perf_counter()
        contents = {**(contents or {}), **{role: artifact.content for role, artifact in inputs.items()}}
        payload = self.payload(config, contents)
        key = sha256_of(payload)
        with (
            lake.building(self.name, key, on_wait=lambda: watch.waiting(self.name, key)),
            lake.reading(*inputs.values()),
        ):
            found = self.find(lake, key)
            reason, refreshes = self._why_build(config, found, force)
            if force or (isinstance(found, Miss) and found.kind == "missing"):
                reason = why or reason
            if reason is None:
                assert isinstance(found, Artifact)
                return BuildResult(found, "cached", "in the lake", time.perf_counter() - started)
            if missing := [role for role in dict.fromkeys([*contents, *self.lacking(contents)]) if role not in inputs]:
                raise FileNotFoundError(
                    f"{self.name} cannot be built: the lake does not have its {' and '.join(missing)} any more."
                )
            folder = lake.staging(self.name, key, fresh=force and attempt == 1)
            build = Build(self, config, key, folder, reason, inputs)
            reuse_from = self._reusable(lake, payload) if self.reuses and not force else None
            with watch.building(build) as (reporter, runs), lake.reading(*([reuse_from] if reuse_from else [])):
                out = Output(folder, reporter, refreshes, reuse_from)
                artifact = self._run(lake, out, config, payload, key, inputs, reason, runs)
                return BuildResult(artifact, "built", reason, time.perf_counter() - started)

    def _why_build(
        self, config: StageConfig, found: Artifact | Miss, force: bool
    ) -> tuple[str | None, Artifact | None]:
        """The reason to build (None: use the hit), and the artifact that a refresh starts from."""
        if isinstance(found, Miss):
            return found.reason, None
        if force:
            return "forced", None
        if old := self.too_old(config, found):
            return old, found
        return None, None

    def _reusable(self, lake: Lake, payload: dict[str, Any]) -> Artifact | None:
        """The newest intact artifact that differs from the one to be built only in its inputs."""

        def but_input(payload: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in payload.items() if name != "inputs"}

        for artifact in lake.artifacts(self.name):
            if but_input(artifact.manifest.payload) == but_input(payload):
                found = self.find(lake, artifact.key)
                if isinstance(found, Artifact):
                    return found
        return None

    def _run(
        self,
        lake: Lake,
        out: Output,
        config: StageConfig,
        payload: dict[str, Any],
        key: str,
        inputs: Mapping[str, Artifact],
        reason: str,
        runs: Callable[[], dict[str, str]],
    ) -> Artifact:
        started_at, clock, folder = datetime.datetime.now(datetime.UTC), time.perf_counter(), out.dir
        with enough_memory(self.name, config):
            self._function(config, out, inputs)
        content = self.content(folder) if self.content is not None else None

        def describe(files: dict[str, FileEntry]) -> Manifest:
            manifest = Manifest(
                stage=self.name,
                kind=self.makes.__name__,
                key=key,
                version=self.version,
                payload=payload,
                execution=canonical(execution(config)),
                content=content or content_of(files),
                inputs={r: InputEntry(stage=a.stage, key=a.key, content=a.content) for r, a in inputs.items()},
                files=files,
                counts=out.counts,
                metrics=out.metrics,
                gain=out.gained,
                ledger=out.accounts.to_dict() if out.accounts else None,
                reason=reason,
                runs=runs(),
                provenance=provenance(frozenset(imports_of(self.code))),
                started_at=started_at,
                finished_at=datetime.datetime.now(datetime.UTC),
                seconds=round(time.perf_counter() - clock, 3),
            )
            made = Artifact(self.name, key, folder, manifest)
            before = followed(made, inputs.values())
            if broken := self.violations(made) + (list(gaps(before, made)) if before else []):
                raise ContractError(f"The stage {self.name} violated its output contract: " + " ".join(broken))
            return manifest

        return lake.commit(folder, describe)

    def _function(self, config: StageConfig, out: Output, inputs: Mapping[str, Artifact]) -> None:
        """Call the function with its inputs by role, as the kinds that it declares."""
        function: Callable[..., None] = self.function
        arguments: dict[str, Any] = {}
        for name, role in self.inputs.items():
            typed = [of_kind(role.kind, inputs[one]) for one in inputs_of(name, inputs)]
            if role.many:
                arguments[name] = tuple(typed)
            elif typed:
                arguments[name] = typed[0]
        function(config, out, **arguments)

    def lacking(self, inputs: Collection[str]) -> list[str]:
        """The required roles that are missing."""
        needed = [name for name, role in self.inputs.items() if not (role.many or role.optional)]
        return [name for name in needed if name not in inputs]


AnyStage = Stage[Any, Any, Any]


@dataclass(frozen=True)
class Build:
    """One build of a stage: what is built, where its files are until then, why it is built, and from what."""

    stage: AnyStage
    config: StageConfig
    key: str
    folder: Path
    reason: str
    inputs: Mapping[str, Artifact]


class Watch:
    """Watches a stage while it is built; this one does nothing. `tasks.tracking.watch` has the one for MLflow and
    Prefect.
    """

    def waiting(self, stage_name: str, key: str) -> None:
        """Another process is building the same key; this one is waiting for it."""

    def building(self, build: Build) -> Any:
        """A context manager around the build that gives a Reporter and a function returning {kind of run: its id}."""
        import contextlib

        return contextlib.nullcontext((Reporter(), dict))


def stage(
    *,
    makes: type[K],
    version: int,
    per: str | None = None,
    retries: int = 2,
    headline: tuple[str, ...] = (),
    gpu: bool = False,
    contract: Contract | None = None,
    content: Callable[[Path], str | None] | None = None,
    sources: Callable[[Any], str | None] | None = None,
    preview: Preview | None = None,
    reuses: bool = False,
    check: Check | None = None,
    without: Callable[[Any], Collection[str]] | None = None,
    work: Callable[[Any, Sizes], Work] | None = None,
    batches: Batches | None = None,
) -> Callable[[Callable[Concatenate[C, Output, P], None]], Stage[C, P, K]]:
    """Make a stage of `def name(config: Config, out: Output, <role>: <kind>, ...)`.

    A role's annotation is a kind of artifact; `Kind | None = None` is optional, `Sequence[Kind] = ()` takes several.

    makes: the kind of its artifacts.
    version: raise it when the meaning of the output changes without its code.
    per: the role whose node gives the stage's nodes their names: `evaluate-sft` is the one whose `model` is sft.
    headline: the metrics shown in a one-line summary of its artifact; if empty, only the counts are shown.
    gpu: the stage holds the accelerator slot while it runs.
    contract: yields a sentence per violated rule of an artifact, in addition to those of its kind; runs before commit
        and on every hit, so keep it cheap.
    content: a fingerprint (hex) of the artifact's content, if its raw bytes include irrelevant data (dates in a crawl).
    sources: fingerprint of files outside the lake that the config points at, or None if there are none.
    preview: rows of a table that a plan shows before the stage runs, from config and inputs; keep it cheap.
    without: the libraries among the imports of its code that a config does not use, and modules of ours by their full
        names; the versions of all others that shape results (`tasks.stage.libraries`) are part of the key.
    check: yields why the stage would fail, called before the first stage of a run starts; keep it cheap.
    reuses: the stage takes what did not change from `out.reuse_from`, an artifact that differs only in its inputs.
    work: how much a build has to do, from config and the bytes of each input by role (`tasks.stage.work`), for the
        price that a plan shows; without it, the work is to read its inputs. A role whose size is not known is missing.
    batches: of a training, from config and inputs: a function that returns the batch of a step, and the tokenizer, so
        that a step can be shown without training.
    """

    def decorate(function: Callable[Concatenate[C, Output, P], None]) -> Stage[C, P, K]:
        hints = get_type_hints(function, localns={"Artifact": Artifact, "Output": Output})
        config_name, _out, *roles = inspect.signature(function).parameters
        return Stage(
            function.__name__,
            version,
            function,
            hints[config_name],
            makes,
            {name: role_of(hints[name]) for name in roles},
            per,
            retries,
            headline,
            gpu,
            contract,
            content,
            sources,
            preview,
            reuses,
            check,
            without,
            work=work,
            batches=batches,
        )

    return decorate
