"""Errors in the shape of OpenAI's API: what was wrong, in which field, and whether to try again."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from tasks.delivery.serving.engine import EngineFull, EngineStopped
from tasks.delivery.serving.served import ContextExceeded, NoChat

log = logging.getLogger(__name__)
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_FIELD = re.compile(r"[a-z_0-9]+")
_NO_OBJECT = ("missing", "model_attributes_type", "model_type")
"""What pydantic says of a body that is empty, or no object."""
MAX_SHOWN = 200  # characters of a value that was sent


class ApiError(Exception):
    """An answer that is no result: a status, a sentence, the field at fault, and a code for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        return error_body(self.status, self.message, self.param, self.code)


def error_body(status: int, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """Return the JSON of an error."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def as_api_error(error: Exception) -> ApiError:
    """Return what a client is told of an error; faults of ours keep their details to themselves."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, EngineFull):
        return ApiError(
            429, f"The server is busy: {error}", code="queue_full", headers={"Retry-After": str(error.retry_after)}
        )
    if isinstance(error, EngineStopped):
        return ApiError(503, str(error), code="reloading", headers={"Retry-After": "1"})
    if isinstance(error, ContextExceeded):
        return ApiError(400, str(error), code="context_length_exceeded")
    if isinstance(error, NoChat):
        return ApiError(400, str(error), param="messages")
    if isinstance(error, ValueError):
        return ApiError(400, str(error))
    return ApiError(500, "The server failed to answer; its log says why.", code="internal_error")


def as_told(error: Exception) -> ApiError:
    """Return what a client is told of an error, and write down faults of ours."""
    told = as_api_error(error)
    if told.status >= 500 and not isinstance(error, ApiError | EngineStopped):
        log.error("A request failed", exc_info=error)
    return told


def response_of(error: ApiError) -> JSONResponse:
    """Return an error as an answer."""
    return JSONResponse(error.body, error.status, error.headers)


def install(app: FastAPI) -> None:
    """Let every error of the application have OpenAI's shape."""

    @app.exception_handler(ApiError)
    async def _of_api(request: Request, error: ApiError) -> JSONResponse:
        return response_of(error)

    @app.exception_handler(RequestValidationError)
    async def _of_fields(request: Request, error: RequestValidationError) -> JSONResponse:
        return response_of(_invalid(error.errors()))

    @app.exception_handler(Exception)
    async def _of_ours(request: Request, error: Exception) -> JSONResponse:
        return response_of(as_api_error(RuntimeError()))

    @app.exception_handler(HTTPException)
    async def _of_http(request: Request, error: HTTPException) -> JSONResponse:
        path, takes = request.url.path[:MAX_SHOWN], (error.headers or {}).get("Allow", "another method")
        said = {404: f"There is nothing at {path}.", 405: f"{path} takes {takes}, not {request.method}."}
        message, code = said.get(error.status_code, str(error.detail)), None
        if error.status_code == 400:  # FastAPI says no more of a body that is no text, or nested too deeply
            message, code = "The body is not valid JSON: it is not UTF-8, or nested too deeply.", "invalid_json"
        return response_of(ApiError(error.status_code, message, code=code, headers=error.headers))


def _invalid(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """Return one error for all fields that are wrong; `param` is the first of them."""
    for error in errors:
        if error["type"] == "json_invalid":
            why = f"{error['ctx']['error']} at character {error['loc'][-1] + 1}"
            return ApiError(400, f"The body is not valid JSON: {why}.", code="invalid_json")
        if tuple(error["loc"]) == ("body",) and error["type"] in _NO_OBJECT:
            return ApiError(400, "The body must be a JSON object, as in OpenAI's API.", code="invalid_json")
    sentences, fields = [], []
    # where a field may have several types, the one that was meant says more than that others were not
    for error in sorted(errors, key=lambda error: error["type"].endswith("_type")):
        # of a field with several possible types, pydantic names each type that did not match
        place = [str(part) for part in error["loc"] if part != "body" and not _is_type(part)]
        if error["type"] == "refused":
            place.append(error["ctx"]["field"])
        field = ".".join(place)
        said = f"{field}: {_said(error)}" if field else _said(error)
        if field not in fields:
            fields.append(field)
            sentences.append(said)
    more = f" ({len(sentences) - 5} more)" if len(sentences) > 5 else ""
    return ApiError(400, "; ".join(sentences[:5]) + more, param=fields[0].split(".")[0] or None)


def _is_type(part: object) -> bool:
    return isinstance(part, str) and (part in ("str", "int", "float", "bool") or not _FIELD.fullmatch(part))


def _said(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "this field is unknown"
    if error["type"] == "refused":
        return "this field is known, but not supported by this server; leave it out"
    if error["type"] == "string_unicode":
        return "half of a surrogate pair is no text"
    if error["type"] == "missing":
        return "this field is missing"
    given = error.get("input")
    shown = "" if isinstance(given, dict | list) else f" (it is {_shown(given)})"
    return f"{error['msg'].removeprefix('Value error, ')}{shown}"


def _shown(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "not finite"
    text = ascii(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
