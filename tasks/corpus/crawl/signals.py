"""Content-Signal, Content-Usage and License lines of robots.txt, and the first two as HTTP headers.

Content Signals: contentsignals.org (`ai-train=yes|no`). Content-Usage: the IETF's AI preferences, drafts aipref-vocab
and aipref-attach (`train-ai=y|n` in a dictionary of RFC 9651). License: the location of RSL 1.0 terms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from tasks.corpus.crawl.rights import CONTENT_SIGNAL, CONTENT_USAGE, Permission, Statement, combined
from tasks.corpus.crawl.robots_meta import PathPattern

MAX_RULES = 1000  # of one robots.txt
MAX_LICENCES = 8  # of one robots.txt
_LINE = re.compile(r"[ \t]*([a-z][a-z-]*)[ \t]*:[ \t]*([^#]*)", re.I)
_RULES = frozenset({"allow", "disallow", "crawl-delay", "request-rate"})
_WORDS = {"content-signal": CONTENT_SIGNAL, "content-usage": CONTENT_USAGE}
_LICENCE = ("license", "licence")
_PERCENT = re.compile(r"%([0-9a-f]{2})", re.I)

# RFC 9651 § 3.2, member by member, so that a member that does not parse is noticed
_TOKEN = r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*"
_BARE = (
    rf"(?:{_TOKEN}|\"(?:[ !#-\[\]-~]|\\[\"\\])*\"|-?[0-9]{{1,12}}\.[0-9]{{1,3}}|-?[0-9]{{1,15}}"
    r"|:[A-Za-z0-9+/=]*:|\?[01]|@-?[0-9]{1,15}|%\"(?:[ !#$&-~]|%[0-9a-f]{2})*\")"
)
_KEY = r"[a-z*][a-z0-9_.*-]*"
_PARAMETERS = rf"(?:; *{_KEY}(?:={_BARE})?)*+"
_ITEM = _BARE + _PARAMETERS
_MEMBER = re.compile(
    rf"({_KEY})(?:=(?:({_BARE}){_PARAMETERS}|\( *(?:{_ITEM}(?: +{_ITEM})*+)? *\){_PARAMETERS})|{_PARAMETERS})"
)
_COMMA = re.compile(r"[ \t]*,[ \t]*")


@dataclass(frozen=True)
class Rule:
    """One line: the paths it applies to, and what it says about training on them."""

    protocol: str
    path: str
    pattern: PathPattern
    train: Permission
    words: str


@dataclass(frozen=True)
class Signals:
    """What a robots.txt tells our crawler about training, apart from what may be fetched."""

    rules: list[Rule] = field(default_factory=list)
    licences: list[str] = field(default_factory=list)

    def said(self, path: str, where: str) -> list[Statement]:
        """Return what is said about a path, at most one statement of each protocol.

        The longest matching path counts, and among equally long ones a *no*. A longer path that says nothing about
        training changes nothing.
        """
        found = []
        path = normal_path(path)
        for protocol in (CONTENT_SIGNAL, CONTENT_USAGE):
            rules = [rule for rule in self.rules if rule.protocol == protocol and rule.pattern.match(path)]
            rules = [rule for rule in rules if rule.train != "unknown"] or rules
            if rules:
                longest = max(len(rule.path) for rule in rules)
                nearest = [rule for rule in rules if len(rule.path) == longest]
                train = combined(rule.train for rule in nearest)
                words = next(rule.words for rule in nearest if rule.train == train)
                found.append(Statement(protocol, train, where, words))
        return found

    def everywhere(self, protocol: str) -> bool:
        """Whether a protocol's *no* is for every path of the origin, so that no page of it need be requested."""
        rules = [rule for rule in self.rules if rule.protocol == protocol and rule.train != "unknown"]
        return "deny" in {rule.train for rule in rules} and all(rule.path.rstrip("*") in ("", "/") for rule in rules)


def parse_signals(text: str, agent: str) -> Signals:
    """Read a robots.txt whose groups are named `agent`, `*`, or something else.

    Our own group counts if there is one, else the group `*`. Lines outside groups count as well: those before the
    first group, and those that follow another crawler's rules after a blank line. By RFC 9309 the latter belong to
    that group, but their author hardly meant that; of these, only a *no* and a licence count for us.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    outside: list[tuple[str, str]] = []
    stray: list[tuple[str, str]] = []
    names: list[str] | None = None
    naming = alone = False  # naming: in the lines that name a group; alone: after a blank line, with no rule since
    for line in re.split(r"\r\n|\r|\n", text):
        if not line.strip():
            alone = not naming
            continue
        if (match := _LINE.match(line)) is None:
            continue
        name, value = match[1].lower(), match[2].strip()
        if name in ("user-agent", "useragent"):
            names, naming, alone = (names or []) if naming else [], True, False
            names.append(value)
            groups.setdefault(value, [])
        elif name in _RULES:
            naming = alone = False
        elif name in _WORDS or name in _LICENCE:
            naming = False
            if names is None:
                outside.append((name, value))
                continue
            for group in names:
                groups[group].append((name, value))
            if alone and agent not in names and "*" not in names:
                stray.append((name, value))
    ours = groups.get(agent, groups.get("*", []))
    rules = [rule for name, value in (ours + outside)[:MAX_RULES] if (rule := _rule(name, value)) is not None]
    rules += [rule for name, value in stray[:MAX_RULES] if (rule := _rule(name, value)) and rule.train == "deny"]
    licences = [value for name, value in ours if name in _LICENCE and value]  # RSL 1.0 § 4.4: the group's first
    licences = licences or [value for name, value in outside + stray if name in _LICENCE and value]
    return Signals(rules, list(dict.fromkeys(licences))[:MAX_LICENCES])


def said_in_headers(signals: Iterable[str], usages: Iterable[str]) -> list[Statement]:
    """Return what a response's Content-Signal and Content-Usage headers say; repeated headers form one list."""
    found = []
    for protocol, values in ((CONTENT_SIGNAL, list(signals)), (CONTENT_USAGE, list(usages))):
        if values:
            words = ", ".join(values)
            train = _signal(words) if protocol == CONTENT_SIGNAL else _usage(words)
            found.append(Statement(protocol, train, "header", words))
    return found


def _rule(name: str, value: str) -> Rule | None:
    if name not in _WORDS:
        return None
    path, rest = "/", value
    if value.startswith(("/", "*")):
        path, _, rest = value.partition(" ") if " " in value else value.partition("\t")
    train = _signal(rest) if _WORDS[name] == CONTENT_SIGNAL else _usage(rest.strip())
    path = normal_path(path)
    return Rule(_WORDS[name], path, PathPattern(path), train, f"{name.title()}: {value}")


def _signal(words: str) -> Permission:
    """Read `search=yes, ai-train=no`; a use that is not mentioned is neither granted nor restricted."""
    said: list[Permission] = []
    for piece in re.split(r"[,;]", words.lower()):
        name, _, value = piece.partition("=")
        if name.strip() == "ai-train":
            said += [{"yes": "allow", "no": "deny"}.get(value.strip(), "unknown")]  # type: ignore[list-item]
    return combined(said)


def _usage(words: str) -> Permission:
    """Read a dictionary of RFC 9651: the last value of a key counts; a dictionary that does not parse says nothing."""
    value: str | None = None
    position, words = 0, words.strip(" ")
    while words:
        member = _MEMBER.match(words, position)
        if member is None:
            return "unknown"
        if member[1] == "train-ai":
            value = member[2]
        position = member.end()
        if position == len(words):
            break
        comma = _COMMA.match(words, position)
        if comma is None or comma.end() == len(words):
            return "unknown"
        position = comma.end()
    return {"y": "allow", "n": "deny"}.get(value or "", "unknown")  # type: ignore[return-value]


def normal_path(path: str) -> str:
    """Return a path with normalised percent-encoding, so that different spellings match (RFC 9309 § 2.2.2)."""

    def spelled(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        plain = character.isascii() and (character.isalnum() or character in "-._~")
        return character if plain else match[0].upper()

    return _PERCENT.sub(spelled, quote(path, safe="/%?#[]@!$&'()*+,;=:~-._|\\^`{}\"<>"))
