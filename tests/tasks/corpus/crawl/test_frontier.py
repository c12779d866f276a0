"""The frontier: order, postponement, and WARC files that do not have the length they should have."""

from __future__ import annotations

import time

from tasks.corpus.crawl.frontier import Frontier, Link


def again(frontier, tmp_path) -> Frontier:
    frontier.close()
    return Frontier(tmp_path / "frontier.sqlite", tmp_path / "warc")


def test_breadth_first_and_a_depth_waits_for_the_one_above(frontier):
    frontier.add([Link("http://h/0", "h", 0), Link("http://h/1", "h", 1)])
    first, _ = frontier.take("h", time.time())
    assert first.url == "http://h/0"
    assert frontier.take("h", time.time()) == (None, None)
    frontier.finish(first, {"reason": "fetched"}, [Link("http://h/1b", "h", 1), Link("http://h/0", "h", 1)])
    taken = {frontier.take("h", time.time())[0].url for _ in range(2)}
    assert taken == {"http://h/1", "http://h/1b"}
    assert frontier.hosts() == []


def test_a_postponed_url_comes_back_when_it_is_time(frontier):
    frontier.add([Link("http://h/", "h", 0)])
    task, _ = frontier.take("h", 100.0)
    frontier.postpone(task, 200.0)
    assert frontier.take("h", 150.0) == (None, 200.0)
    task, _ = frontier.take("h", 201.0)
    assert task.tries == 1


def test_what_was_under_way_is_queued_again_after_a_kill(frontier, tmp_path):
    frontier.add([Link("http://h/", "h", 0)])
    frontier.take("h", time.time())
    opened = again(frontier, tmp_path)
    assert opened.take("h", time.time())[0].url == "http://h/"
    opened.close()


def test_bytes_behind_the_committed_length_are_cut_off(frontier, tmp_path):
    path = tmp_path / "warc" / "crawl-00000.warc.gz"
    path.write_bytes(b"committed" + b"half a record")
    (tmp_path / "warc" / "crawl-00001.warc.gz").write_bytes(b"never committed")
    frontier.add([Link("http://h/", "h", 0)])
    page = {"reason": "fetched", "file": f"warc/{path.name}", "offset": 0, "length": 9, "n_bytes": 9}
    task, _ = frontier.take("h", time.time())
    frontier.finish(task, page, warc=(path.name, 9))
    opened = again(frontier, tmp_path)
    assert path.read_bytes() == b"committed"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert opened.totals() == (1, 9, 1, 1)
    opened.close()


def test_pages_whose_bytes_are_gone_are_fetched_again(frontier, tmp_path):
    path = tmp_path / "warc" / "crawl-00000.warc.gz"
    path.write_bytes(b"0123456789")
    for number, url in enumerate(["http://h/a", "http://h/b"]):
        frontier.add([Link(url, "h", 0)])
        page = {"reason": "fetched", "file": f"warc/{path.name}", "offset": 10 * number, "length": 10, "n_bytes": 1}
        task, _ = frontier.take("h", time.time())
        frontier.finish(task, page, warc=(path.name, 10 * number + 10))
    path.write_bytes(b"0123456789" + b"torn")
    opened = again(frontier, tmp_path)
    assert opened.take("h", time.time())[0].url == "http://h/b"
    assert path.read_bytes() == b"0123456789"
    opened.close()


def test_robots_are_remembered_for_a_day(frontier, monkeypatch):
    frontier.set_robots("http://h", 200, b"rules")
    assert frontier.robots("http://h") == (200, b"rules", b"")
    later = time.time() + 90_000
    monkeypatch.setattr(time, "time", lambda: later)
    assert frontier.robots("http://h") is None
