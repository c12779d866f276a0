"""What a source says: one hash for equal code, each import once, and the reason why it shapes no result."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_lake.store.ast_hashes import AstHashes
from data_lake.store.python_source import Import, Source, read_source


def said(text: str | bytes, folder: Path) -> Source:
    path = folder / "source.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_source(str(path), AstHashes(folder / "none" / "code.json"))[1]


def test_comments_docstrings_and_layout_do_not_count_but_code_does(tmp_path: Path) -> None:
    plain = "def f(x):\n    return x + 1\n"
    dressed = '"""Module."""\n# why\ndef f(x):\n    """Doc."""\n\n    return (x\n            + 1)  # sum\n'
    assert said(plain, tmp_path).sha256 == said(dressed, tmp_path).sha256
    assert said(plain, tmp_path).sha256 != said(plain.replace("1", "2"), tmp_path).sha256
    attribute = 'LIMIT = 3\n"""what it limits"""\nif LIMIT:\n    "nothing"\n    LIMIT = 4\n'
    assert said(attribute, tmp_path).sha256 == said("LIMIT = 3\nif LIMIT:\n    LIMIT = 4\n", tmp_path).sha256
    assert said("x = 'a'\n", tmp_path).sha256 != said("x = 'b'\n", tmp_path).sha256


def test_all_imports_are_found_but_those_of_type_checkers(tmp_path: Path) -> None:
    text = """
import a.b, c as d
from e.f import g, h as i
from . import j
from ..k.l import *
import typing as t
if t.TYPE_CHECKING:
    import m
else:
    import n
def f():
    try:
        with open("x"):
            import o
    except OSError:
        from p import q
    if TYPE_CHECKING and True:
        import r
class C:
    async def g(self):
        match self:
            case 1:
                import s.s
"""
    assert set(said(text, tmp_path).imports) == {
        *(Import(name) for name in ("a.b", "c", "typing", "n", "o", "r", "s.s")),
        *(Import("e.f", "g"), Import("e.f", "h"), Import("", "j", 1), Import("k.l", "*", 2), Import("p", "q")),
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SHAPES_NO_RESULT = 'it draws'\n", "it draws"),
        ("import os\nSHAPES_NO_RESULT: str = ('it '\n    'draws')\n", "it draws"),
        ("# SHAPES_NO_RESULT = 'it draws'\n", ""),
        ("def f():\n    SHAPES_NO_RESULT = 'it draws'\n", ""),
        ("SHAPES_NO_RESULT = True\n", ""),
        ("SHAPES_NO_RESULT = f'{1}'\n", ""),
    ],
)
def test_only_a_text_of_the_module_is_a_reason(tmp_path: Path, text: str, reason: str) -> None:
    assert said(text, tmp_path).reason == reason


def test_a_module_that_only_gathers_names_is_told_from_one_that_does_something(tmp_path: Path) -> None:
    gathering = '"""Doc."""\nfrom __future__ import annotations\nfrom a import b\nimport c\n__all__ = ["b"]\n'
    assert said(gathering, tmp_path).only_gathers
    assert said("", tmp_path).only_gathers
    for more in ("c.set()\n", "x = 1\n", "if c:\n    import d\n", "def f(): ...\n"):
        assert not said(gathering + more, tmp_path).only_gathers


def test_a_source_in_another_encoding_or_with_a_mark_is_read(tmp_path: Path) -> None:
    plain = said("x = 'é'\n", tmp_path).sha256
    assert said("# coding: latin-1\nx = 'é'\n".encode("latin-1"), tmp_path).sha256 == plain
    assert said(b"\xef\xbb\xbf" + "x = 'é'\n".encode(), tmp_path).sha256 == plain


def test_no_python_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SyntaxError) as caught:
        said("x = = 1\n", tmp_path)
    assert caught.value.filename == str(tmp_path / "source.py")


def test_threads_that_parse_at_once_do_not_confuse_each_other(tmp_path: Path) -> None:
    paths = []
    for i in range(8):
        paths.append(tmp_path / f"{i}.py")
        paths[-1].write_text(("x = " + "(1, " * 60 + "2" + ")" * 60 + "\n") * (5 + i))

    def read(path: Path) -> Source:
        path.touch()  # so that it is read again
        return read_source(str(path), AstHashes(tmp_path / "none" / "code.json"))[1]

    expected = [read(path) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            assert list(pool.map(read, paths)) == expected
