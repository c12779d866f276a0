"""The artifact store: finds and verifies artifacts, stages new ones and commits them with one rename."""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_lake.store.files import part_path, write_whole
from data_lake.store.fingerprint import file_sha256, sha256_of
from data_lake.store.locks import locked
from data_lake.store.manifest import (
    KEY_LENGTH,
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    ManifestError,
    read_manifest,
    sealed,
)

SHAPES_NO_RESULT = "stores what stages make"

WORK = "_work"


@dataclass(frozen=True)
class Artifact:
    """A committed artifact: a folder whose manifest vouches for every file in it."""

    stage: str
    key: str
    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """`stage/key`, the short name that people and commands use."""
        return f"{self.stage}/{self.key[:KEY_LENGTH]}"

    @property
    def counts(self) -> dict[str, int]:
        """Exact counts that the stage recorded."""
        return self.manifest.counts

    @property
    def metrics(self) -> dict[str, float | None]:
        """Headline results that the stage recorded."""
        return self.manifest.metrics

    @property
    def content(self) -> str:
        """Fingerprint of the artifact's content, from which downstream keys are made."""
        return self.manifest.content

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each rule of its kind that the artifact breaks; a kind says its own rules."""
        return iter(())

    @property
    def files(self) -> dict[str, FileEntry]:
        """Relative path to size and sha256."""
        return self.manifest.files


@dataclass(frozen=True)
class Miss:
    """Why a key cannot be used: nothing is there, or what is there is damaged."""

    kind: Literal["missing", "damaged"]
    reason: str


class Lake:
    """All artifacts under one root: `<root>/<stage>/<key16>/`, and next to them staging and locks."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()

    def path(self, stage: str, key: str) -> Path:
        """The folder of an artifact, whether or not it exists."""
        return self.root / stage / key[:KEY_LENGTH]

    def staging_path(self, stage: str, key: str) -> Path:
        """The folder in which a key is built: the same for every attempt, so that a retry finds earlier work."""
        return self.root / ".staging" / f"{stage}-{key[:KEY_LENGTH]}"

    # -- finding ---------------------------------------------------------------------------------------------------

    def lookup(self, stage: str, key: str, *, deep: bool = False) -> Artifact | Miss:
        """Return the artifact of `key` if every file matches its manifest, else why not.

        A file is hashed again if its size, inode, mtime or ctime changed since it was last verified (programs cannot
        set ctime back, so a changed byte is noticed). With `deep`, as before a stage reads it, it is always hashed.
        """
        folder = self.path(stage, key)
        if not folder.is_dir():
            return Miss("missing", "it is not in the lake")
        try:
            manifest = read_manifest(folder)
        except FileNotFoundError:
            return Miss("damaged", f"{folder / MANIFEST_NAME} is missing")
        except (ManifestError, OSError) as error:
            return Miss("damaged", str(error))
        if (manifest.stage, manifest.key) != (stage, key):
            return Miss("damaged", f"its manifest says it is {manifest.stage}/{manifest.key[:KEY_LENGTH]}")
        if manifest.key != sha256_of(manifest.payload):
            return Miss("damaged", "its manifest's payload does not hash to its key")
        damage = self._damage(folder, manifest, deep=deep)
        return Miss("damaged", damage) if damage else Artifact(stage, key, folder, manifest)

    def artifacts(self, stage: str | None = None) -> list[Artifact]:
        """All artifacts with a readable manifest, newest first. Files are not verified."""
        found = []
        for manifest_path in self.root.glob(f"{stage or '[!.]*'}/*/{MANIFEST_NAME}"):
            with contextlib.suppress(ManifestError, OSError):
                manifest = read_manifest(manifest_path.parent)
                found.append(Artifact(manifest.stage, manifest.key, manifest_path.parent, manifest))
        return sorted(found, key=lambda artifact: artifact.manifest.finished_at, reverse=True)

    def find(self, name: str) -> list[Artifact]:
        """Artifacts that `name` may refer to: a stage (newest first), `stage/key prefix`, or a key prefix."""
        stage, _, prefix = name.strip("/").partition("/")
        candidates = self.artifacts()
        if prefix:
            return [a for a in candidates if a.stage == stage and a.key.startswith(prefix)]
        return [a for a in candidates if a.stage == stage] or [a for a in candidates if a.key.startswith(stage)]

    def _damage(self, folder: Path, manifest: Manifest, *, deep: bool) -> str | None:
        """A sentence about the first file that does not match the manifest; None if all do."""
        record = self.root / ".verified" / f"{manifest.stage}-{manifest.key[:KEY_LENGTH]}.json"
        known: dict[str, list[int]] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(record.read_text())
        seen: dict[str, list[int]] = {}
        for name, entry in manifest.files.items():
            path = folder / name
            try:
                status = path.stat()
            except OSError:
                return f"its file {name} is missing"
            if status.st_size != entry.size:
                return f"its file {name} has {status.st_size} bytes instead of {entry.size}"
            seen[name] = [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
            if (deep or known.get(name) != seen[name]) and file_sha256(path) != entry.sha256:
                return f"the bytes of its file {name} changed since it was committed"
        if seen != known:
            with contextlib.suppress(OSError):  # a read-only lake is simply verified again each time
                write_whole(record, json.dumps(seen), durable=False, concurrent=True)
        return None

    # -- what a missing artifact contained -----------------------------------------------------------------------------

    def remember(self, artifact: Artifact) -> None:
        """Record the content of a key, so that later stages need not rebuild it only to compute their own keys."""
        write_whole(
            self._memory(artifact.stage, artifact.key),
            json.dumps({"content": artifact.content}),
            durable=False,
            concurrent=True,
        )

    def remembered_content(self, stage: str, key: str) -> str | None:
        """The content of a key when it was last committed, even if the artifact was deleted since; None if unknown."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(self._memory(stage, key).read_text())["content"])
        return None

    def has_built(self, stage: str) -> bool:
        """Whether an artifact of the stage was ever committed here, even if it is gone."""
        return any((self.root / ".contents").glob(f"{stage}-*.json"))

    def _memory(self, stage: str, key: str) -> Path:
        return self.root / ".contents" / f"{stage}-{key[:KEY_LENGTH]}.json"

    # -- building ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def building(self, stage: str, key: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the build lock of a key. The kernel releases it when the process is killed."""
        with locked(self._lock(stage, key, "build"), on_wait=on_wait):
            yield

    @contextlib.contextmanager
    def reading(self, *artifacts: Artifact) -> Iterator[None]:
        """Keep artifacts from being replaced while they are read."""
        with contextlib.ExitStack() as stack:
            for artifact in sorted(artifacts, key=lambda a: (a.stage, a.key)):
                stack.enter_context(locked(self._lock(artifact.stage, artifact.key, "read"), shared=True))
            yield

    def _lock(self, stage: str, key: str, purpose: str) -> Path:
        folder = self.root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{stage}-{key[:KEY_LENGTH]}.{purpose}"

    def staging(self, stage: str, key: str, *, fresh: bool = False) -> Path:
        """Return the key's staging folder, emptied first if `fresh`."""
        folder = self.staging_path(stage, key)
        aside = _aside(folder)
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(aside, ignore_errors=True)
        elif aside.exists() and not (folder / WORK).exists():  # killed in the middle of a commit
            folder.mkdir(parents=True, exist_ok=True)
            aside.rename(folder / WORK)
        (folder / WORK).mkdir(parents=True, exist_ok=True)
        return folder

    def commit(self, folder: Path, describe: Callable[[dict[str, FileEntry]], Manifest]) -> Artifact:
        """Turn a staging folder into an artifact with one rename.

        `describe` gets {relative path: size and sha256} and returns the manifest. An older artifact of the same key
        is swapped in one step (renameat2), so a reader always sees either the old one or the new one.
        """
        files = {}
        others = (folder / MANIFEST_NAME, part_path(folder / MANIFEST_NAME))  # of an attempt that was killed just here
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and p not in others):
            if path.relative_to(folder).parts[0] == WORK:
                continue
            with path.open("rb") as file:
                os.fsync(file.fileno())
            name = path.relative_to(folder).as_posix()
            files[name] = FileEntry(size=path.stat().st_size, sha256=file_sha256(path))
        manifest = describe(files)
        write_whole(folder / MANIFEST_NAME, sealed(manifest))
        # The work folder is moved away before the rename and deleted after it: a kill in between loses no checkpoint.
        aside = _aside(folder)
        shutil.rmtree(aside, ignore_errors=True)
        if (folder / WORK).exists():
            (folder / WORK).rename(aside)
        target = self.path(manifest.stage, manifest.key)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            with locked(self._lock(manifest.stage, manifest.key, "read")):
                _exchange(folder, target)
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder.rename(target)
        _sync_directory(target.parent)
        shutil.rmtree(aside, ignore_errors=True)
        artifact = Artifact(manifest.stage, manifest.key, target, manifest)
        self.remember(artifact)
        return artifact


def content_of(files: dict[str, FileEntry]) -> str:
    """The default content fingerprint: sha256 over every relative path and its sha256."""
    return sha256_of({name: entry.sha256 for name, entry in files.items()})


def _aside(staging: Path) -> Path:
    return staging.with_name(f"{staging.name}.work")


def _exchange(new: Path, old: Path) -> None:
    """Swap two folders atomically (Linux renameat2), or with two renames if the system call does not exist."""
    at_fdcwd, rename_exchange = -100, 2
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        result = libc.renameat2(at_fdcwd, os.fsencode(new), at_fdcwd, os.fsencode(old), rename_exchange)
        if result == 0:
            return
    aside = new.with_name(f"{new.name}.{datetime.datetime.now(datetime.UTC):%Y%m%d%H%M%S%f}.old")
    old.rename(aside)
    new.rename(old)
    aside.rename(new)


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
