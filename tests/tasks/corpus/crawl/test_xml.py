"""XML from the web made parsable: encodings, bytes and references that are no characters."""

from __future__ import annotations

import pytest
from lxml import etree

from tasks.corpus.crawl.feeds import parse_feed
from tasks.corpus.crawl.rsl import parse_rsl, said_in_feed
from tasks.corpus.crawl.xml import LIMITS, local_name, parsable

NO = "<license><prohibits>all</prohibits></license>"
HALVES = ("&#xD800;", "&#xdfff;", "&#55296;", "&#57343;", "&#x0000DABC;", "&#xDE00;&#xD83D;", "&#55357;")
BYTES = ("\ud800", "\udc80", "\udce4z", "\udcc3", "\udcf0\udc9f", "\0")
FAULTY = (*HALVES, *BYTES, "&#0;", "&#31;", "&#x110000;", "&#xFFFF;", f"&#{'9' * 50};")


def as_bytes(text: str) -> bytes:
    """A text in UTF-8 whose lone surrogates are the bytes of one, or a byte that is no UTF-8."""
    return b"".join(
        char.encode("utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass") for char in text
    )


@pytest.mark.parametrize("faulty", FAULTY, ids=ascii)
@pytest.mark.parametrize("padding", [0, 4488])
def test_a_licence_with_what_is_no_character_is_read(faulty: str, padding: int) -> None:
    faulty = "9" * padding + faulty + "z"
    for text in (
        f"<rsl xmlns:x='{faulty}'><content url='/'>{NO}</content><x:a/></rsl>",
        f"<a><b xmlns='{faulty}'><content/></b><rsl><content url='/' other='{faulty}'>{NO}{faulty}</content></rsl></a>",
        f"<rsl><a t='{faulty}'>{faulty}</a><content url='/'>{NO}</content></rsl>",
        f"<rsl><!-- {faulty} --><?pi {faulty}?><content url='/'>{NO}</content></rsl>",
    ):
        assert [(terms.url, terms.train) for terms in parse_rsl(as_bytes(text))] == [("/", "deny")], text
    for text in (f"<rsl xmlns='{faulty}'><content>{NO}", f"<rsl><content url='{faulty}'><license><prohibits>{faulty}"):
        for terms in parse_rsl(as_bytes(text)):
            terms.url.encode()


@pytest.mark.parametrize("faulty", FAULTY, ids=ascii)
def test_a_feed_with_what_is_no_character_is_read_to_its_end(faulty: str) -> None:
    items = f"<item><title a='{faulty}'>One {faulty}</title><link>http://a.test/1</link></item>"
    items += f"<item xmlns:x='{faulty}z'><x:guid>{faulty}</x:guid><link>http://a.test/2</link></item>"
    body = as_bytes(f"<rss><channel><title>{faulty}</title>{items}</channel></rss>")
    assert [entry.url for entry in parse_feed(body, "http://a.test/")] == ["http://a.test/1", "http://a.test/2"]
    rsl = f"<content xmlns='https://rslstandard.org/rsl' a='{faulty}'>{NO}</content>"
    body = body.replace(b"</item>", as_bytes(rsl) + b"</item>")
    assert [(page, said.train) for page, said in said_in_feed(body, "http://a.test/")] == [
        ("http://a.test/1", "deny"), ("http://a.test/2", "deny"),
    ]  # fmt: skip


def test_halves_that_belong_together_are_one_character() -> None:
    body = b"<a b='&#xD83D;&#xDE00;'>&#55357;&#56832; &#xD83D; &#38;#xD800;<![CDATA[&#55357;]]>"
    body += b" &#53761;&#58000;&#60;&#x3e;</a>"
    root = etree.fromstring(parsable(body), etree.XMLParser(**LIMITS))
    assert root.get("b") == "\U0001f600"
    assert root.text == "\U0001f600 \ufffd &#xD800;&#55357; \ud201\ue290<>"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-16-le", "windows-1251", "koi8-r", "iso2022_jp", "gb18030"]
)
def test_a_declared_encoding_is_read_once(encoding: str) -> None:
    word = "日本" if encoding == "iso2022_jp" else "мука"
    body = f"<?xml version='1.0' encoding='{encoding}'?><a b='{word}'><c>{word}&#xD83D;&#xDE00;</c></a>".encode(
        encoding
    )
    for ready in (parsable(body), parsable(parsable(body))):
        root = etree.fromstring(ready, etree.XMLParser(**LIMITS))
        assert (root.get("b"), root[0].text, local_name(root[0])) == (word, word + "\U0001f600", "c")


def test_bytes_without_a_declaration() -> None:
    assert parsable("<a>Café</a>".encode("latin-1")) == "<a>Café</a>".encode()
    assert parsable("<a>Café, naïve, Zürich: ".encode() + b"\xed\xa0\x80</a>").decode().startswith("<a>Café, naïve, Zü")
