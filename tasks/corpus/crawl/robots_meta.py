"""What a page asks of crawlers: noindex, nofollow, noarchive, noai and the reservation of text mining.

What else robots.txt, headers and licences say about training is read in signals.py and rsl.py.

Sources: meta tags and X-Robots-Tag headers (both: Robots Exclusion Protocol's page level), and TDMRep, the W3C
community group's protocol for Article 4 of the EU's copyright directive: a `tdm-reservation` header or meta tag, or
/.well-known/tdmrep.json for a whole origin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

NOINDEX, NOFOLLOW, NOARCHIVE, NOAI, TDM = "noindex", "nofollow", "noarchive", "noai", "tdm-reservation"
TDMREP_PATH = "/.well-known/tdmrep.json"
_WITH_VALUE = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
_AGENT = re.compile(r"\*|[a-z][a-z0-9_.-]*")  # other words before a colon belong to the time of an unavailable_after
_IMPLIED = {"none": (NOINDEX, NOFOLLOW), "noimageai": (), "noarchive": (NOARCHIVE,), "nocache": (NOARCHIVE,)}


class PathPattern:
    """A path with the wildcards of RFC 9309 § 2.2.3: `*` for anything, `$` at the end for the end.

    The pieces are searched one after the other, so no pattern of a hostile site can take long.
    """

    def __init__(self, pattern: str) -> None:
        self._ends = pattern.endswith("$")
        self._first, *self._rest = pattern.removesuffix("$").split("*")

    def match(self, path: str) -> bool:
        """Return whether the pattern matches the start of a path or, with `$` at its end, the whole path."""
        if not path.startswith(self._first):
            return False
        position = len(self._first)
        if not self._rest:
            return not self._ends or position == len(path)
        last = self._rest[-1] if self._ends else ""
        for piece in self._rest[:-1] if self._ends else self._rest:
            if (found := path.find(piece, position)) < 0:
                return False
            position = found + len(piece)
        return path.endswith(last) and len(path) - len(last) >= position


@dataclass(frozen=True)
class Rule:
    """One rule of a tdmrep.json: paths, and whether mining them is reserved."""

    location: PathPattern
    reserved: bool
    policy: str = ""


def robots_directives(values: Iterable[str], agent: str) -> set[str]:
    """Return the directives in X-Robots-Tag headers or robots meta tags, one string each.

    A name before a colon addresses one crawler, up to the end of the string (`otherbot: noindex, nofollow`);
    directives that are for neither everybody nor `agent` are ignored. "noindex nofollow" without a comma is accepted.
    """
    found: set[str] = set()
    for value in values:
        ours = True
        for piece in value.lower().split(","):
            name, colon, rest = piece.strip().partition(":")
            if colon and name.strip() not in _WITH_VALUE and _AGENT.fullmatch(name.strip()):
                ours, piece = name.strip() in (agent.lower(), "*", "robots"), rest
            if ours:
                for word in piece.split():
                    found.update(_IMPLIED.get(word, (word,)))
    return found & {NOINDEX, NOFOLLOW, NOARCHIVE, NOAI}


def reservation(meta: str | None, header: str | None, rules: Iterable[Rule], path: str) -> tuple[bool, str, str] | None:
    """Return whether text mining of a page is reserved, where that is said and how; None if nothing is said.

    The page's own meta tag counts first, then its header, then the origin's file.
    """
    for place, said in (("page", meta), ("header", header)):
        if said is not None and said.strip() in ("0", "1"):
            return said.strip() == "1", place, f"tdm-reservation: {said.strip()}"
    rule = next((rule for rule in rules if rule.location.match(path)), None)
    if rule is None:
        return None
    return rule.reserved, TDMREP_PATH, f"tdm-reservation: {int(rule.reserved)}{rule.policy and f', {rule.policy}'}"


def parse_tdmrep(body: bytes) -> list[Rule]:
    """Return the rules of a tdmrep.json, [] if it is not a valid one; the first rule that matches a path counts."""
    try:
        entries = json.loads(body)
    except (ValueError, RecursionError):
        return []
    rules = []
    for entry in entries if isinstance(entries, list) else [entries]:
        if isinstance(entry, dict) and isinstance(location := entry.get("location"), str):
            said = entry.get("tdm-reservation")
            if said in (0, 1, "0", "1"):
                policy = entry.get("tdm-policy")
                words = policy if isinstance(policy, str) else ""
                rules.append(Rule(PathPattern(location), str(int(said)) == "1", words))
    return rules
