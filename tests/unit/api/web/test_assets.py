"""The files of the page, as they are served."""

import asyncio
import gzip
import hashlib
import re
from importlib.metadata import PackageNotFoundError, version

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from api.routes.page import page_router
from api.web import assets
from api.web.assets import CHART_NAME, STATIC, Asset, load_assets

CHARTS_5_1_0 = "756b0ba9f58930226d6b8b9d47ad310448ab85d799ea1f7c2c02304777c10b52"
"""sha256 of dist/lightweight-charts.standalone.production.js in TradingView's own package of that version."""


def get(path: str, files: dict[str, Asset] | None = None, **headers: str) -> httpx.Response:
    async def run() -> httpx.Response:
        app = FastAPI()
        app.include_router(page_router(load_assets("1.2.3") if files is None else files))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(run())


def test_the_page_shows_its_version_and_loads_nothing_from_elsewhere() -> None:
    """Nor is anything in it inline: the policy says so, and browsers hold it."""
    page = get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert '<span id="version">1.2.3</span>' in page.text
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)", page.text)
    assert set(re.findall(r'(?:src|href)="(https?:[^"]*)"', page.text)) == {"https://www.tradingview.com/"}


def test_every_file_that_the_page_and_its_modules_name_is_there() -> None:
    """Each import leads to a file."""
    files = load_assets("1.2.3")
    named = set(re.findall(r'"/assets/([^"]+)"', files["index.html"].body.decode()))
    for name, asset in files.items():
        if name.startswith("js/"):
            folder = STATIC / name
            for path in re.findall(r'from "(\.[^"]+)"', asset.body.decode()):
                named.add((folder.parent / path).resolve().relative_to(STATIC.resolve()).as_posix())
    assert named <= files.keys()
    assert named >= files.keys() - {"index.html"}


def test_the_chart_library_is_tradingviews_own() -> None:
    """The package that brings it has changed no byte of it."""
    body = get(f"/assets/{CHART_NAME}").content
    assert hashlib.sha256(body).hexdigest() == CHARTS_5_1_0
    assert version(assets.CHART_PACKAGE) == "0.2.0"


def test_a_missing_chart_library_is_logged_and_the_page_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page itself says so where the chart would be."""

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(assets, "distribution", missing)
    with capture_logs() as logs:
        files = load_assets("1.2.3")
    assert [line["event"] for line in logs] == ["chart_library_missing"]
    assert get(f"/assets/{CHART_NAME}", files).status_code == 404
    assert get("/", files).status_code == 200


def test_an_unchanged_file_is_not_sent_again() -> None:
    """304 for the tag that was given with it; another tag gets the file."""
    first = get("/assets/js/main.js")
    tag = first.headers["etag"]
    again = get("/assets/js/main.js", **{"If-None-Match": f'W/"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert get("/assets/js/main.js", **{"If-None-Match": '"other"'}).status_code == 200
    assert first.headers["cache-control"] == "no-cache"


def test_files_are_packed_for_those_who_take_it() -> None:
    """The same bytes either way."""
    plain = get("/assets/css/base.css", **{"Accept-Encoding": "identity"})
    packed = get("/assets/css/base.css", **{"Accept-Encoding": "gzip, br"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert gzip.decompress(load_assets("1")["css/base.css"].packed) == plain.content


@pytest.mark.parametrize("path", ["/assets/../settings.py", "/assets/index.html", "/assets/", "/assets/js"])
def test_nothing_else_is_served(path: str) -> None:
    """Names are looked up, never opened."""
    assert get(path).status_code == 404
