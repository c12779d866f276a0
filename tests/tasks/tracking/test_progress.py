"""Progress of long work: lines now and then where there is no terminal, a bar on one, an artifact in Prefect."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from tasks.tracking import progress
from tasks.tracking.progress import StageProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_a_line_stands_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = StageProgress("crawl", terminal=True, prefect=False)
    shown.update(1, 1000, "pages", "")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    shown.update(1234, 5000, "pages", "h\x1b.test")
    shown.update(1235, None, "pages", "")
    shown.close(complete=True)
    assert capsys.readouterr().err == "  crawl: 1,234 of 5,000 pages h·.test\n  crawl: 1,235 pages\n"


def test_on_a_terminal_it_is_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    shown = StageProgress("crawl", terminal=True, prefect=False)
    shown.update(1234, 5000, "pages", "[red]h.test")
    shown._bar.refresh()
    assert "1,234/5,000 pages" in screen.getvalue()
    assert "[red]h.test" in screen.getvalue()
    shown.close(complete=False)
    assert shown._bar is None


def test_in_prefect_it_is_one_artifact_that_ends_at_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    import prefect.artifacts

    sent: list[tuple[str, Any, float, str]] = []

    def create(progress: float, key: str, description: str) -> str:
        sent.append(("create", key, progress, description))
        return "id"

    def update(artifact: str, progress: float, description: str) -> None:
        sent.append(("update", artifact, progress, description))

    monkeypatch.setattr(prefect.artifacts, "create_progress_artifact", create)
    monkeypatch.setattr(prefect.artifacts, "update_progress_artifact", update)
    monkeypatch.setattr(progress, "PREFECT_SECONDS", 0.0)
    shown = StageProgress("crawl", terminal=False, prefect=True)
    shown.update(10, None, "pages", "")  # of an unknown total nothing can be said
    for done in (10, 10, 20, 90):
        shown.update(done, 40, "pages", "h.test")
    shown.close(complete=True)
    assert sent == [
        ("create", "crawl-progress", 25.0, "10 of 40 pages h.test"),
        ("update", "id", 50.0, "20 of 40 pages h.test"),
        ("update", "id", 100.0, "90 of 40 pages h.test"),
    ]


def test_how_long_the_rest_takes_is_said_once_it_is_sure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the shards were done by an earlier attempt, which says nothing about how fast this one is."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    shown = StageProgress("clean", terminal=True, prefect=False)
    for seconds, done, total in ((0, 50, 100), (4, 52, 100), (16, 60, 100), (40, 100, 100), (0, 0, 10), (30, 1, 10)):
        now[0] += seconds
        shown.update(done, total, "shards", "a")
    assert capsys.readouterr().err.splitlines() == [
        "  clean: 50 of 100 shards a",
        "  clean: 52 of 100 shards a",
        "  clean: 60 of 100 shards a, 1 min 20 s left",
        "  clean: 100 of 100 shards a",
        "  clean: 0 of 10 shards a",  # the next piece of work
        "  clean: 1 of 10 shards a, 4 min 30 s left",
    ]


def test_a_server_that_cannot_be_reached_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import prefect.artifacts

    def refuse(**_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(prefect.artifacts, "create_progress_artifact", refuse)
    shown = StageProgress("crawl", terminal=False, prefect=True)
    shown.update(10, 40, "pages", "")
    shown.close(complete=True)
