"""Detection of the encoding of bytes that declare none, or one that cannot be right."""

from __future__ import annotations

import re

from tasks.corpus.charsets.labels import name_of
from tasks.corpus.charsets.web import decode, decode_strictly

_SAMPLE = 8_000  # bytes the detector sees
# Below these confidences its answer says nothing: of 2,000 texts in 60 encodings, no text that was read correctly was
# below, and noise is. From few characters less can be known, so the limit for them is lower.
_SURE, _SURE_OF_FEW = 0.045, 0.02
_FEW = 15
# Hardly any other text looks like two-byte text by chance: if it does, the one-byte encodings, three times the work,
# are not tried.
_OF_PAIRS, _SURE_OF_PAIRS = frozenset({"big5", "euc-jp", "euc-kr", "gb18030", "gbk", "shift_jis"}), 0.2
# With fewer than _HARDLY_ANY characters beyond ASCII, the detector is as likely to choose an encoding of DOS or of old
# Macs as one of the web; the web's is taken unless it is _ODDS times less likely.
_HARDLY_ANY, _ODDS = 6, 4.0
_ASCII, _BELOW_BLANK = bytes(range(128)), bytes(range(32))
_PLAIN = b"\t\n\f\r" + bytes(range(0x20, 0x7F))
_EAST_ASIAN = re.compile("[\t\n\r -~\u2010-\u203e\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff9f]")
# Letters of scripts whose words contain no ASCII letters, and box-drawing characters: next to ASCII letters, they mean
# that Latin-1 was read as another encoding.
_FOREIGN = "\u0370-\u052f\u0590-\u06ff\u0e00-\u0e7f\u2500-\u259f"
_ANY_FOREIGN = re.compile(f"[{_FOREIGN}]")
_IN_LATIN_WORD = re.compile(f"[A-Za-z][{_FOREIGN}]|[{_FOREIGN}](?=[A-Za-z])")
# Polish letters of ISO-8859-2 (Ś Ź ą ś), which are symbols in windows-1250; that has letters (Š to ź) at 80 to 9F.
_POLISH, _OF_WINDOWS = (
    re.compile(rb"[A-Za-z][\xa6\xac\xb1\xb6]|[\xa6\xac\xb1\xb6][A-Za-z]"),
    re.compile(rb"[\x80-\x9f]"),
)
_CONTROLS = re.compile("[\x80-\x84\x86-\x9f]")
_BEYOND, _BETWEEN = re.compile(rb"[\x80-\xff]"), re.compile(rb"[<>\n]")
_ISO_2022 = re.compile(rb"\x1b\$(?:([@B])|\)C)")
_HZ = re.compile(rb"~\{(?:[\x21-\x77][\x21-\x7e]){2,500}+~\}")


def marked(body: bytes) -> str | None:
    """Return the encoding of a text if it is recognisable and not an extension of ASCII, else None.

    Seven-bit encodings would pass for UTF-8; the escape sequences of ISO-2022 and HZ are in no other text. In UTF-16
    every other byte of letters is small, as alphabets are in Unicode's first blocks; in UTF-32 half of all bytes are 0.
    """
    head = body[:2000]
    if (escape := _ISO_2022.search(head)) is not None:
        return "iso-2022-jp" if escape[1] else "iso2022_kr"
    if b"~{" in head and body.isascii() and _HZ.search(body, 0, 100_000):
        return "hz-gb-2312" if decode_strictly(body, "hz-gb-2312") is not None else None
    if not head.translate(None, _PLAIN):  # plain ASCII; in lines of one letter, half of the bytes would be line ends
        return None
    even, odd = head[::2], head[1::2]
    small_even, small_odd = _share_below_blank(even), _share_below_blank(odd)
    # short rows of ASCII have a line end at every other byte too, but no 0, as each blank or line end of UTF-16 has
    if max(small_even, small_odd) < 0.5 or len(head) < 4 or 0 not in head:
        return None
    first, second, third, fourth = (head[place::4].count(0) for place in range(4))
    quarter = len(head) // 4
    if first >= quarter and fourth < quarter / 2 and second > quarter * 0.9:
        return "utf-32-be"
    if fourth >= quarter and first < quarter / 2 and third > quarter * 0.9:
        return "utf-32-le"
    if min(small_even, small_odd) > 0.3:  # small bytes everywhere: not text
        return None
    return "utf-16le" if small_odd > small_even else "utf-16be"


def _share_below_blank(data: bytes) -> float:
    return 1 - len(data.translate(None, _BELOW_BLANK)) / max(1, len(data))


def is_utf8_with_faults(body: bytes) -> bool:
    """Whether half or more of the non-ASCII characters are valid UTF-8, as in other encodings hardly ever by chance."""
    text = body.decode("utf-8", "replace")
    faults = text.count("\ufffd")
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    return beyond >= 2 * faults


def detect(body: bytes) -> str | None:
    """Return the name of the most likely encoding of the bytes, or None if none is likely enough."""
    import chardet

    sample = _sample(body)
    beyond = len(sample.translate(None, _ASCII))
    limit = _SURE_OF_FEW if beyond < _FEW else _SURE
    of_web = chardet.detect(sample, compat_names=False, encoding_era=chardet.EncodingEra.MODERN_WEB)
    name = name_of(of_web["encoding"] or "")
    if name in _OF_PAIRS and of_web["confidence"] >= _SURE_OF_PAIRS:
        return name
    best = chardet.detect(sample, compat_names=False)
    if best["encoding"] is None:
        return _utf16_of_east_asia(body[:_SAMPLE])
    odds = _ODDS if beyond < _HARDLY_ANY else 1.0
    if of_web["encoding"] and of_web["confidence"] * odds >= best["confidence"]:
        best = of_web
    name = name_of(best["encoding"] or "") if best["confidence"] >= limit else None
    if name == "windows-1250" and _POLISH.search(sample) and not _OF_WINDOWS.search(sample):
        return "iso-8859-2"
    return _of_whole_words(sample) if name is not None and _is_mixed(sample, name) else name


def _is_mixed(sample: bytes, name: str) -> bool:
    """Whether the text has letters of another script in Latin words ("perchй" is perché), or control characters."""
    text = decode(sample, name)
    if name.startswith("iso-8859") and _CONTROLS.search(text):
        return True  # at these bytes windows-125x has letters and quotation marks
    foreign = len(_ANY_FOREIGN.findall(text))
    return foreign > 0 and 2 * len(_IN_LATIN_WORD.findall(text)) >= foreign


def _of_whole_words(sample: bytes) -> str | None:
    """Return the likeliest encoding of the web in which each word of the sample is in one script."""
    import chardet

    answers = chardet.detect_all(
        sample, ignore_threshold=True, compat_names=False, encoding_era=chardet.EncodingEra.MODERN_WEB
    )
    for answer in answers:
        name = name_of(answer["encoding"] or "")
        if name is not None and decode_strictly(sample, name) is not None and not _is_mixed(sample, name):
            return name
    return None


def _sample(body: bytes) -> bytes:
    """The non-ASCII texts between tags, as far as they fit: markup tells nothing, and each byte costs time."""
    if 0 in body[:2000]:
        return body[:_SAMPLE]
    pieces: list[bytes] = []
    position = size = 0
    while size < _SAMPLE and (high := _BEYOND.search(body, position)) is not None:
        before = body[max(position, high.start() - 200) : high.start()]
        end = _BETWEEN.search(body, high.start(), high.start() + _SAMPLE)
        position = end.start() if end else high.start() + _SAMPLE
        pieces.append(_BETWEEN.split(before)[-1] + body[high.start() : position])
        size += len(pieces[-1])
    return b"\n".join(pieces)[:_SAMPLE]


def _utf16_of_east_asia(sample: bytes) -> str | None:
    """Detect Chinese, Japanese and Korean in UTF-16, where both bytes are large, if no other encoding was found."""
    for name in ("utf-16le", "utf-16be"):
        text = decode_strictly(sample[: len(sample) // 2 * 2], name)
        if text and len(text) >= 10 and len(_EAST_ASIAN.sub("", text)) * 10 <= len(text):
            return name
    return None
