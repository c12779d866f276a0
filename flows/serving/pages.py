"""The chat page: files of this folder, under rules that let it load nothing from anywhere else."""

from __future__ import annotations

import importlib.resources

from fastapi import FastAPI
from starlette.responses import Response

from flows.serving.errors import ApiError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: a script that got into it could run nowhere and send nothing away."""
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def install(app: FastAPI) -> None:
    """Let the application answer with the page at / and its files under /page/."""
    files = {
        one.name: one.read_bytes()
        for one in (importlib.resources.files("flows.serving") / "page").iterdir()
        if one.is_file()
    }

    def answered(name: str) -> Response:
        kind = _TYPES.get(name.rsplit(".", 1)[-1], "")
        if name not in files or not kind:
            raise ApiError(404, f"The page has no file {name[:100]!r}.")
        return Response(files[name], media_type=f"{kind}; charset=utf-8", headers=_HEADERS)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return answered("index.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        return answered(name)
