"""The names of encodings: the web's labels (WHATWG Encoding § 4.2), and names that only Python knows."""

from __future__ import annotations

import codecs
import functools
import re

# The standard's names and their further labels. `replacement`, which shows nothing of a page, is left out: those of its
# encodings that Python can decode are read as text (hz-gb-2312, iso-2022-kr).
_LABELS = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf8 x-unicode20utf8",
    "utf-16be": "unicodefffe",
    "utf-16le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16",
    "ibm866": "866 cp866 csibm866",
    "iso-8859-2": "csisolatin2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso-8859-3": "csisolatin3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso-8859-4": "csisolatin4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso-8859-5": "csisolatincyrillic cyrillic iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    "iso-8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6-e iso-8859-6-i "
    "iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso-8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-ir-126 iso8859-7 iso88597 iso_8859-7 "
    "iso_8859-7:1987 sun_eu_greek",
    "iso-8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 "
    "iso_8859-8:1988 visual",
    "iso-8859-8-i": "csiso88598i logical",
    "iso-8859-10": "csisolatin6 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso-8859-13": "iso8859-13 iso885913",
    "iso-8859-14": "iso8859-14 iso885914",
    "iso-8859-15": "csisolatin9 iso8859-15 iso885915 iso_8859-15 l9",
    "iso-8859-16": "",
    "koi8-r": "cskoi8r koi koi8 koi8_r",
    "koi8-u": "koi8-ru",
    "macintosh": "csmacintosh mac x-mac-roman",
    "windows-874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620",
    "windows-1250": "cp1250 x-cp1250",
    "windows-1251": "cp1251 x-cp1251",
    "windows-1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 "
    "iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii x-cp1252",
    "windows-1253": "cp1253 x-cp1253",
    "windows-1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 "
    "latin5 x-cp1254",
    "windows-1255": "cp1255 x-cp1255",
    "windows-1256": "cp1256 x-cp1256",
    "windows-1257": "cp1257 x-cp1257",
    "windows-1258": "cp1258 x-cp1258",
    "x-mac-cyrillic": "x-mac-ukrainian",
    "gbk": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 iso-ir-58 x-gbk",
    "gb18030": "",
    "big5": "big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc-jp": "cseucpkdfmtjapanese x-euc-jp",
    "iso-2022-jp": "csiso2022jp",
    "shift_jis": "csshiftjis ms932 ms_kanji shift-jis sjis windows-31j x-sjis",
    "euc-kr": "cseuckr csksc56011987 iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949",
    "x-user-defined": "",
}
_WEB = {label: name for name, labels in _LABELS.items() for label in [name, *labels.split()]}
# Names of Python's codecs (and a detector's answers) for the same encodings, if they are not labels.
_PYTHON = {
    "utf_8_sig": "utf-8", "cp932": "shift_jis", "shift_jis_2004": "shift_jis", "shift_jisx0213": "shift_jis",
    "cp936": "gbk", "cp949": "euc-kr", "cp950": "big5", "big5hkscs": "big5", "cp874": "windows-874",
    "euc_jis_2004": "euc-jp", "euc_jisx0213": "euc-jp", "mac_roman": "macintosh", "mac_cyrillic": "x-mac-cyrillic",
    "latin_1": "windows-1252", "hz": "hz-gb-2312", "x_maccyrillic": "x-mac-cyrillic", "tis_620": "windows-874",
}  # fmt: skip
# Python codecs that turn text into other text or program source, or that depend on the machine.
_NO_TEXT = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "utf_7"}
_SEPARATORS = re.compile(r"[\s,;|]+")


@functools.lru_cache(maxsize=1000)
def name_of(label: str) -> str | None:
    """Return the web's name for a label; else the name of Python's codec; None if no text encoding has this label."""
    label = label.strip().lower()
    if label in _WEB:
        return _WEB[label]
    try:
        codec = codecs.lookup(label)
    except (LookupError, ValueError, UnicodeError):  # a zero byte, half a surrogate pair
        return _PYTHON.get(label.replace("-", "_"))
    python = codec.name.replace("-", "_")
    if python in _NO_TEXT or not codec._is_text_encoding:
        return None
    return _WEB.get(codec.name) or _WEB.get(codec.name.replace("_", "-")) or _PYTHON.get(python) or codec.name


def names_in(declaration: str | None) -> list[str]:
    """Return the encodings that a declaration names, in order: some pages declare a list (`gb2312 gbk utf-8`).

    UTF-8 is put first: nothing else is UTF-8 by chance, while short texts in UTF-8 may be valid in other encodings.
    """
    labels = _SEPARATORS.split((declaration or "").strip())
    names = dict.fromkeys(name for label in labels if label and (name := name_of(label)))
    return sorted(names, key=lambda name: name != "utf-8")
