"""Whether the API and the system behind it work, for probes and Prometheus."""

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.dependencies import ServicesDep
from api.models import Health, Readiness

router = APIRouter(tags=["operations"])
NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": Readiness, "description": "At least one part is not ready; its reason says why"}
}
METRICS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {}}, "description": "Prometheus text format"}
}


@router.get("/health")
async def health() -> Health:
    """This process answers. Asks no server: a probe that restarts the API must not do so for their sake."""
    return Health(status="ok")


@router.get("/ready", responses=NOT_READY)
async def ready(response: Response, parts: ServicesDep) -> Readiness:
    """Each part of the system with its state and the reason; 200 when all are ready, else 503. The answer is
    at most one second old."""
    readiness = await parts.readiness.get()
    if not readiness.ready:
        response.status_code = 503
    return readiness


@router.get("/metrics", response_class=Response, responses=METRICS)
async def metrics(parts: ServicesDep) -> Response:
    """Metrics of this process; api/metrics.py lists them."""
    return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)
