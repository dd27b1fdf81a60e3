"""Pulling trades out of a history, page by page, within the provider's limits."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from producer.backfill.history import Asked, History, Page
from producer.clock import Clock
from producer.providers.backoff import Backoff
from producer.providers.contract import Frame
from producer.providers.http import RestClient
from producer.providers.reading import load, shown
from producer.providers.request_gate import Answer, RequestError
from producer.sources import Rejected
from schemas.errors import ConfigurationError, PoisonError, UnavailableError
from schemas.events import Trade

log = structlog.get_logger()


class Pulled(NamedTuple):
    """What one page has of what was asked for, in the order of its times; ``position``: where the next one
    is, None after the last. ``reached``: the latest time (us) in the page, 0 where it has none."""

    trades: Sequence[Trade]
    rejected: Sequence[Rejected]
    position: str | None
    reached: int


@dataclass(frozen=True, slots=True)
class Patience:
    """How often in a row a request may fail, and how long to wait between. ``sleep``: waits for seconds."""

    attempts: int
    backoff: Backoff
    sleep: Callable[[float], Awaitable[None]]


class Puller:
    """Asks a history for its pages."""

    def __init__(
        self,
        client: RestClient,
        history: History,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._client = client
        self._history = history
        self._clock = clock
        self._patience = patience

    async def pages(self, asked: Asked, position: str) -> AsyncIterator[Pulled]:
        """From a position to the end. Raises UnavailableError where the provider does not answer any more,
        ConfigurationError where it refuses, or answers what is no history."""
        following: str | None = position
        while following is not None:
            answer = await self._answer(asked, following)
            received_us = self._clock.now_us()
            try:
                page = self._history.page(asked, following, load(Frame(answer.body, received_us)))
            except PoisonError as error:
                raise ConfigurationError(
                    f"{self._history.adapter.name} answers what is no history: {error.detail}"
                ) from None
            if page.position == following:
                raise ConfigurationError(f"{self._history.adapter.name} gives the same page again and again")
            yield self._pulled(asked, page, received_us)
            following = page.position

    def _pulled(self, asked: Asked, page: Page, received_us: int) -> Pulled:
        trades: list[Trade] = []
        rejected: list[Rejected] = []
        for number, payload in enumerate(page.frames):
            parsed = self._history.adapter.parse(Frame(payload, received_us, received_us, number))
            trades += parsed.trades
            rejected += parsed.rejected
        inside = [trade for trade in trades if asked.start <= trade.event_time < asked.end]
        reached = max((trade.event_time for trade in trades), default=0)
        return Pulled(inside, rejected, page.position, reached)

    async def _answer(self, asked: Asked, position: str) -> Answer:
        provider = self._history.adapter.name
        failed = 0
        while True:
            try:
                answer = await self._client.get(self._history.request(asked, position))
            except RequestError as error:
                failed += 1
                if failed >= self._patience.attempts:
                    raise UnavailableError(
                        f"{error}; {failed} attempts have failed: the same command goes on from here"
                    ) from None
                wait_s = self._patience.backoff.next_s(error.wait_s)
                log.warning("backfill_waits", error=str(error), reason=error.reason, seconds=round(wait_s, 1))
                await self._patience.sleep(wait_s)
                continue
            self._patience.backoff.reset()
            if answer.status >= 400:
                said = answer.body[:200].decode(errors="replace")
                for secret in filter(None, self._history.adapter.secrets):
                    said = said.replace(secret, "***")
                raise ConfigurationError(
                    f"{provider} refuses to tell of {asked.symbol} (HTTP {answer.status}): {shown(said)}"
                )
            return answer
