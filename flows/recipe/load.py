"""Loading of a recipe from YAML and `--set`, with every mistake reported at once."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from flows.recipe.errors import Problem, RecipeError, nearest, show_value
from flows.recipe.explain import explain_invalid
from flows.recipe.recipe import Recipe, RecipeBase, merged
from flows.recipe.yaml import FieldPath, parse_argument, parse_yaml
from tasks.stage.config import models_of

RECIPES = Path(__file__).resolve().parents[2] / "deployments" / "recipes"
MAX_EXTENDS = 8

R = TypeVar("R", bound=RecipeBase)


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with textmill."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Load a recipe by name (deployments/recipes) or path, with overrides of the form `section.field=value`.

    Raises RecipeError, which lists every mistake with its place, the value and the nearest valid name.
    """
    return load_as(Recipe, name_or_path, overrides)


def load_as(model: type[R], name_or_path: str | Path, overrides: Sequence[str] = ()) -> R:
    """Load a recipe of any model, as `load_recipe` does.

    A recipe may contain `extends: other` (a name, or a path relative to its own folder); its fields then replace those
    of the other recipe one by one; a list replaces the whole list. Values in overrides are YAML.
    Raises RecipeError, which lists every mistake with its place, the value and the nearest valid name.
    """
    draft = _Draft(str(name_or_path), model)
    draft.add_file(str(name_or_path), Path(), via=())
    for override in overrides:
        draft.add_override(override)
    recipe = draft.validate()
    assert isinstance(recipe, model)
    if "name" in recipe.model_fields_set:
        return recipe
    return recipe.model_copy(update={"name": re.sub(r"[^\w.-]", "-", Path(name_or_path).stem)[:80]})


def load_data(data: Mapping[str, Any], place: str, name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Check a recipe that is already plain data, with overrides; `place` is where it comes from, `name` its name in
    error messages. Raises RecipeError, as `load_recipe` does."""
    draft = _Draft(name, Recipe)
    draft.data = copy.deepcopy(dict(data))
    draft.places = {(section,): place for section in data}
    for override in overrides:
        draft.add_override(override)
    recipe = draft.validate()
    assert isinstance(recipe, Recipe)
    return recipe


def recipe_files(name_or_path: str | Path) -> list[Path]:
    """The files that a recipe is read from: its own file and those it extends."""
    draft = _Draft(str(name_or_path), Recipe)
    draft.add_file(str(name_or_path), Path(), via=())
    return draft.files


class _Draft:
    """A recipe under construction: plain data, where each field came from, and the problems so far."""

    def __init__(self, name: str, model: type[RecipeBase]) -> None:
        self.name = name
        self.model = model
        self.data: dict[str, Any] = {}
        self.places: dict[FieldPath, str] = {}
        self.problems: list[Problem] = []
        self.files: list[Path] = []

    def problem(
        self, place: str, path: FieldPath, reason: str, value: str | None = None, hint: str | None = None
    ) -> None:
        self.problems.append(Problem(place, ".".join(map(str, path)), reason, value, hint))

    # -- files ---------------------------------------------------------------------------------------------------------

    def add_file(self, wanted: str, folder: Path, via: tuple[Path, ...]) -> None:
        """Merge a recipe file, after the one that it extends."""
        asked_by = _short(via[-1]) if via else "command line"
        path = self._find(wanted, folder, asked_by)
        if path is None:
            return
        if path in via or len(via) >= MAX_EXTENDS:
            chain = " → ".join(_short(p) for p in (*via, path))
            self.problem(
                asked_by, ("extends",), f"Recipes extend each other in a circle or too deeply: {chain}.", repr(wanted)
            )
            return
        here = _short(path)
        self.files.append(path)
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            self.problem(here, (), f"The file is not UTF-8 text (byte {error.start}).")
            return
        except OSError as error:
            self.problem(here, (), f"The file cannot be read: {error.strerror or error}.")
            return
        data, lines = parse_yaml(text, lambda p, line, why, value: self.problem(f"{here}:{line}", p, why, value))
        if data is None:
            return
        if not isinstance(data, dict):
            self.problem(
                f"{here}:1", (), "A recipe is a mapping of sections, such as `pretrain:` with fields below it."
            )
            return
        base = data.pop("extends", None)
        if isinstance(base, str):
            self.add_file(base, path.parent, (*via, path))
            for own in ("name", "description"):  # these describe the other recipe
                self.data.pop(own, None)
        elif base is not None:
            place = f"{here}:{lines[('extends',)]}"
            self.problem(place, ("extends",), "It must be the name or path of a recipe.", show_value(base))
        self._merge(self.data, data, (), {path: f"{here}:{line}" for path, line in lines.items()})

    def _find(self, wanted: str, folder: Path, asked_by: str) -> Path | None:
        if "\0" in wanted or not wanted:
            self.problem(asked_by, (), "This is not a file name.", repr(wanted))
            return None
        by_name = "/" not in wanted and not wanted.endswith((".yaml", ".yml"))
        # os.path, because Path.expanduser raises for an unknown user
        path = RECIPES / f"{wanted}.yaml" if by_name else folder / os.path.expanduser(wanted)
        try:
            if path.is_file():
                return path.resolve()
        except OSError:
            pass
        if by_name:
            known = recipe_names()
            reason = f"There is no recipe of this name; there are {', '.join(known)}, or give the path of a .yaml file."
            self.problem(asked_by, (), reason, repr(wanted), nearest(wanted, known))
        else:
            self.problem(asked_by, (), f"There is no file {path}.", repr(wanted))
        return None

    def _merge(self, old: dict[str, Any], new: dict[str, Any], path: FieldPath, places: dict[FieldPath, str]) -> None:
        for name, value in new.items():
            here = (*path, name)
            if value is None and isinstance(self._annotation(here), type) and self._is_section(here):
                value = {}  # `training:` with all its fields commented out
            if isinstance(value, dict) and (isinstance(old.get(name), dict) or self._is_section(here)):
                self.places[here] = places[here]
                if not isinstance(old.get(name), dict):
                    old[name] = {}
                self._merge(old[name], value, here, places)
                continue
            for known in [p for p in self.places if p[: len(here)] == here]:
                del self.places[known]
            self.places.update({p: place for p, place in places.items() if p[: len(here)] == here})
            old[name] = value

    # -- overrides -----------------------------------------------------------------------------------------------------

    def add_override(self, override: str) -> None:
        """Merge one `section.field=value`."""
        place = f"--set {override if len(override) <= 100 else override[:99] + '…'}"
        name, equals, text = override.partition("=")
        path = tuple(name.strip().split("."))
        if not equals or not all(path):
            self.problem(place, (), "An override has the form section.field=value, as in tokenizer.vocab_size=4096.")
            return
        before = len(self.problems)
        if labels := [label for label, changes in self._variants() if _says(changes, path)]:
            own = " and ".join(f"variants.{label}.{name}" for label in labels)
            self.problem(
                place, path, f"Some variants say this themselves, so it would not hold for them: set {own} instead."
            )
            return
        value, lines = parse_argument(text, lambda p, line, why, value: self.problem(place, (*path, *p), why, value))
        if len(self.problems) > before:
            return
        target: Any = self.data
        for depth, part in enumerate(path[:-1]):
            if isinstance(target, list) and part.isdecimal() and int(part) < len(target):
                target = target[int(part)]
            elif isinstance(target, dict):
                if not isinstance(target.get(part), dict | list):
                    target[part] = self._held(path[: depth + 1])
                    self._comes_from(path[: depth + 1], place)
                target = target[part]
            else:
                self.problem(place, path[: depth + 1], "There is no such entry to change.")
                return
        last: Any = path[-1]
        if isinstance(target, list):
            if not last.isdecimal() or int(last) >= len(target):
                self.problem(place, path, f"The list has {len(target)} entries, counted from 0.")
                return
            last = int(last)
        elif isinstance(value, dict) and isinstance(target.get(last), dict) and self._is_section(path):
            self._merge(target[last], value, path, {(*path, *below): place for below in lines})
            return
        target[last] = value
        self._comes_from(path, place)

    def _variants(self) -> list[tuple[str, Any]]:
        variants = self.data.get("variants")
        return list(variants.items()) if isinstance(variants, dict) else []

    def _annotation(self, path: FieldPath) -> Any:
        """Return the type of a field, or None if there is no such path; a variant has the same fields as the recipe."""
        model: type[BaseModel] | None = self.model
        path = path[2:] if path[0] == "variants" and len(path) > 2 else path
        annotation: Any = None
        for part in path:
            field = model.model_fields.get(str(part)) if model is not None else None
            if field is None:
                return None
            annotation = field.annotation
            model = next(models_of(annotation), None)
        return annotation

    def _is_section(self, path: FieldPath) -> bool:
        return next(models_of(self._annotation(path)), None) is not None

    def _held(self, path: FieldPath) -> dict[str, Any] | list[Any]:
        """Return the value that an override changes in part if the recipe does not set it: its default, else {}."""
        value: Any = self.model().model_dump(mode="json")
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value if isinstance(value, dict | list) and not self._is_section(path) else {}

    def _comes_from(self, path: tuple[str, ...], place: str) -> None:
        """Record that an override at `place` set the field and everything below it."""
        numbered = tuple(int(part) if part.isdecimal() else part for part in path)
        self.places = {p: where for p, where in self.places.items() if p[: len(path)] not in (path, numbered)}
        self.places[path] = self.places[numbered] = place

    # -- checking ------------------------------------------------------------------------------------------------------

    def validate(self) -> RecipeBase:
        """Return the recipe, or raise RecipeError with all problems, in the order of their places."""
        variants = self.data.get("variants")
        plain = {name: value for name, value in self.data.items() if name != "variants"}
        recipe = self._validated(plain)
        for label, changes in variants.items() if isinstance(variants, dict) else ():
            if isinstance(changes, dict):  # mistakes in the recipe itself are reported once, not for each variant
                self._validated(merged(plain, changes), ("variants", label))
        if "variants" in self.data and not self.problems:
            recipe = self._validated(self.data)
        if self.problems or recipe is None:
            raise RecipeError(self.name, sorted(self.problems, key=_reading_order))
        return recipe

    def _validated(self, data: dict[str, Any], below: FieldPath = ()) -> RecipeBase | None:
        try:
            # JSON mode is strict about types ("5" and true are not numbers) and still makes tuples, paths and enums.
            return self.model.model_validate_json(json.dumps(data), strict=True)
        except ValidationError as error:
            known = {problem.field for problem in self.problems}
            prefix = "".join(f"{part}." for part in below)
            found = self._explained(error, below)
            self.problems += [problem for problem in found if problem.field.removeprefix(prefix) not in known]
        except RecursionError:
            self.problem(self.name, below, "The recipe is nested too deeply.")
        return None

    def _explained(self, error: ValidationError, below: FieldPath) -> Iterator[Problem]:
        for own, reason, value, hint in explain_invalid(self.model, error):
            path = (*below, *own)
            known = [path[:n] for n in range(len(path), 0, -1) if path[:n] in self.places]
            yield Problem(self.places[known[0]] if known else self.name, ".".join(map(str, path)), reason, value, hint)


def _says(changes: Any, path: Sequence[str]) -> bool:
    """Whether a variant changes the field at `path` itself."""
    for part in path:
        if not isinstance(changes, dict) or part not in changes:
            return False
        changes = changes[part]
    return True


def _reading_order(problem: Problem) -> tuple[bool, str, int]:
    """Files first, from top to bottom; then the command line."""
    file, _, line = problem.place.rpartition(":")
    in_file = line.isdecimal()
    return (not in_file, file, int(line)) if in_file else (True, "", 0)


def _short(path: Path) -> str:
    """Return the path as the user would write it: relative to the current folder if it is below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
