"""The live page at ``/``, and its files."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from api.web.assets import INDEX, Asset

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""No inline script and no inline style: the page has none, and the chart library needs none as we use it."""
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Asked for anew each time, and answered with 304 while nothing has changed: a new version is there at
    # once, and never half of it.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


def page_router(assets: Mapping[str, Asset]) -> APIRouter:
    """``/`` and ``/assets/...``; no key is needed for them, they hold no data."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page(request: Request) -> Response:
        """The page; everything on it comes from the REST API and the WebSocket."""
        return _answer(request, assets[INDEX])

    @router.get("/assets/{name:path}")
    async def asset(name: str, request: Request) -> Response:
        """A file of the page."""
        found = assets.get(name)
        if found is None or name == INDEX:
            raise HTTPException(404)
        return _answer(request, found)

    return router


def _answer(request: Request, asset: Asset) -> Response:
    headers = HEADERS | {"ETag": asset.etag}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = asset.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = asset.packed
    return Response(body, media_type=asset.media_type, headers=headers)
