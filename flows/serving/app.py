"""The server's application: its paths, and what answers each."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.serving import errors, pages
from flows.serving.chats import Chat
from flows.serving.completions import Completion
from flows.serving.errors import ApiError, as_told
from flows.serving.events import EventStream
from flows.serving.metrics import Metrics
from flows.serving.models import Models, Settings
from flows.serving.schemas import ChatBody, CompletionBody, DetokenizeBody, EmbeddingBody, TokenizeBody, VoteBody
from flows.serving.sources import Sources
from flows.serving.texts import ClientGone, while_wanted
from flows.serving.votes import VotesFull, keep

GONE = 499
"""nginx's status for a client that went away; nobody reads it but the metrics."""


def build_app(models: Models, settings: Settings, sources: Sources | None = None) -> FastAPI:
    """Return the application; `flows.serving.guards` belongs before it. Without `sources` it names no pages."""
    pages_of = sources or Sources(lambda: None)
    app = FastAPI(
        title="textmill",
        description="Models of the lake behind OpenAI's API",
        docs_url=None,  # both pages load scripts from a foreign host
        redoc_url=None,
    )
    metrics = Metrics()
    errors.install(app)
    pages.install(app)
    app.add_middleware(_ReadsJson)
    app.add_middleware(_Counting, metrics=metrics)

    async def answered(request: Request, made: Chat | Completion, *, stream: bool) -> Response:
        try:
            await while_wanted(request, made.start())
            if stream:
                return EventStream(made.events(), settings.patience)
            return JSONResponse(await while_wanted(request, made.whole()))
        except ClientGone:
            return Response(status_code=GONE)
        except Exception as error:
            raise as_told(error) from error

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request, body: ChatBody) -> Response:
        return await answered(request, Chat(models.get(body.model), body, metrics, pages_of), stream=bool(body.stream))

    @app.post("/v1/completions")
    async def completions(request: Request, body: CompletionBody) -> Response:
        return await answered(request, Completion(models.get(body.model), body, metrics), stream=bool(body.stream))

    @app.post("/v1/embeddings")
    async def embeddings(request: Request, body: EmbeddingBody) -> Response:
        served = models.get(body.model)
        if body.dimensions not in (None, served.model.config.d_model):
            width = served.model.config.d_model
            raise ApiError(400, f"The vectors of {served.name} have {width} dimensions.", param="dimensions")
        given = body.input
        many: list[Any] = [given] if isinstance(given, str) or isinstance(given[0], int) else list(given)
        texts = [served.text_ids(one) if isinstance(one, str) else one for one in many]
        for number, ids in enumerate(texts):
            if len(ids) > served.context:
                raise ApiError(
                    400, f"Input {number + 1} has {len(ids):,} tokens, but the context is {served.context:,}.",
                    param="input", code="context_length_exceeded",
                )  # fmt: skip

        async def all_of_them() -> list[list[float]]:
            return [await asyncio.wrap_future(served.embedded(ids)) for ids in texts]

        try:
            vectors = await while_wanted(request, all_of_them())
        except ClientGone:
            return Response(status_code=GONE)
        except Exception as error:
            raise as_told(error) from error
        packed = body.encoding_format == "base64"
        tokens = sum(map(len, texts))
        metrics.prompt_tokens.labels(served.name).inc(tokens)
        return JSONResponse(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": number, "embedding": _packed(one) if packed else one}
                    for number, one in enumerate(vectors)
                ],
                "model": served.name,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    @app.post("/v1/textmill/votes")
    async def votes(body: VoteBody) -> Response:
        if settings.votes is None:
            raise ApiError(404, "This server keeps no votes.")
        try:
            await asyncio.to_thread(keep, settings.votes, body)
        except VotesFull as error:
            raise ApiError(507, str(error)) from error
        return JSONResponse({"kept": True})

    @app.post("/tokenize")
    async def tokenize(body: TokenizeBody) -> Response:
        served = models.get(body.model)
        whole = served.special_names.get(body.prompt)  # lm-eval and others ask for the end token's id by its name
        special = body.add_special_tokens is not False
        ids = [whole] if whole is not None else await asyncio.to_thread(served.text_ids, body.prompt, special=special)
        shown = {"token_strs": [served.decode([token]) for token in ids]} if body.return_token_strs else {}
        return JSONResponse({"count": len(ids), "max_model_len": served.context, "tokens": ids, **shown})

    @app.post("/detokenize")
    async def detokenize(body: DetokenizeBody) -> Response:
        try:
            return JSONResponse({"prompt": models.get(body.model).decode(body.tokens)})
        except ValueError as error:
            raise ApiError(400, str(error), param="tokens") from error

    @app.get("/tokenizer_info")
    async def tokenizer_info() -> Response:
        served = models.get(None)
        names = {id_: name for name, id_ in served.special_names.items()}
        roles = {role: names.get(served.tokenizer.role(role)) for role in ("bos", "eos") if served.tokenizer.has(role)}
        return JSONResponse(
            {
                "tokenizer_class": "textmill",
                "bos_token": roles.get("bos"),
                "eos_token": roles.get("eos"),
                "pad_token": names.get(served.tokenizer.pad),
                "chat_template": served.jinja,
            }
        )

    @app.get("/v1/models")
    async def list_models() -> Response:
        described = [_described(one) for one in models]
        return JSONResponse({"object": "list", "data": described, "textmill_index": pages_of.name})

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> Response:
        return JSONResponse(_described(models.get(name)))

    @app.get("/health")
    async def health() -> Response:
        status = "ok" if models.ready else "closing" if models.closing else "waiting for a model"
        return JSONResponse({"status": status}, 200 if models.ready else 503)

    @app.get("/metrics")
    async def counted() -> Response:
        return PlainTextResponse(metrics.text(models), media_type="text/plain; version=0.0.4")

    return app


def _described(served: Any) -> dict[str, Any]:
    made = int(served.artifact.manifest.finished_at.timestamp())
    return {
        "id": served.name, "object": "model", "created": made, "owned_by": "textmill", "root": served.artifact.name,
        "max_model_len": served.context, "chats": served.chats,
    }  # fmt: skip


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


class _ReadsJson:
    """Reads each body as JSON: `curl -d` says that it is a form. `guards` keeps the forms of foreign pages away."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            others = [one for one in scope["headers"] if one[0].lower() != b"content-type"]
            scope["headers"] = [*others, (b"content-type", b"application/json")]
        await self._app(scope, receive, send)


class _Counting:
    """Counts each answer by its path's pattern and its status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        status = "none"

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            if scope["type"] == "http":
                endpoint = getattr(scope.get("route"), "path", "other")
                self._metrics.requests.labels(endpoint, status).inc()
