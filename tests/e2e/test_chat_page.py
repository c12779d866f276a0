"""The chat page in headless Chromium: types, streams, stops, reloads, votes, takes no harm from what a model writes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.serving.conftest import Living, artifacts, pages, server

__all__ = ["artifacts", "pages", "server"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(CHROMIUM is None, reason="There is no Chromium on this machine.")]
playwright = pytest.importorskip("playwright.sync_api", reason="`make test-all` installs playwright.")
HOSTILE = "<img src=x onerror=window.harmed=1><script>window.harmed=1</script> **bold** `code` [x](javascript:harm)"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, server: Living) -> Iterator[Any]:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("request", lambda request: faults.append(request.url) if server.url not in request.url else None)
    opened.goto(server.url)
    opened.locator("#model option").nth(1).wait_for(state="attached")
    assert opened.is_checked("#pages"), "where there is an index, it is looked into unless a person does not want it"
    assert "looked up in the pages" in opened.inner_text("#log")
    opened.uncheck("#pages")
    yield opened
    folder = os.environ.get("TEXTMILL_SCREENSHOTS")
    if folder:
        opened.screenshot(path=f"{folder}/{os.environ['PYTEST_CURRENT_TEST'].split('::')[1].split()[0]}.png")
    context.close()
    assert faults == []  # no error in a script, and nothing asked of another host


def send(page: Any, text: str) -> None:
    page.fill("#message", text)
    page.press("#message", "Enter")


def done(page: Any) -> None:
    page.locator("#status", has_text="The answer is complete").wait_for()


def test_an_answer_streams_and_stays_after_a_reload(page: Any, server: Living) -> None:
    send(page, "hello")
    done(page)
    answer = page.inner_text(".turn.answer .text")
    body = {"messages": [{"role": "user", "content": "hello"}], "temperature": 0, "top_p": 1, "max_tokens": 120}
    own = server.client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
    kept = page.evaluate("JSON.parse(localStorage.textmill).conversations[0].turns")
    assert kept[1]["answers"][0]["content"] == own
    assert kept[1]["answers"][0]["finish"] in ("stop", "length")
    page.reload()
    page.wait_for_selector(".turn.answer")
    assert page.inner_text(".turn.answer .text") == answer
    assert page.inner_text("#conversations li button:first-child") == "hello"


def test_stop_retry_edit_and_copy(page: Any) -> None:
    page.click("#open-settings")
    page.fill("#max_tokens", "900")
    page.click("#settings button")
    send(page, "a long one")
    page.wait_for_selector("#stop:not([hidden])")
    page.click("#stop")
    page.wait_for_selector("text=You stopped it.")
    page.click("text=Retry")
    page.wait_for_selector("#stop:not([hidden])")
    page.keyboard.press("Escape")
    page.wait_for_selector("text=You stopped it.")
    page.click(".turn.user >> text=Copy")
    page.wait_for_selector("text=Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "a long one"
    page.click("text=Edit")
    assert page.input_value("#message") == "a long one"
    assert page.query_selector(".turn") is None


def test_two_models_side_by_side_and_a_vote(page: Any, server: Living) -> None:
    page.check("#compare")
    assert page.input_value("#other") == "base"
    send(page, "which is better?")
    done(page)
    assert page.locator(".pair .turn").count() == 2
    page.locator(".pair .turn").nth(1).get_by_text("This one is better").click()
    page.wait_for_selector("text=Your vote is kept")
    assert page.locator(".turn.chosen").count() == 1
    votes = [json.loads(line) for line in server.votes.read_text().splitlines()]
    assert votes[-1]["prompt"] == [{"role": "user", "content": "which is better?"}]
    assert (votes[-1]["chosen_model"], votes[-1]["rejected_model"]) == ("base", "chat")
    send(page, "and now?")  # goes on with the answer that was better
    done(page)


def test_what_is_written_is_never_run(page: Any) -> None:
    send(page, HOSTILE)
    done(page)
    assert HOSTILE in page.inner_text(".turn.user .text")
    shown = page.evaluate(
        """async (text) => {
            const { rendered } = await import("/page/markdown.js");
            const box = document.createElement("div");
            box.append(rendered(text + "\\n```\\n" + text + "\\n```\\n- " + text));
            document.querySelector("#log").append(box);
            await new Promise((resolve) => setTimeout(resolve, 100));
            return [box.querySelectorAll("img, script").length, box.querySelectorAll("strong, code").length,
                    [...box.querySelectorAll("a")].map((one) => one.href)];
        }""",
        HOSTILE,
    )
    assert shown == [0, 5, []]
    assert page.evaluate("window.harmed") is None


def test_settings_system_prompt_and_probabilities(page: Any) -> None:
    page.click("#open-settings")
    page.fill("#system", "be brief")
    page.fill("#max_tokens", "5")
    page.check("#probabilities")
    page.click("#settings button")
    with page.expect_request("**/v1/chat/completions") as asked:
        send(page, "x")
    body = asked.value.post_data_json
    assert body["messages"][0] == {"role": "system", "content": "be brief"}
    assert (body["max_tokens"], body["temperature"]) == (5, 0)
    done(page)
    spans = page.locator(".tokens span")
    assert spans.count() == 5
    assert "%" in spans.first.get_attribute("title")
    page.wait_for_selector("text=Ended because the longest answer")
    with page.expect_download() as download:
        page.click("#export")
    kept = json.loads(Path(download.value.path()).read_text())
    assert kept[0]["turns"][0]["content"] == "x"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_everybody_can_read_it(browser: Any, server: Living, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    opened = context.new_page()
    opened.goto(server.url)
    opened.locator("#model option").nth(1).wait_for(state="attached")
    opened.check("#pages")
    send(opened, "Why does the river push the wheel?")
    done(opened)
    opened.locator(".sources li").first.wait_for()
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = Axe().run(opened)
    assert found.violations_count == 0, found.generate_report()
    opened.click("#open-settings")
    assert Axe().run(opened).violations_count == 0
    if folder := os.environ.get("TEXTMILL_SCREENSHOTS"):
        opened.keyboard.press("Escape")
        opened.screenshot(path=f"{folder}/{scheme}-{width}.png")
    context.close()


def test_pages_of_an_answer_are_links_that_cannot_harm(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.fill("#message", "Why does the river push the wheel?")
    page.check("#pages")
    with page.expect_request("**/v1/chat/completions") as asked:
        page.press("#message", "Enter")
    assert asked.value.post_data_json["textmill_sources"] is True
    done(page)
    link = page.locator(".sources a").first
    assert (link.inner_text(), link.get_attribute("href")) == ("About: mill", "http://example.org/mill")
    assert "noopener" in link.get_attribute("rel")
    assert "published 2024-05, fetched 2026-01-02" in page.inner_text(".sources li")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1200, "height": 800})
    page.click("#new")
    send(page, "script alert")  # whose page has an address of javascript: and a script in its text
    done(page)
    assert page.locator(".sources li").count() == 1
    assert page.locator(".sources a").count() == 0
    page.click(".sources summary")
    assert "<script>alert(1)</script>" in page.inner_text(".sources details p")
    page.click("#new")
    send(page, "What does photosynthesis do?")
    done(page)
    assert page.inner_text(".turn.answer h3") == "No page matches"
    page.reload()
    page.wait_for_selector(".turn.answer h3")
    assert page.is_checked("#pages"), "the switch stays as it was"
    page.uncheck("#pages")
    page.click("#new")
    with page.expect_request("**/v1/chat/completions") as asked:
        send(page, "script alert")
    assert asked.value.post_data_json["textmill_sources"] is False
    done(page)
    assert page.locator(".sources").count() == 0
