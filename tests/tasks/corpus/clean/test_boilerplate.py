"""Lines that a site repeats: what counts as repeated, and that shards do not matter."""

from __future__ import annotations

import pyarrow.parquet as pq

from tasks.corpus.clean.boilerplate import TABLE, Boilerplate, LineCounts, find_repeated, host_of
from tasks.corpus.clean.filter_config import BoilerplateConfig

MENU = "Home | Products | About us"
CONFIG = BoilerplateConfig(max_page_share=0.3, min_pages=5)


def table(tmp_path, pages, shards):
    work, folder = tmp_path / f"work [x]?*' {shards}", tmp_path / f"out{shards}"  # a name like a pattern
    for number in range(shards):
        counts = LineCounts()
        for url, text in pages[number::shards]:
            counts.add(url, text)
        counts.write(work, number)
    find_repeated(work, folder, CONFIG)
    return folder


def pages():
    found = [(f"http://shop.example/{n}", f"{MENU}\nText number {n}.\n\n{MENU}") for n in range(20)]
    found += [(f"http://blog.example/{n}", f"{MENU}\nPost {n}." if n < 4 else f"Post {n}.") for n in range(20)]
    return found + [(None, MENU)] * 20


def test_lines_on_many_pages_of_a_host_go_and_others_stay(tmp_path):
    folder = table(tmp_path, pages(), 3)
    assert pq.read_table(folder / TABLE).to_pylist()[0] | {"line": 0} == {
        "host": "shop.example", "line": 0, "pages": 20, "text": MENU,
    }  # fmt: skip
    boilerplate = Boilerplate(folder)
    text = f"{MENU}\n\nText.\n\n  {MENU}  \n\nMore."
    assert boilerplate.strip(text, "http://shop.example/1") == ("Text.\n\nMore.", 2)
    for url in ("http://blog.example/1", "http://other.example/", None, "http://[broken"):
        assert boilerplate.strip(text, url) == (text, 0)


def test_shards_do_not_matter(tmp_path):
    one, many = (table(tmp_path, pages(), shards) / TABLE for shards in (1, 7))
    assert one.read_bytes() == many.read_bytes()


def test_without_a_table_and_without_hosts_nothing_goes(tmp_path):
    assert Boilerplate(tmp_path).strip("a\nb", "http://h/") == ("a\nb", 0)
    folder = table(tmp_path, [(None, MENU)] * 9, 1)
    assert pq.read_table(folder / TABLE).num_rows == 0
    assert host_of("http://H.example:80/x") == "h.example"
