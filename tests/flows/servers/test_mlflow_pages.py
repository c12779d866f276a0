"""MLflow's pages: they open under Model training, and MLflow still reads the settings by which they do."""

from __future__ import annotations

from importlib.resources import files

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from flows.servers.mlflow_pages import SETTINGS, OpensOnTraining


def page(request: Request) -> Response:
    if "if-none-match" in request.headers:
        return Response(status_code=304)
    return HTMLResponse("<!doctype html><html><head><title>MLflow</title></head><body>ä</body></html>")


@pytest.fixture
def browser() -> TestClient:
    other = PlainTextResponse("<head>")
    return TestClient(OpensOnTraining(Starlette(routes=[Route("/", page), Route("/static-files/main.js", other)])))


def test_the_page_makes_the_settings_before_anything_of_it_runs(browser: TestClient) -> None:
    answer = browser.get("/")
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    head = answer.text.index("<head>") + len("<head>")
    assert answer.text[head:].startswith("<script>for (const [name, value]")
    assert "mlflow.workflowType_v1" in answer.text
    assert answer.text.endswith("<title>MLflow</title></head><body>ä</body></html>")


def test_a_page_that_the_browser_has_from_earlier_is_sent_anew(browser: TestClient) -> None:
    assert "<script>" in browser.get("/", headers={"If-None-Match": "old"}).text


def test_nothing_else_is_touched(browser: TestClient) -> None:
    assert browser.get("/static-files/main.js").text == "<head>"
    assert browser.head("/").status_code == 200


def test_the_installed_mlflow_has_a_page_to_put_them_in_and_reads_them() -> None:
    build = files("mlflow.server") / "js" / "build"
    assert "<head>" in (build / "index.html").read_text("utf-8")
    scripts = [one for one in (build / "static" / "js").iterdir() if one.name.startswith("main.")]
    code = "".join(one.read_text("utf-8") for one in scripts if one.name.endswith(".js"))
    for name in SETTINGS:
        assert name.removesuffix("_v1") in code
    assert "machine_learning" in code
