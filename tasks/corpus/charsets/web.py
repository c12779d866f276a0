"""Bytes to text with the web's tables (WHATWG Encoding), which differ from Python's codecs of the same names.

Python's codecs do the work, and differences from the standard's indexes are corrected afterwards: characters that it
maps to other ones, and bytes that it maps and Python does not. All others were compared with the indexes, byte pair by
byte pair, and are equal, except three signs: Big5's A241 and A242 (more forms of / and \\) and EUC-JP's 8FA2B7 (of ~).
"""

from __future__ import annotations

import codecs
import functools
import re
from collections.abc import Callable

_CODECS = {
    "ibm866": "cp866", "macintosh": "mac_roman", "x-mac-cyrillic": "mac_cyrillic", "iso-8859-8-i": "iso8859_8",
    "windows-874": "cp874", "shift_jis": "cp932", "euc-kr": "cp949", "euc-jp": "euc_jp", "big5": "big5hkscs",
    # GBK is decoded as GB18030, of which it is a subset
    "gbk": "gb18030", "utf-16le": "utf_16_le", "utf-16be": "utf_16_be", "hz-gb-2312": "hz",
} | {f"windows-125{digit}": f"cp125{digit}" for digit in range(9)}  # fmt: skip
_GB18030 = [
    *zip(
        "\ue5e5\ue78d\ue78e\ue78f\ue790\ue791\ue792\ue793\ue794\ue795\ue796\ue7c7",
        "\u3000︐︒︑︓︔︕︖︗︘︙ḿ",
        strict=True,
    ),
    *zip("\ue81e\ue826\ue82b\ue82c\ue832\ue843\ue854\ue864", "龴龵龶龷龸龹龺龻", strict=True),
]
_OTHER = {
    "koi8-u": [("╝", "ў"), ("╬", "Ў")],
    "gbk": _GB18030,
    "gb18030": _GB18030,
    "euc-jp": [*zip("〜‖−¢£¬", "～∥－￠￡￢", strict=True)],
    "big5": [*zip("•､‾∼♁☉¥¢£", "‧﹑¯～⊕⊙￥￠￡", strict=True)],
    "shift_jis": [(char, "\ufffd") for char in "\uf8f0\uf8f1\uf8f2\uf8f3"],
}
# Big5 pairs that Python's big5hkscs lacks: HKSCS of 2008 (877A to 87DF), compatibility characters, symbols.
_BIG5_RANGES = {
    0x877A: "㡵𡵓𣚞𦀡㻬",
    0x87A1: "𥣞㫵竼龗𤅡𨤍𣇪𠪊𣉞䌊蒄龖鐯䤰蘓墖靊鈘秐稲晠権袝瑌篅枂稬剏遆㓦珄𥶹瓆鿇垳䤯呌䄱𣚎堘穲𧭥讏䚮𦺈䆁",
    0x87CF: "𥶙箮𢒼鿈𢓁𢓉𢓌鿉蔄𣖻䂴鿊䓡𪷿拁灮鿋", 0xA3C0: "␀␁␂␃␄␅␆␇␈␉␊␋␌␍␎␏␐␑␒␓␔␕␖␗␘␙␚␛␜␝␞␟␡€",
}  # fmt: skip
_BIG5_PAIRS = (
    "9244蔃 9447浧 9644靝 8e69箸 8e6f簆 8e7e糎 8eab緒 8eb4縝 8ecd者 8ed0耨 8f57菁 8f69蒨 8f6e萏 8fcb覦 8fcc覩 8ffe起 "
    "906d都 907a銹 90dc靜 90f1響 91bf鼖 92af兙 92b0兛 92b1兝 92b2兞 92c8鍮 92d1瑹 94ca禛 95d9邗 96ed瀞 96fc嬨 9b76爁 "
    "9b78矗 9b7b纇 9bc6駖 9bde釔 9bec惞 9bf6澶 9c42輶 9c53侻 9c62營 9c68鄄 9c6b鷰 9c77菏 9cbc尐 9cbd秣 9cd0婧 9d57輋 "
    "9d5a筑 9dc4拐 9ea9恢 9eef痹 9efd汊 9f60鬮 9f66鼗 9fcb僭 9fd8弌 a063蠏 a077拎 a0d5瑨 a0df煢 a0e4牐 c6cf廴 c6d3无 "
    "c6d5癶 c6d7隶 c6de〃 c6df仝 fa5f倩 fa66偽 fabd包 fac5卄 fad5卿 fb48嘅 fbb8婷 fbf3幵 fbf9廐 fc4f彘 fc6c悤 fcb9撐 "
    "fce2晴 fcf1杞 fdb7沜 fdb8渝 fdbb港 fdf1煮 fe52猪 fe6f瑜 feaa瓩 fedd砉"
)
_LEADS = dict.fromkeys(["big5", "euc-kr", "gbk", "gb18030"], bytes(range(0x81, 0xFF)))  # first bytes of pairs
_LEADS |= {"shift_jis": bytes([*range(0x81, 0xA0), *range(0xE0, 0xFD)]), "euc-jp": bytes([0x8E, *range(0xA1, 0xFF)])}
_MAINFRAMES = frozenset({"cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"})  # byte 85 ends their lines
_ESCAPE = re.compile(rb"\x1b(\([BJI]|\$[@B])")  # of ISO-2022-JP: ASCII, Roman, katakana, JIS X 0208 (two of them)
_ROMAN = {0x5C: "¥", 0x7E: "‾"}
_KATAKANA = {byte: chr(0xFF61 - 0x21 + byte) for byte in range(0x21, 0x60)}
_TO_EUC = bytes(byte | 0x80 if 0x20 < byte < 0x7F else byte for byte in range(256))


def codec_of(name: str) -> str:
    """Return Python's codec for an encoding, to encode text with."""
    return _CODECS.get(name, name)


def decode(data: bytes, name: str) -> str:
    """Return the text of bytes in an encoding (a name of tasks.corpus.charsets.labels); U+FFFD for invalid bytes."""
    if name == "x-user-defined":
        return data.decode("latin-1").translate({byte: 0xF700 + byte for byte in range(0x80, 0x100)})
    if name == "iso-2022-jp":
        return _iso_2022_jp(data)
    text = _put_right(data.decode(_CODECS.get(name, name), _errors(name)), name)
    return text.replace("\x85", "\n") if name in _MAINFRAMES else text


def decode_strictly(data: bytes, name: str) -> str | None:
    """Return the text, or None if the bytes cannot be in this encoding.

    The web decodes unassigned bytes (81 in windows-1252) to control characters; these indicate another encoding.
    """
    if name.startswith("windows-"):
        try:
            return data.decode(_CODECS[name])
        except UnicodeDecodeError:
            return None
    text = decode(data, name)
    return None if "\ufffd" in text and not _means_it(data, name) else text


def _means_it(data: bytes, name: str) -> bool:
    """Whether the data itself contains U+FFFD."""
    try:
        data.decode(_CODECS.get(name, name))
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def decoder(name: str) -> Callable[[bytes], str]:
    """Return a function that decodes one piece of a stream after the other; b"" ends the stream."""
    codec = {"iso-2022-jp": "iso2022_jp_ext", "x-user-defined": "latin-1"}.get(name, _CODECS.get(name, name))
    steps = codecs.getincrementaldecoder(codec)(_errors(name))
    return lambda data: _put_right(steps.decode(data, final=not data), name)


def _put_right(text: str, name: str) -> str:
    for char, right in _OTHER.get(name, ()):
        text = text.replace(char, right)  # if nothing has to be replaced, this takes a tenth of str.translate's time
    return text


def _iso_2022_jp(data: bytes) -> str:
    start, *parts = _ESCAPE.split(data)
    out = [start.decode("ascii", "replace")]
    for escape, part in zip(parts[::2], parts[1::2], strict=True):
        if escape.startswith(b"$"):
            out.append(decode(part.translate(_TO_EUC), "euc-jp"))
        else:
            text = part.decode("ascii", "replace")
            out.append(text.translate({b"(J": _ROMAN, b"(I": _KATAKANA}.get(escape, {})))
    return "".join(out)


@functools.cache
def _errors(name: str) -> str:
    """Register and return the error handler for bytes for which Python's codec of an encoding has no character."""
    mapped: Callable[[bytes], tuple[str, int] | None]
    leads = frozenset(_LEADS.get(name, b""))
    if name.startswith("windows-"):
        mapped = _c1_or_gap(name)
    elif name == "euc-jp":
        mapped = _nec_row
    elif name == "big5":
        table = {first + place: char for first, chars in _BIG5_RANGES.items() for place, char in enumerate(chars)}
        table |= {int(pair[:4], 16): pair[4:] for pair in _BIG5_PAIRS.split()}
        mapped = functools.partial(_pair, table)
    elif name in ("gbk", "gb18030"):
        mapped = _euro
    elif leads:
        mapped = _nothing
    else:
        return "replace"

    def handle(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        found = mapped(error.object[error.start : error.start + 2])
        if found is not None:
            return found[0], error.start + found[1]
        # an ASCII byte after half a pair is text again; any other byte belongs to the invalid pair
        lead, following = error.object[error.start], error.object[error.start + 1 : error.start + 2]
        return "\ufffd", error.start + (2 if lead in leads and following >= b"\x80" else 1)

    codecs.register_error(f"textmill.{name}", handle)
    return f"textmill.{name}"


def _c1_or_gap(name: str) -> Callable[[bytes], tuple[str, int] | None]:
    def mapped(data: bytes) -> tuple[str, int] | None:
        if data[0] < 0xA0:
            return chr(data[0]), 1
        return ("\u05ba", 1) if name == "windows-1255" and data[0] == 0xCA else None

    return mapped


def _pair(table: dict[int, str], data: bytes) -> tuple[str, int] | None:
    found = table.get(int.from_bytes(data, "big"))
    return None if found is None else (found, 2)


def _nothing(data: bytes) -> None:
    return None


def _euro(data: bytes) -> tuple[str, int] | None:
    return ("€", 1) if data[0] == 0x80 else None


def _nec_row(data: bytes) -> tuple[str, int] | None:
    """Decode rows of JIS X 0208 that only NEC and IBM have: Shift JIS has them too, and Python's cp932 reads them."""
    if len(data) < 2 or not (0xA1 <= data[0] <= 0xFE and 0xA1 <= data[1] <= 0xFE):
        return None
    row, cell = data[0] - 0xA0, data[1] - 0xA0
    lead = (row - 1) // 2 + (0x81 if row < 63 else 0xC1)
    trail = cell + 0x9E if row % 2 == 0 else cell + 0x3F + (cell >= 64)
    try:
        return bytes([lead, trail]).decode("cp932"), 2
    except UnicodeDecodeError:
        return None
