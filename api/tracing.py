"""Tracing of requests, where it is on: FastAPI makes their spans, and this says which."""

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig

from api.middleware import PROBES
from schemas.tracing import Tracing


def telemetry_for(tracing: Tracing | None) -> TelemetryConfig:
    """What FastAPI is told: a span for each request and its steps, or nothing at all. Metrics and logs are
    ours."""
    if tracing is None:
        return {"tracing": False, "metrics": False, "logs": False}
    return {
        "tracer_provider": tracing.provider,
        "metrics": False,
        "logs": False,
        "exclude": _is_not_traced,
    }


def _is_not_traced(scope: MutableMapping[str, Any]) -> bool:
    """Probes come every few seconds; a WebSocket is open for hours, and its trades have their own traces."""
    return scope["type"] != "http" or scope["path"] in PROBES
