"""What a page asks of those who crawl it: noindex, nofollow, noarchive, noai and the reservation of text mining.

Said in meta tags, in X-Robots-Tag headers (both: Robots Exclusion Protocol's page level), and by TDMRep, the W3C
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
_AGENT = re.compile(r"\*|[a-z][a-z0-9_.-]*")  # what is no name but has a colon is the time of an unavailable_after
_IMPLIED = {"none": (NOINDEX, NOFOLLOW), "noimageai": (), "noarchive": (NOARCHIVE,), "nocache": (NOARCHIVE,)}


@dataclass(frozen=True)
class Rule:
    """One rule of a tdmrep.json: paths, and whether mining them is reserved."""

    location: re.Pattern[str]
    reserved: bool


def directives(values: Iterable[str], agent: str) -> set[str]:
    """Return the wishes in X-Robots-Tag headers or robots meta tags, one string each.

    A name before a colon addresses one crawler, up to the end of the string (`otherbot: noindex, nofollow`); what is
    not for everybody and not for `agent` is none of ours. "noindex nofollow" without a comma is understood too.
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


def is_reserved(meta: str | None, header: str | None, rules: Iterable[Rule], path: str) -> bool:
    """Return whether a page's text may not be mined: what it says itself, else its header, else the origin's file."""
    for said in (meta, header):
        if said is not None and said.strip() in ("0", "1"):
            return said.strip() == "1"
    return next((rule.reserved for rule in rules if rule.location.match(path)), False)


def parse_tdmrep(body: bytes) -> list[Rule]:
    """Return the rules of a tdmrep.json, [] where it is none; the first rule that matches a path counts."""
    try:
        entries = json.loads(body)
    except (ValueError, RecursionError):
        return []
    rules = []
    for entry in entries if isinstance(entries, list) else [entries]:
        if isinstance(entry, dict) and isinstance(location := entry.get("location"), str):
            said = entry.get("tdm-reservation")
            if said in (0, 1, "0", "1"):
                rules.append(Rule(_path_pattern(location), str(int(said)) == "1"))
    return rules


def _path_pattern(location: str) -> re.Pattern[str]:
    """Compile a path with the wildcards of RFC 9309 § 2.2.3: `*` for anything, `$` at the end for the end.

    Runs of `*` are one, and no more than eight count, so no pattern of a hostile site can take long.
    """
    end = "\\Z" if location.endswith("$") else ""
    pieces = re.split(r"\*+", location.removesuffix("$"))
    head, tail = pieces[:8], pieces[8:]
    return re.compile(".*?".join(map(re.escape, head)) + (".*" if tail else end), re.S)
