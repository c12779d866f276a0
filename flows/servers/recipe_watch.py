"""While `textmill up` runs: applies an edited recipe to the deployments, and reports deployments that were deleted.

The runner's process watches, because it has the deployments; it writes its messages to run/runner.json, which `up`
reads and prints. Flow runs that are already running keep the recipe that they started with.
"""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.store.home import Home
from flows.servers.state import read_state, write_state
from tasks.tracking.terminal import log

if TYPE_CHECKING:
    from flows.recipe.recipe import Recipe

_LOOK_SECONDS = 2.0
_LOOKS_PER_COUNT = 5  # of the deployments, which asks the server once for each
_KEPT_NOTES = 50


class RunnerNotes:
    """Messages of the runner to the terminal of `textmill up`, numbered, so that each is printed once."""

    def __init__(self, home: Home) -> None:
        self._path = home.run / "runner.json"
        self._said: list[str] = []

    def ready(self) -> None:
        """Record that this process serves the deployments."""
        self._write()

    def log(self, sentence: str) -> None:
        """Add a sentence."""
        self._said.append(sentence)
        log(sentence)  # into the log
        self._write()

    def _write(self) -> None:
        first = max(0, len(self._said) - _KEPT_NOTES)
        write_state(self._path, {"pid": os.getpid(), "first": first, "said": self._said[first:]})


def new_notes(home: Home, pid: int | None, seen: int) -> tuple[list[str], int]:
    """Return the sentences of the runner `pid` after the first `seen`, and how many there are now."""
    state = read_state(home.run / "runner.json") or {}
    if state.get("pid") != pid:
        return [], 0
    first, said = state.get("first", 0), state.get("said", [])
    return said[max(0, seen - first) :], first + len(said)


async def follow_recipe(
    name: str,
    recipe: "Recipe",
    names: Collection[str],
    apply: "Callable[[Recipe, Collection[str]], Awaitable[object]]",
    notes: RunnerNotes,
) -> None:
    """Apply the deployments `names` again whenever the recipe was edited and has no mistakes; for ever."""
    from flows.recipe.errors import RecipeError
    from flows.recipe.load import load_recipe, recipe_files

    files = recipe_files(name)
    stamps = _stamps(files)
    left = set(names)
    for look in itertools.count(1):
        await asyncio.sleep(_LOOK_SECONDS)
        if look % _LOOKS_PER_COUNT == 0:
            left -= await asyncio.to_thread(_tell_about_deleted, sorted(left), notes)
        if (now := _stamps(files)) == stamps:
            continue
        stamps = now
        try:
            edited = load_recipe(name)
            files = recipe_files(name)
            stamps = _stamps(files)
        except RecipeError as error:
            notes.log(f"The recipe was edited, but the deployments keep its earlier values: {error}")
            continue
        if edited.model_dump(mode="json") == recipe.model_dump(mode="json"):
            continue
        try:
            await apply(edited, left)
        except Exception as error:  # the server is being restarted: the next round tries again
            log(f"The deployments could not be updated: {error}")
            stamps = []
            continue
        recipe = edited
        notes.log(
            f"The recipe {recipe.name} was edited: the deployments have its new values. Runs under way keep theirs."
        )


def _stamps(files: Iterable[Path]) -> list[Any]:
    found: list[Any] = []
    for path in files:
        try:
            status = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return found


def _tell_about_deleted(names: Iterable[str], notes: RunnerNotes) -> set[str]:
    """Return the deployments that the server no longer has, and report each of them once."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    gone = set()
    try:
        with get_client(sync_client=True) as client:
            for name in names:
                try:
                    client.read_deployment_by_name(name)
                except ObjectNotFound:
                    gone.add(name)
    except Exception:  # a server that does not respond has not deleted anything
        return set()
    for name in sorted(gone):
        notes.log(f"The deployment {name} was deleted in Prefect; restart `textmill up` to have it again.")
    return gone
