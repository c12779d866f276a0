"""Personal data: found by form and check digits, replaced by typed placeholders, counted by type.

Candidates are found by regular expressions whose repetitions are bounded or possessive, so the time is linear in the
length of any text. Each kind then has its own check: Luhn's check digit for cards, ISO 7064 mod 97 for IBANs and the
check digits of national ids (python-stdnum), Google's metadata of numbering plans for phones (phonenumbers), the
address registries for IP addresses (ipaddress). FineWeb redacts only e-mail and public IP addresses.
"""

from __future__ import annotations

import functools
import importlib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator

from tasks.corpus.clean.national_ids import FORMATS
from tasks.corpus.clean.phones import Span, phones
from tasks.corpus.clean.text_config import PiiConfig, PiiType

_LOCAL = re.compile(r"[\w](?:[\w.+%'-]{0,62}[\w+-])?\Z")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_PICTURE = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|avif|ico)\Z", re.I)  # logo@2x.png
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|-(?!\d{1,3}\.\d)|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]{1,4}:)[0-9A-Fa-f:]{4,39}(?![\w:])")
_DIGITS = re.compile(r"\d[^\n]{0,3}\d[^\n]{0,3}\d|::")  # no match: nothing but e-mail can be there
_MAYBE_IPV4 = re.compile(r"\.\d{1,3}\.\d")  # cheap to search for, and part of every address
_MAYBE_IPV6 = re.compile(r":[0-9A-Fa-f]{0,4}:")
_MAYBE_CARD = re.compile(r"\d{4}[ .\u2010-\u2013-]?\d{4}")
_UNICAST = ipaddress.ip_network("2000::/3")
_CARD = re.compile(
    r"(?<![\d.])(?<!\d[ -])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{1,7}|3\d{3}([ -]?)\d{6}\2\d{4,5})(?![\d])(?!-\d)"
)
# Issuers' prefixes (ISO/IEC 7812): Visa, Mastercard, American Express, Discover, Diners, JCB, UnionPay
_ISSUER = re.compile(r"4|5[1-5]|2[2-7]|3[47]|6011|6[245]|3[0689]|35")
# Numbers of other issuers and lengths (Maestro has 12 digits, some JCB cards 15) need a word such as "card".
_ANY_CARD = re.compile(r"(?<![\w.])(?<!\d[ -])\d(?:[ .\u2010-\u2013-]?\d){11,18}(?!\w)(?![ .\u2010-\u2013-]\d)")
_CARD_WORDS = re.compile(
    r"\b(?:credit|debit|visa|master\s?card|maestro|amex|american express|diners|discover|jcb|union\s?pay|"
    r"(?:kredit|bank|giro|debit)?kart\w*|(?:credit|bank|debit)?cards?|cartes?|cb|tarjetas?|cart(?:ão|ões|ao)|"
    r"carta|kort|kreditkort|kortti\w*|krediet\w*|kaart\w*|карт\w*|κάρτα\w*|بطاقة|כרטיס|thẻ|कार्ड)\b|卡|カード|카드|บัตร",
    re.I,
)
_NO_CARD = re.compile(r"\b(?:order|invoice|tracking|serial|phone|tel|isbn|ean|account|iban)\b[^\d\n]{0,15}\Z", re.I)
_BEFORE = 50  # characters before a number that are searched for a word that says what it is
_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", re.I)
# Precedes dotted numbers that are not IP addresses: section 4.1.2.4 of a book, version 120.0.6099.109 of a browser.
_VERSION = re.compile(
    r"(?:\b(?:v|ver|versions?|version[es]?n?|release[sd]?|build|firmware|driver|update[sd]?|upgrade[sd]?|kernel|patch|"
    r"oid|ec|"
    r"sections?|sec|sect|subsections?|chapters?|ch|chap|clauses?|paragraphs?|para|articles?|art|appendix|annex|"
    r"figures?|fig|tables?|tab|equations?|eq|steps?|items?|rules?|lemma|theorem|exercises?|part|parts|page|no|"
    r"abschnitt\w*|kapitel\w*|ziffer|absatz|anhang|abbildung|tabelle|chapitre|sections?|annexe|figure|secci[oó]n|"
    r"cap[ií]tulo|anexo|sezione|capitolo|se[cç][aã]o|hoofdstuk|paragraaf|rozdział|раздел\w*|глав\w*|пункт\w*|верси\w*)\b|"
    r"\bv\d[\d.]{2,20}(?:[ ,;]{1,2}(?:to|and|or|und|bis))?|§+|第|[A-Za-z]/)[^\w\n]{0,3}\Z",
    re.I,
)
_SAME_AS_BEFORE = re.compile(r"[ ,;]{0,2}(?:to|and|or|through|und|oder|bis|et|ou|à|y|o|a|e|–|-|&|/)?[ ]?")
_HEADING = re.compile(r"[.:)]?[ \t]+[^\W\d_]")  # after the number of a heading


class Redactor:
    """Replaces personal data of the kinds that the config names."""

    def __init__(self, config: PiiConfig) -> None:
        finders: dict[PiiType, Callable[[str], Iterator[Span]]] = {
            "email": _emails,
            "iban": _ibans,
            "credit_card": _cards,
            "national_id": functools.partial(_national_ids, names=config.national_ids),
            "ip": functools.partial(_addresses, public_only=config.public_ips_only),
            "phone": functools.partial(phones, regions=config.phone_regions),
        }
        self._finders = {kind: find for kind, find in finders.items() if kind in config.types}

    def find(self, text: str) -> list[tuple[int, int, PiiType]]:
        """Return (begin, end, kind) for each find, in order; if finds overlap, the more reliable kind wins."""
        if "@" not in text and not _DIGITS.search(text):
            return []
        found: list[tuple[int, int, PiiType]] = []
        for kind, find in self._finders.items():
            taken = sorted(found)
            place = 0
            for begin, end in find(text):
                while place < len(taken) and taken[place][1] <= begin:
                    place += 1
                if place == len(taken) or taken[place][0] >= end:
                    found.append((begin, end, kind))
        return sorted(found)

    def redact(self, text: str) -> tuple[str, Counter[str]]:
        """Return the text with placeholders, and how many of each kind were inserted."""
        found = self.find(text)
        if not found:
            return text, Counter()
        out: list[str] = []
        position = 0
        for begin, end, kind in found:
            out += [text[position:begin], f"<{kind.upper()}>"]
            position = end
        return "".join([*out, text[position:]]), Counter(kind for *_, kind in found)


def _emails(text: str) -> Iterator[Span]:
    """Yield e-mail addresses as usually written (RFC 5321's length limits, no quoted local parts or bare hosts)."""
    at = text.find("@")
    last = 0
    while at >= 0:
        first = max(last, at - 64)
        local = _LOCAL.search(text[first:at])
        domain = _DOMAIN.match(text, at + 1) if local else None
        if local and domain and not _PICTURE.search(domain[0]):
            yield first + local.start(), domain.end()
            last = domain.end()
            at = text.find("@", last)
        else:
            at = text.find("@", at + 1)


def _addresses(text: str, public_only: bool) -> Iterator[Span]:
    """Yield IPv4 and IPv6 addresses; public ones are those that the registries assign (ipaddress.is_global)."""
    spans: list[Span] = []
    numbered = -1  # where the last version or section number ended
    for match in _IPV4.finditer(text) if _MAYBE_IPV4.search(text) else ():
        try:
            address = ipaddress.IPv4Address(match[0])
        except ValueError:
            continue
        if _is_version(text, match, numbered):
            numbered = match.end()
        elif not public_only or (address.is_global and not address.is_multicast):
            spans.append(match.span())
    for match in _IPV6.finditer(text) if _MAYBE_IPV6.search(text) else ():
        if match[0].count(":") < 3 and "::" not in match[0]:
            continue
        try:
            address6 = ipaddress.IPv6Address(match[0])
        except ValueError:
            continue
        # a::b may also be a slice or a C++ name: an assigned address begins with 2 or 3 and has several parts
        if match[0].count(":") >= 3 and (not public_only or (address6 in _UNICAST and address6.is_global)):
            spans.append(match.span())
    yield from sorted(spans)


def _is_version(text: str, match: re.Match[str], numbered: int) -> bool:
    """Whether a dotted number is a version or a section. numbered: where the last such number ended."""
    begin = match.start()
    if _VERSION.search(text, max(0, begin - _BEFORE), begin):
        return True
    if numbered >= 0 and begin - numbered < 12 and _SAME_AS_BEFORE.fullmatch(text, numbered, begin):
        return True  # the next number in a list of versions or sections
    small = all(0 < int(part) < 40 for part in match[0].split("."))
    starts = re.fullmatch(r"(?:.*\n)?[ \t#*]*", text[max(0, begin - 10) : begin], re.S) is not None
    return small and starts and _HEADING.match(text, match.end()) is not None


def _cards(text: str) -> Iterator[Span]:
    """Yield credit card numbers: an issuer's prefix or a word before it, 12 to 19 digits, Luhn's check digit."""
    from stdnum import luhn

    if not _MAYBE_CARD.search(text):
        return
    spans = [match.span() for match in _CARD.finditer(text) if _ISSUER.match(match[0])]
    known = set(spans)
    spans += [
        match.span() for match in _ANY_CARD.finditer(text) if match.span() not in known and _is_called_card(text, match)
    ]
    end = 0
    for span in sorted(spans):
        digits = re.sub(r"\D", "", text[span[0] : span[1]])
        if span[0] >= end and 12 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn.is_valid(digits):
            yield span
            end = span[1]


def _is_called_card(text: str, match: re.Match[str]) -> bool:
    before = text[max(0, match.start() - _BEFORE) : match.start()]
    return bool(_CARD_WORDS.search(before)) and not _NO_CARD.search(before)


def _ibans(text: str) -> Iterator[Span]:
    """Yield IBANs: the length of the country's numbers and ISO 7064 mod 97 (ISO 13616), in any letter case."""
    from stdnum import iban

    for match in _IBAN.finditer(text):
        # capitals may follow the IBAN, so it is the longest valid prefix that ends where a group ends
        for end in range(match.end(), match.start() + 14, -1):
            after = text[end : end + 1]
            if not after.isalnum() and text[end - 1] not in " -" and iban.is_valid(text[match.start() : end]):
                yield match.start(), end
                break


def _national_ids(text: str, names: tuple[str, ...]) -> Iterator[Span]:
    spans: list[Span] = []
    for name in names:
        is_valid, pattern = _national_id(name)
        spans += [match.span() for match in pattern.finditer(text) if is_valid(match[0])]
    end = 0
    for span in sorted(spans):
        if span[0] >= end:  # the formats of two countries may match the same number
            yield span
            end = span[1]


@functools.cache
def _national_id(name: str) -> tuple[Callable[[str], bool], re.Pattern[str]]:
    module, pattern = FORMATS[name]
    return importlib.import_module(module).is_valid, re.compile(rf"(?<![\w.-])(?:{pattern})(?![\w-])")
