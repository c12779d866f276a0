"""Folders and file patterns (globs) in recipes: each folder is walked once, even if links lead back to it."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_HALVES = re.compile("[\ud800-\udfff]")
_SPELLED = re.compile(r"\\x([89a-fA-F][0-9a-fA-F])")


def as_text(name: str) -> str:
    """Return a file's name as text. On Linux it may not be UTF-8: Python represents such bytes as lone surrogates,
    which cannot be stored as text, so they are spelled out: caf\\xe9.txt."""
    return name if name.isascii() else _HALVES.sub(lambda half: f"\\x{ord(half[0]) & 0xFF:02x}", name)


def as_name(text: str) -> str:
    """Return the original name or pattern that `as_text` spelled out."""
    if "\\x" not in text or os.path.lexists(text):
        return text
    return _SPELLED.sub(lambda byte: chr(0xDC00 + int(byte[1], 16)), text)


@dataclass
class Folder:
    """A folder of the walk: the names in it that are not folders, and its hidden folders, both sorted.

    A folder with a `problem` (for the tables) and a `why` (in words) was not read.
    """

    path: str
    files: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    problem: str | None = None
    why: str | None = None


def folders(root: str) -> Iterator[Folder]:
    """Yield a folder and all folders below it except hidden ones, each once, however many links lead to it.

    Links to folders are followed after everything that is really here, so that a folder gets its real name; a link to a
    folder that was already read is yielded with a problem.
    """
    seen: set[tuple[int, int]] = set()
    here, links = [root], deque[str]()
    while here or links:
        path = here.pop() if here else links.popleft()
        try:
            stat = os.stat(path)
            if (stat.st_dev, stat.st_ino) in seen:
                yield Folder(path, problem="linked_folder", why="a link to a folder that is read under another name")
                continue
            seen.add((stat.st_dev, stat.st_ino))
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield Folder(path, problem="unreadable_folder", why=error.strerror)
            continue
        folder, below = Folder(path), []
        for entry in entries:
            if not _is_folder(entry):
                folder.files.append(entry.name)
            elif entry.name.startswith("."):
                folder.hidden.append(entry.name)
            elif entry.is_symlink():
                links.append(entry.path)
            else:
                below.append(entry.path)
        yield folder
        here.extend(reversed(below))


def matching(pattern: str, unread: Callable[[Folder], None] | None = None, *, odd: bool = False) -> list[str]:
    """Return the files that a path or pattern names, sorted; `*`, `?` and `[...]` match within a name, `**` folders.

    A path that exists literally is itself. As in a shell, wildcards do not match a leading dot. unread: called with the
    folders that `**` leaves out. odd: include what is neither a file nor a folder (a dead link, a pipe).
    """
    pattern = as_name(os.path.expanduser(pattern))
    if os.path.exists(pattern) or not glob.has_magic(pattern):
        return [pattern] if os.path.isfile(pattern) else []
    parts = pattern.split(os.sep)
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    start = os.sep.join(parts[:first]) + (os.sep if first == 1 and not parts[0] else "")
    wanted = _is_no_folder if odd else os.path.isfile
    rest = [part for part in parts[first:] if part]
    return sorted(set(_below(start, rest, unread or (lambda folder: None), wanted)))


def _is_no_folder(path: str) -> bool:
    return os.path.lexists(path) and not os.path.isdir(path)


def _below(
    folder: str, parts: list[str], unread: Callable[[Folder], None], wanted: Callable[[str], bool]
) -> Iterator[str]:
    """The files that the rest of a pattern names in a folder."""
    part, rest = parts[0], parts[1:]
    if part == "**":
        while rest and rest[0] == "**":
            rest = rest[1:]
        for each in folders(folder or os.curdir):
            if each.problem is not None:
                unread(each)
                continue
            path = each.path if folder else each.path.removeprefix(os.curdir).removeprefix(os.sep)
            if rest:
                yield from _below(path, rest, unread, wanted)
            else:
                names = (os.path.join(path, name) for name in each.files if not name.startswith("."))
                yield from filter(wanted, names)
        return
    for name in _named(folder, part):
        path = os.path.join(folder, name)
        if rest:
            if os.path.isdir(path):
                yield from _below(path, rest, unread, wanted)
        elif wanted(path):
            yield path


def _named(folder: str, part: str) -> list[str]:
    """The names in a folder that a part of a pattern matches; a name with brackets also matches itself."""
    if not glob.has_magic(part):
        return [part]
    try:
        names = os.listdir(folder or os.curdir)
    except OSError:
        return []
    found = {name for name in fnmatch.filter(names, part) if part.startswith(".") or not name.startswith(".")}
    return sorted(found | ({part} & set(names)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def as_regex(pattern: str) -> re.Pattern[str]:
    """Return the pattern as a regex for whole paths with `/`, for places that are listed, not walked (a bucket)."""
    made = ""
    parts = pattern.split("/")
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            made += r"(?:[^/.][^/]*/)*" + (r"[^/.][^/]*" if last else "")
            continue
        wild = glob.has_magic(part)
        name = _name_as_regex(part) if wild else re.escape(part)
        made += ("(?!\\.)" if wild and not part.startswith(".") else "") + name + ("" if last else "/")
    return re.compile(made + r"\Z")


def _name_as_regex(part: str) -> str:
    """One name's pattern; `.*` and `.` of fnmatch's regex do not cross a slash."""
    pieces = re.split(r"(\*+|\?|\[!?\]?[^\]]*\])", part)
    made = ""
    for piece in pieces:
        if piece.startswith("*"):
            made += "[^/]*"
        elif piece == "?":
            made += "[^/]"
        elif len(piece) > 2 and piece[0] == "[":
            made += "(?!/)" + fnmatch.translate(piece).removesuffix(r"\Z").removesuffix(")").removeprefix("(?s:")
        else:
            made += re.escape(piece)
    return made
