"""Whatever fits the server's own OpenAPI description, and much that does not, gets an answer and never a fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.flows.serving.conftest import Living

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/tokenize", "/detokenize")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(st.sampled_from(PATHS), st.data())
def test_any_value_in_any_field_gets_an_answer(server: Living, path: str, data: st.DataObject) -> None:
    schema = server.client.get("/openapi.json").json()
    name = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    fields = sorted(schema["components"]["schemas"][name.rsplit("/", 1)[-1]]["properties"])
    body: dict[str, Any] = {
        "model": "chat", "max_tokens": 2, "prompt": "x", "input": "x", "messages": [{"role": "user", "content": "x"}],
        "tokens": [1],
    }  # fmt: skip
    body = {field: value for field, value in body.items() if field in fields}
    changed = data.draw(st.dictionaries(st.sampled_from(fields), JSON, max_size=3))
    changed.pop("stream", None)
    answer = server.client.post(path, json=body | changed)
    assert answer.status_code < 500, (changed, answer.text)
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]


def test_schemathesis_finds_no_fault(server: Living) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    tried = 0
    for operation in schema.get_all_operations():

        @settings(max_examples=15, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)
        @given(operation.ok().as_strategy())
        def ask(case: Any) -> None:
            nonlocal tried
            tried += 1
            answer = case.call()
            assert answer.status_code < 500, (case.body, answer.text)

        ask()
    assert tried >= 80
