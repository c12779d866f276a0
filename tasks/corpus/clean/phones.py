"""Phone numbers in texts: how candidates are found, and what confirms that they are phone numbers.

A number is a phone number if it is written with a plus and has the length of its country's numbers, if it is a valid
number of the regions that the config names, or if a word says so: directly before it, on the line above, a few words
before it, or after it. Numbers of other kinds (dates, amounts, orders, ISBNs) look similar, so a word that is further
away counts only if the number cannot be one of those.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

Span = tuple[int, int]

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"  # scripts without spaces
# A colon or a similar sign may precede the number if a letter comes before it (Tel:030), but not a digit (12:30).
# The number's first character comes before the lookbehinds in the pattern, because searching for it is fast.
_GAP = r" .()\u00a0\u2007\u2009\u202f\u2010-\u2013\u2212\u00b7\uff08\uff09\uff0d/-"  # what may separate digits
_ITS_EXTENSION = r"(?:[,;]?\s?(?:x|ext(?:ension|n)?[.:=]?)\s?\d{1,6})"
_PHONE = re.compile(
    rf"[+(\uff0b\uff08\d](?:(?<![\w.,:/#@=-].)|(?<=[^\W\d_][:.=/-].)|(?<=[^\W\d_][.)][:.=].)|(?<=[^\W\d_][(\uff08])|(?<=[{_UNSPACED}].))"
    rf"(?:(?<=[(\uff08])[+\uff0b]?\d|(?<=[+\uff0b])\(?\d|(?<=\d))(?:[{_GAP}]{{0,3}}\d){{6,}}+"
    rf"{_ITS_EXTENSION}?+(?![^\W{_UNSPACED}]|[@%]|[.,]\d)",
    re.I,
)
_EXTENSION = re.compile(rf"{_ITS_EXTENSION}\Z", re.I)
_NEXT_NUMBER = re.compile(
    r"[ \u00a0](?=\()|[ \u00a0]{2,}|[ \u00a0]?[/\u2013-][ \u00a0]"
)  # separates two adjacent numbers
_DAY = (
    r"(?:(?:1[89]|20)\d\d[./-](?:0?[1-9]|1[0-2])(?:[./-]\d{1,2})?|"
    r"(?:1[89]|20)\d\d[ \u2010-\u2013-]{1,3}(?:1[89]|20)\d\d|"
    r"(?:0?[1-9]|[12]\d|3[01])[./-](?:0?[1-9]|[12]\d|3[01])[./-](?:(?:1[89]|20)\d\d|\d\d))"
)
_DATES = re.compile(rf"\(?{_DAY}(?:[ ()\u2010-\u2013/-]{{1,3}}{_DAY})*\)?\Z")  # nothing but dates
_DATE = re.compile(rf"\(?(?:{_DAY}|(?:1[89]|20)\d\d[ ./-]\d{{1,2}}\b)(?![./-]?\d)")  # begins with a date
_SEPARATED = re.compile(rf"\d[{_GAP}]{{1,3}}\d")
_SINGLE_DIGITS = re.compile(rf"(?<!\d)\d(?:[{_GAP}]{{1,3}}\d(?!\d)){{3}}")  # 1 2 3 4: pages, columns
_ADDRESS = re.compile(r"(?:(?:[1-9]?\d|1\d\d|2[0-4]\d|25[0-5])(?:\.(?!\Z)|\Z)){4}")  # IPv4
_DECIMAL = re.compile(r"(?!0\d)(?:\d+(?:\.\d+){1,2}|\d{1,3}(?:[. ]\d{3})+)\Z")
_SIGNED = re.compile(r"[+(]*\d+\.\d+\Z")  # +3.140000 in a table of numbers
_SUM = re.compile(r"[ \t]?[=<>*×÷$€£¥₹]|[ \t](?:dollars?|euros?|pounds?|usd|eur|gbp)\b", re.I)
_ARGUMENT = re.compile(r"\w\([^()\n]*\Z")  # f(1234567)
_AS_BLANK = dict.fromkeys(map(ord, "\u2007\u2009\u202f\u2212\u00b7"), " ")  # separators that phonenumbers does not know
_PLUS = ("+", "\uff0b")
_JOINED = re.compile(r"[^\W\d_][.:=/-]\Z")
_MONEY = frozenset("$€£¥₹")
_NEXT_TO = 25  # most characters between two numbers of the same kind
_BEFORE = 60  # characters before a number that are searched for a word that says what it is

_NAMES = (
    r"wa\.me|fon|"
    r"(?:tele|auto)?(?:phone|fax)s?(?:[ -]?(?:number|line))?|tel[eé]f\w*|tel|t[eé]l|t[eé]l[eé]phone|telpon|telp|tlf|tf|"
    r"telex|ph|mob|mobile?s?|mobil\w*|mobiel|m[oó]vil|hand(?:y|phone)\w*|natel|gsm|cellul\w*|celular\w*|"
    r"whats[ -]?app|viber|sms|hot[ -]?line|help[ -]?line|toll[ -]?free|free[ -]?phone|rufnummer|"
    r"durchwahl|telefax|puh(?:elin)?|kom[oó]rka|festnetz|switchboard|"
    r"контактный|тел|телефон\w*|моб|мобильн\w*|факс|\w*звон\w*|τηλ(?:έφωνο)?|κιν(?:ητό)?|φαξ|"
    r"điện thoại|sđt|di động|nomor hp|"
    r"طلفون|هاتف|جوال|موبايل|تلفون|تلفن|موبایل|تماس|טלפון|טל|נייד|פקס|פלאפון|"
    r"फ़ोन|फोन|मोबाइल|दूरभाष|ফোন|মোবাইল|தொலைபேசி|ఫోన్"
)
_ASIAN_NAMES = (
    r"[☎☏✆℡📞📱📲📠]\ufe0f?|"
    r"電話(?:番号)?|电话(?:号码)?|手机号?码?|手機|携帯(?:電話)?|联系方式|聯絡電話|热线|熱線|传真|傳真|ファックス|ＴＥＬ|"
    r"전화(?:번호)?|휴대(?:폰|전화)|핸드폰|연락처|팩스|โทร(?:ศัพท์)?|มือถือ|ទូរស័ព្ទ|ဖုန်း"
)
_DOING = (
    r"call(?:ed|ing)?|ring|dial(?:ed|ing)?|text (?:me|us|him|her|them|back|to)|reach|contact|reachable|phone|"
    r"messages? to|code to|sms to|appel\w*|joindre|ll[aá]m\w*|"
    r"rufen sie(?: uns)?(?: an)?|ruft? (?:mich|uns)(?: an)?|\w*dzwo[nń]\w*|aray[ıi]n\w*|"
    r"chiam\w*|ligue|ligar|anrufen|erreich\w*|"
    r"(?:my|your|his|her|our|their|whose|new)(?: \w{2,10})? number|contact number|customer (?:service|care)|"
    r"(?:mi|mon|votre|ton|meu|seu|tu|su|il mio|meine?|ihre?|deine?|mijn|min|mitt|ditt|мой|ваш|mój|twój|ב?מספר שלי) "
    r"(?:n[uú]mero|num[eé]ro|nummer|numer|номер)|"
    r"emergency number|cell phone|cell(?: is)?"
)
_BETWEEN = (
    r"(?:[^\w\n]{0,4}\b(?:no|nr|number|numbers|num|numéro|numero|número|nummer|numer|szám\w*|numar\w*|is|was|are|at|on|"
    r"to|under|me|us|him|her|them|back|now|today|via|the|my|our|this|and|or|a|al|au|le|el|il|o|em|unter|auf|"
    r"op|på|pod|fax|direct|office|home|work|main|day|evening|from|out|free|numarası|numeru|telefonu|you|anytime|est|es|é|è|ist|är|er|це|это)\b)"
)
# Words that indicate a phone number only if a colon follows.
_LABELS = (
    r"contacts?|home|work|office|desk|cell?|portable|signal|telegram|support|emergenc(?:y|ies)|kom|cep|vast|fixe|fisso|"
    r"reservations?|bookings?|enquir(?:y|ies)|inquir(?:y|ies)|sales|(?:direct )?line|kontakte?|"
    r"contactos?|contatti?|contatos?|"
    r"контакт\w*|questions|fijo|hp|đt|main|direct|day|evening|secretary|reception|info|bel|privat|dienst|büro|bureau|casa|trabajo|ufficio"
)
_LABELLED = re.compile(rf"\b(?:{_LABELS})\b[^\w\n:?]{{0,3}}[:：?][^\w\n]{{0,3}}\Z", re.I)
_NAMED = re.compile(
    r"\bcontact(?: (?-i:[A-Z])[\w.'-]{1,20}){1,3}(?: at| on|:)?[ (]{1,2}\Z|"
    rf"(?:\b(?:{_NAMES}|{_DOING})\b\.?|{_ASIAN_NAMES}){_BETWEEN}{{0,5}}[^\w\n]{{0,6}}\Z|"
    rf"\b\w{{0,20}}(?:telefoon|telefon|nummer der hotline|telefonszám)\w{{0,8}}[^\w\n]{{0,6}}\Z",
    re.I,
)
_LETTER = re.compile(
    r"(?:\A|[\n|,;•·/]|[ \t]{2})[ \t]*\(?(?:[TPFMHCWOD]\b[.:)]{0,2}|[tpfm][.:])[ \t]{0,3}\Z"
)  # P: … F: …
_NEAR = re.compile(
    rf"\b(?:{_NAMES})\b|{_ASIAN_NAMES}|\bcall|\bdial|\breach|\bnumber i\b|\btext me|\bring\b|appel|ligue|chiam|звон",
    re.I,
)
_BEHIND = re.compile(
    r"[ \t]{0,2}[(\[-]?[ \t]?(?:(?:tele)?(?:phone|fax)|mobile|cell|office|desk|home|work|gsm|handy|whatsapp)\b(?!:)|"
    r"[ \t]?(?:is )?(?:my|your|his|her|our|their)(?: \w{2,10}){0,2} number\b",
    re.I,
)
_OTHER = re.compile(
    r"(?:\b(?:isbn|issn|doi|arxiv|rfc|isin|ean|upc|gtin|sku|lccn|oclc|pmid|patent|version|serial|order|invoice|account|"
    r"card|bugs?|issue|ticket|licen[cs]e|article|art|ref|reference|case|claim|policy|tracking|booking|confirmation|model|"
    r"part|lot|batch|vat|tax|zip|postal|passport|student|employee|member|customer|client|registration|flight|room|"
    r"catalog(?:ue)?|item|product|key|id|iban|bic|swift|konto|blz|bestell\w*|rechnung\w*|kunden\w*|commande|facture|"
    r"pedido|factura|ssn|security|score|pages?|pp|vol|population)|#)"
    r"(?:[^\w\n]{0,4}\b(?:no|nr|number|numbers|nummer|id|is|was|of|code)\b){0,3}[^\w\n]{0,6}(?:[A-Z]{2}[ -]?)?\Z",
    re.I,
)


def phones(text: str, regions: tuple[str, ...]) -> Iterator[Span]:
    """Yield the spans of phone numbers: international ones, national ones of the regions, and those named by words."""
    last: Span | None = None
    for match in _PHONE.finditer(text):
        for begin, end in _pieces(match):
            number = _EXTENSION.sub("", text[begin:end])
            digits = sum(map(str.isdigit, number))
            if (
                not 7 <= digits <= 15
                or _DATES.match(number)
                or _SUM.match(text, end)
                or text[begin - 1 : begin] in _MONEY
                or _is_part_of_a_word(text, begin, number)
            ):
                continue
            if (
                _is_named(text, begin, end, number)
                or _is_phone(number, regions, text[max(0, begin - _BEFORE) : begin])
                or (last is not None and _is_another(text, last, begin, number))
            ):
                last = begin, end
                # an opening bracket before the number belongs to the sentence, unless it is closed inside the number
                yield begin + (number.startswith(("(", "\uff08")) and not re.search("[)\uff09]", number)), end


def _pieces(match: re.Match[str]) -> Iterator[Span]:
    """Yield the match, or the numbers in it if it is too long for a single number."""
    if sum(map(str.isdigit, match[0])) <= 15:
        yield match.span()
        return
    begin = match.start()
    for gap in _NEXT_NUMBER.finditer(match[0]):
        yield begin, match.start() + gap.start()
        begin = match.start() + gap.end()
    yield begin, match.end()


def _is_part_of_a_word(text: str, begin: int, number: str) -> bool:
    """Whether letters attached to the number make it part of a word: aix-6107-1415-32, but not Tel:0610 714 1532."""
    if number.startswith(_PLUS) or not _JOINED.match(text[max(0, begin - 2) : begin]):
        return False
    line = text[max(0, begin - _BEFORE) : begin].rpartition("\n")[2]
    return not (_NAMED.search(line) or _LABELLED.search(line) or _LETTER.search(line))


def _is_named(text: str, begin: int, end: int, number: str) -> bool:
    """Whether a word says that this is a phone number."""
    before = text[max(0, begin - _BEFORE) : begin]
    line = before.rpartition("\n")[2]
    if line.strip(" \t>*•-(") == "":
        before = before[: len(before) - len(line)].rstrip("\n \t") + line  # the line above may say what it is
        line = before.rpartition("\n")[2]
        if _NAMED.search(line):
            return True
    elif _NAMED.search(line):
        return True
    if (_LABELLED.search(line) or _LETTER.search(before)) and not _DECIMAL.match(number):
        return True
    if len(number) < end - begin or _BEHIND.match(text, end):  # only phone numbers have an extension
        return True
    if _DATE.match(number) or _OTHER.search(line) or _DECIMAL.match(number) or _ARGUMENT.search(line + number[:1]):
        return False
    return bool(_NEAR.search(line))


def _is_another(text: str, last: Span, begin: int, number: str) -> bool:
    """Whether the number follows a phone number closely and is written like it."""
    between = text[last[1] : begin]
    if not 0 < len(between) <= _NEXT_TO or "\n" in between or re.search(r"\d", between) or _OTHER.search(between):
        return False
    if _DATE.match(number) or _DECIMAL.match(number) or _SIGNED.match(number):
        return False
    return abs(sum(map(str.isdigit, text[slice(*last)])) - sum(map(str.isdigit, number))) <= 1


def _is_phone(number: str, regions: tuple[str, ...], before: str) -> bool:
    """Whether this is a phone number although no word says so."""
    if _DATE.match(number) or _OTHER.search(before.rpartition("\n")[2]) or _SIGNED.match(number):
        return False
    if _SINGLE_DIGITS.search(number) or _ADDRESS.match(number):
        return False
    if not number.startswith(_PLUS) and (not _SEPARATED.search(number) or _DECIMAL.match(number)):
        return False
    return _is_valid(number, number.startswith((*_PLUS, "(+", "00")), regions)


@functools.lru_cache(maxsize=10_000)
def _is_valid(number: str, international: bool, regions: tuple[str, ...]) -> bool:
    import phonenumbers

    number = number.translate(_AS_BLANK)
    if international:
        number = number.lstrip("(")
        number = "+" + number[2:] if number.startswith("00") else number
    for region in ("ZZ",) if international else regions:
        try:
            parsed = phonenumbers.parse(number, None if region == "ZZ" else region)
        except phonenumbers.NumberParseException:
            continue
        # a number in international format needs only a length that is possible in its country
        if (phonenumbers.is_possible_number if international else phonenumbers.is_valid_number)(parsed):
            return True
    return False
