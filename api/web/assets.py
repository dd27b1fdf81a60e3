"""The files of the live page, read once: what a browser asks for is only ever looked up by name.

No bundler and no Node: browsers load the modules as they lie in ``static``. The chart library is not among
them. It comes with the package ``litecharts``, whose copy is TradingView's own build of
lightweight-charts 5.1.0, byte for byte; nothing of that package is imported.
"""

import gzip
import hashlib
import html
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import structlog

log = structlog.get_logger()

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
CHART_PACKAGE = "litecharts"
CHART_FILE = "litecharts/js/lightweight-charts.js"
CHART_NAME = "lightweight-charts.js"
"""Under which name it is served."""
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
VERSION_MARK = "{{version}}"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    body: bytes
    packed: bytes
    """The same, by gzip."""
    media_type: str
    etag: str


def load_assets(version: str) -> dict[str, Asset]:
    """Every file by its path below ``static``; ``version`` is put into the page. A missing chart library is
    logged and left out: the page says so, and shows everything but charts."""
    assets = {}
    for file in sorted(path for path in STATIC.rglob("*") if path.suffix in MEDIA_TYPES):
        name = file.relative_to(STATIC).as_posix()
        body = file.read_bytes()
        if name == INDEX:
            body = body.replace(VERSION_MARK.encode(), html.escape(version).encode())
        assets[name] = _asset(body, file.suffix)
    library = chart_library()
    if library is None:
        log.warning(
            "chart_library_missing",
            detail=f"the live page shows no charts: pip install {CHART_PACKAGE}, then start the API again",
        )
    else:
        assets[CHART_NAME] = _asset(library.read_bytes(), ".js")
    return assets


def chart_library() -> Path | None:
    """Where the chart library lies; None where its package is not installed."""
    try:
        path = Path(str(distribution(CHART_PACKAGE).locate_file(CHART_FILE)))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None


def _asset(body: bytes, suffix: str) -> Asset:
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    return Asset(body, gzip.compress(body, mtime=0), MEDIA_TYPES[suffix], etag)
