"""Personal data: found by form and check digits, replaced by typed placeholders, counted by type.

What is a candidate is decided by regular expressions whose repetitions are bounded or possessive, so the time is linear
in the text whatever it holds; what is personal data is decided by the check of its kind: Luhn's digit of cards, ISO
7064 mod 97 of IBANs and the check digits of national ids (python-stdnum), Google's metadata of numbering plans
(phonenumbers), the address registries (ipaddress). FineWeb redacts e-mail and public IP addresses alone.
"""

from __future__ import annotations

import functools
import importlib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator

from tasks.clean.national_ids import FORMATS
from tasks.clean.text_config import PiiConfig, PiiType

Span = tuple[int, int]

_LOCAL = re.compile(r"[\w](?:[\w.+%'-]{0,62}[\w+-])?\Z")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]{1,4}:)[0-9A-Fa-f:]{4,39}(?![\w:])")
_DIGITS = re.compile(r"\d[^\n]{0,3}\d[^\n]{0,3}\d|::")  # whether there can be anything but e-mail at all
_MAYBE_IPV4 = re.compile(r"\.\d{1,3}\.\d")  # cheap to search for, and part of every address
_MAYBE_IPV6 = re.compile(r":[0-9A-Fa-f]{0,4}:")
_MAYBE_CARD = re.compile(r"\d{4}[ -]?\d{4}")
_UNICAST = ipaddress.ip_network("2000::/3")
_CARD = re.compile(
    r"(?<![\d.])(?<!\d[ -])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{1,7}|3\d{3}([ -]?)\d{6}\2\d{4,5})(?![\d])(?!-\d)"
)
# Issuers' prefixes (ISO/IEC 7812): Visa, Mastercard, American Express, Discover, Diners, JCB, UnionPay
_ISSUER = re.compile(r"4|5[1-5]|2[2-7]|3[47]|6011|6[245]|3[0689]|35")
_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}")
_PHONE = re.compile(
    r"(?<![\w.,:/#@=-])(?:\+|\(\+?)?\d(?:[ .()\u00a0\u2010-\u2013/-]{0,3}\d){6,}+"
    r"(?:\s?(?:x|ext\.?)\s?\d{1,6})?+(?![\w@%]|[.,]\d)",
    re.I,
)
_EXTENSION = re.compile(r"\s?(?:x|ext\.?)\s?\d{1,6}\Z", re.I)
_DATE = re.compile(
    r"\(?(?:(?:1[89]|20)\d\d[ ./-]\d{1,2}\b|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d\d)\b|"
    r"(?:1[89]|20)\d\d[ -]{1,3}(?:1[89]|20)\d\d)"
)
_SEPARATED = re.compile(r"\d[ .()\u00a0\u2010-\u2013/-]{1,3}\d")
_DECIMAL = re.compile(r"\d+(?:\.\d+){1,2}\Z|\d{1,3}(?:[. ]\d{3})+\Z")
_SIGNED = re.compile(r"[+(]*\d+\.\d+\Z")  # +3.140000 in a table of numbers
_BEFORE = 40  # characters before a number in which a word says what it is
_PHONE_WORDS = re.compile(
    r"\b(?:tele)?(?:phone|fax)|\btel\b|\bcall|\bmobile|\bcell\b|\bwhatsapp|\bsms\b|\bdial|\bhotline|"
    r"\breach (?:me|us)|t[eé]l[eé]f|handy|rufnummer|celular|chiamare|appel|ligue|тел|звон|電話|电话|手机|手機|携帯|"
    r"โทร|전화|هاتف|טלפון|फ़ोन|फोन",
    re.I,
)
_PHONE_WORDS_BEHIND = re.compile(r"[ \t]{0,2}[(\[]?(?:tele)?(?:phone|fax|mobile|cell|office|desk|home|work)\b", re.I)
_OTHER_WORDS = re.compile(
    r"\b(?:isbn|issn|doi|arxiv|rfc|isin|ean|upc|lccn|oclc|pmid|patent|version|serial|order|invoice|account|card|"
    r"bugs?|issue|ticket|license|licence|article)\b[^\d\n]{0,12}\Z",
    re.I,
)


class Redactor:
    """Replaces personal data of the kinds that a config names."""

    def __init__(self, config: PiiConfig) -> None:
        finders: dict[PiiType, Callable[[str], Iterator[Span]]] = {
            "email": _emails,
            "iban": _ibans,
            "credit_card": _cards,
            "national_id": functools.partial(_national_ids, names=config.national_ids),
            "ip": functools.partial(_addresses, public_only=config.public_ips_only),
            "phone": functools.partial(_phones, regions=config.phone_regions),
        }
        self._finders = {kind: find for kind, find in finders.items() if kind in config.types}

    def find(self, text: str) -> list[tuple[int, int, PiiType]]:
        """Return (begin, end, kind) of what is found, in order; where kinds overlap the surer one stays."""
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
        """Return the text with placeholders, and how many of each kind were put in."""
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
    """Addresses as people write them (RFC 5321's limits of length; no quoted local parts, no bare host names)."""
    at = text.find("@")
    last = 0
    while at >= 0:
        first = max(last, at - 64)
        local = _LOCAL.search(text[first:at])
        domain = _DOMAIN.match(text, at + 1) if local else None
        if local and domain:
            yield first + local.start(), domain.end()
            last = domain.end()
            at = text.find("@", last)
        else:
            at = text.find("@", at + 1)


def _addresses(text: str, public_only: bool) -> Iterator[Span]:
    """IPv4 and IPv6 addresses; the public ones are those that the registries give out (ipaddress.is_global)."""
    spans: list[Span] = []
    for match in _IPV4.finditer(text) if _MAYBE_IPV4.search(text) else ():
        try:
            address = ipaddress.IPv4Address(match[0])
        except ValueError:
            continue
        if not public_only or (address.is_global and not address.is_multicast):
            spans.append(match.span())
    for match in _IPV6.finditer(text) if _MAYBE_IPV6.search(text) else ():
        if match[0].count(":") < 3 and "::" not in match[0]:
            continue
        try:
            address6 = ipaddress.IPv6Address(match[0])
        except ValueError:
            continue
        # a::b is also a slice or a C++ name: an address that is given out begins with 2 or 3 and has some parts
        if match[0].count(":") >= 3 and (not public_only or (address6 in _UNICAST and address6.is_global)):
            spans.append(match.span())
    yield from sorted(spans)


def _cards(text: str) -> Iterator[Span]:
    """Credit card numbers: an issuer's prefix, 13 to 19 digits, Luhn's check digit (ISO/IEC 7812)."""
    from stdnum import luhn

    for match in _CARD.finditer(text) if _MAYBE_CARD.search(text) else ():
        digits = re.sub(r"\D", "", match[0])
        if 13 <= len(digits) <= 19 and _ISSUER.match(digits) and len(set(digits)) > 1 and luhn.is_valid(digits):
            yield match.span()


def _ibans(text: str) -> Iterator[Span]:
    """International bank account numbers: a country's length and ISO 7064 mod 97 (ISO 13616)."""
    from stdnum import iban

    for match in _IBAN.finditer(text):
        # capitals may follow the number: it is the longest beginning that checks and ends where a group does
        for end in range(match.end(), match.start() + 14, -1):
            after = text[end : end + 1]
            if not after.isalnum() and text[end - 1] != " " and iban.is_valid(text[match.start() : end]):
                yield match.start(), end
                break


def _national_ids(text: str, names: tuple[str, ...]) -> Iterator[Span]:
    spans: list[Span] = []
    for name in names:
        is_valid, pattern = _national_id(name)
        spans += [match.span() for match in pattern.finditer(text) if is_valid(match[0])]
    end = 0
    for span in sorted(spans):
        if span[0] >= end:  # two countries may write theirs alike
            yield span
            end = span[1]


@functools.cache
def _national_id(name: str) -> tuple[Callable[[str], bool], re.Pattern[str]]:
    module, pattern = FORMATS[name]
    return importlib.import_module(module).is_valid, re.compile(rf"(?<![\w.-])(?:{pattern})(?![\w-])")


def _phones(text: str, regions: tuple[str, ...]) -> Iterator[Span]:
    """Phone numbers: international ones, national ones of the regions, and what a word before calls one."""
    for match in _PHONE.finditer(text):
        begin, end = match.span()
        number = _EXTENSION.sub("", match[0])
        digits = sum(map(str.isdigit, number))
        if not 7 <= digits <= 15 or _DATE.match(number):
            continue
        before = text[max(0, begin - _BEFORE) : begin].rpartition("\n")[2]
        if _OTHER_WORDS.search(before):
            continue
        international = number.startswith(("+", "(+", "00"))
        named = bool(
            number != match[0]  # it has an extension
            or _PHONE_WORDS.search(before)
            or _PHONE_WORDS_BEHIND.match(text, end)
        )
        if not named and not number.startswith("+") and (not _SEPARATED.search(number) or _DECIMAL.match(number)):
            continue
        if not named and _SIGNED.match(number):
            continue
        if named or _is_phone(number, international, regions):
            # a bracket that opens before the number belongs to the sentence, unless it closes inside
            if number.startswith("(") and ")" not in number:
                begin += 1
            yield begin, end


@functools.lru_cache(maxsize=10_000)
def _is_phone(number: str, international: bool, regions: tuple[str, ...]) -> bool:
    import phonenumbers

    if international:
        number = number.lstrip("(")
        number = "+" + number[2:] if number.startswith("00") else number
    for region in ("ZZ",) if international else regions:
        try:
            parsed = phonenumbers.parse(number, None if region == "ZZ" else region)
        except phonenumbers.NumberParseException:
            continue
        # what is written as an international number is one where its length is that of its country's
        if (phonenumbers.is_possible_number if international else phonenumbers.is_valid_number)(parsed):
            return True
    return False
