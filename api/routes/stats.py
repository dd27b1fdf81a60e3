"""What the system says of itself."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import ServicesDep
from api.errors import COMMON_RESPONSES
from api.stats_models import CacheStats, KafkaStats, Latency, StreamingStats, SystemSummary

router = APIRouter(prefix="/api/v1/stats", tags=["statistics"], responses=COMMON_RESPONSES)


@router.get("/latency")
async def latency(parts: ServicesDep) -> Latency:
    """How long trades and bars take to get here, and how long requests take, in the last five minutes."""
    return parts.reports.latency()


@router.get("/kafka")
async def kafka(parts: ServicesDep) -> KafkaStats:
    """Topics, and how far their readers are behind. What Kafka does not say in time is null."""
    return await parts.reports.kafka()


@router.get("/cache")
async def cache(parts: ServicesDep) -> CacheStats:
    """What this process answers from memory, and how often."""
    return parts.reports.cache()


@router.get("/streaming")
async def streaming(parts: ServicesDep) -> StreamingStats:
    """WebSocket clients, what they are sent, and the feed that it comes from."""
    return parts.reports.streaming(parts.live.clients, parts.live.lag())


@router.get("/summary")
async def summary(
    parts: ServicesDep,
    hours: Annotated[int, Query(ge=1, le=168, description="how far to look back", examples=[1])] = 24,
) -> SystemSummary:
    """The last hours in numbers. Trades are those in bars that start in the range: of 1m up to 4 hours, of 1h
    beyond. What does not answer in time is null, and `problems` says why."""
    return await parts.reports.summary(hours, parts.live.clients)
