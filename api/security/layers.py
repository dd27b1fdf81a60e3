"""What lies around the routes, from the outside to the inside."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from api.downloads import ROW_LIMIT
from api.metrics import ApiMetrics
from api.middleware import HeadOfGet, RequestMiddleware
from api.security.guard import Guard
from api.security.headers import SecurityHeaders
from api.security.rates import Rates
from api.security.settings import SecuritySettings

PREFLIGHT_SECONDS = 600
SHOWN_HEADERS = (
    "Content-Disposition", "ETag", "Location", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
    "Retry-After", "X-Request-ID", ROW_LIMIT,
)  # fmt: skip
"""What scripts of other pages may read of an answer."""


def add_layers(app: FastAPI, settings: SecuritySettings, rates: Rates, metrics: ApiMetrics) -> None:
    """Headers > request id, log, metrics > CORS > guard > HEAD > the routes. CORS is outside of the guard:
    browsers send no key with the question whether they may, and scripts must be able to read a refusal."""
    # The one that is added last is the outermost.
    app.add_middleware(HeadOfGet)
    app.add_middleware(Guard, settings=settings, rates=rates, metrics=metrics.security)
    if settings.api_cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.api_cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "If-Match", "X-Request-ID"],
            expose_headers=SHOWN_HEADERS,
            max_age=PREFLIGHT_SECONDS,
        )
    app.add_middleware(RequestMiddleware, metrics=metrics)
    app.add_middleware(SecurityHeaders)
