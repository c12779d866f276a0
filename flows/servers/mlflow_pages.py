"""Makes MLflow's pages open under *Model training*, in the browser and through links.

MLflow 3.17 shows an experiment's runs and charts under *Model training* and its traces under *GenAI*. Which of them
opens is stored in the browser and defaults to GenAI; other versions read the experiment's tag mlflow.experimentKind. So
the server of `textmill up` gives browsers another default, and links to other servers name the view in their address.
"""

from __future__ import annotations

import json
from typing import Any

# For MLflow's pages; a user's own choice is kept. Without it, an assistant's panel would once open by itself.
SETTINGS = {
    "mlflow.workflowType_v1": json.dumps("machine_learning"),
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": json.dumps(True),
}
_SCRIPT = (
    f"<script>for (const [name, value] of Object.entries({json.dumps(SETTINGS)}))"
    " if (localStorage.getItem(name) === null) localStorage.setItem(name, value)</script>"
)


def run_page(uri: str, run_id: str) -> str:
    """The address of a run's page at the MLflow server `uri`."""
    return f"{uri.rstrip('/')}/#/experiments/search/runs/{run_id}?workflowType=machine_learning"


def experiments_page(uri: str) -> str:
    """The address of the list of experiments at the MLflow server `uri`."""
    return f"{uri.rstrip('/')}/#/experiments?workflowType=machine_learning"


class OpensOnTraining:
    """Adds the script with the default settings to the one HTML page that all of MLflow's pages consist of."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        # Always send the whole page: a version cached by the browser would lack the script.
        headers = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(b"if-")]
        start: dict[str, Any] = {}
        parts: list[bytes] = []

        async def collect(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                body = b"".join(parts).replace(b"<head>", b"<head>" + _SCRIPT.encode(), 1)
                kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
                await send({**start, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
                await send({"type": "http.response.body", "body": body})

        await self.app({**scope, "headers": headers}, receive, collect)
