"""``/docs``: Swagger UI, served from here. Its files come with the package ``fastapi_offline``; nothing is
asked of another host, and no script stands in the page, as its Content-Security-Policy demands."""

import html
import json
from importlib.resources import as_file, files
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

PACKAGE = "fastapi_offline"
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: REST API</title>
<link rel="stylesheet" href="/docs/files/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/files/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
OPTIONS = {
    "dom_id": "#swagger-ui",
    "deepLinking": True,
    "filter": True,
    "tryItOutEnabled": True,
    "displayRequestDuration": True,
    "persistAuthorization": False,  # keys do not belong into a browser's storage
    "validatorUrl": None,  # another host
}


def add_docs(app: FastAPI) -> None:
    """Adds the page, its start and its files to an application that was made without ``docs_url``."""
    page = PAGE.format(title=html.escape(app.title))
    start = f"SwaggerUIBundle({json.dumps({**OPTIONS, 'url': app.openapi_url})});\n"

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """Every endpoint, to read and to try."""
        return HTMLResponse(page)

    @app.get("/docs/start.js", include_in_schema=False)
    async def docs_start() -> Response:
        """What FastAPI would write into the page."""
        return Response(start, media_type="text/javascript")

    app.mount("/docs/files", StaticFiles(directory=_folder()))


def _folder() -> Path:
    with as_file(files(PACKAGE) / "static") as path:  # pip unpacks: it is a folder, and stays one
        return path
