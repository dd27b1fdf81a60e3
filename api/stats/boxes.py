"""Asking parts that may not answer."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaException

from api.errors import ApiError

log = structlog.get_logger()
T = TypeVar("T")


async def within(
    seconds: float, name: str, asking: Coroutine[Any, Any, T], problems: dict[str, str]
) -> T | None:
    """The answer; None where it fails or takes too long, and why is in ``problems``."""
    try:
        async with asyncio.timeout(seconds):
            return await asking
    except TimeoutError:
        problems[name] = f"no answer within {seconds:g} s"
    except KafkaException as error:
        problems[name] = f"Kafka: {error.args[0].str()}"
    except ApiError as error:
        problems[name] = str(error)
    except Exception:  # statistics must not fail for one part of them
        log.exception("statistics_failed", field=name)
        problems[name] = "a fault of ours: the log has it"
    return None
