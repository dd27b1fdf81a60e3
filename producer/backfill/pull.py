"""Pulling trades, or bars, out of a history, page by page, within the provider's limits."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from producer.backfill.history import Asked, History
from producer.clock import Clock
from producer.providers.backoff import Backoff
from producer.providers.contract import Answered, Frame, RateLimited
from producer.providers.http import RestClient
from producer.providers.reading import load
from producer.providers.redaction import Redaction
from producer.providers.request_gate import Answer, RequestError
from producer.sources import Rejected
from schemas.errors import ConfigurationError, PoisonError, UnavailableError
from schemas.events import ProviderBar, Trade

log = structlog.get_logger()

MOST_SAID = 200


class Pulled(NamedTuple):
    """What one page has of what was asked for, in the order of its times; ``position``: where the next one
    is, None after the last. ``reached``: the latest time (us) in the page, 0 where it has none."""

    trades: Sequence[Trade]
    bars: Sequence[ProviderBar]
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
        self._provider = history.adapter.name
        self._redaction = Redaction(history.adapter.secrets)
        self._clock = clock
        self._patience = patience

    async def pages(self, asked: Asked, position: str) -> AsyncIterator[Pulled]:
        """From a position to the end. Raises UnavailableError where the provider does not answer any more,
        ConfigurationError where it refuses, or answers what is no history."""
        following: str | None = position
        while following is not None:
            pulled = await self._patiently(asked, following)
            if pulled.position == following:
                raise ConfigurationError(f"{self._provider} gives the same page again and again")
            yield pulled
            following = pulled.position

    async def _patiently(self, asked: Asked, position: str) -> Pulled:
        failed = 0
        while True:
            try:
                pulled = self._pulled(
                    asked, position, await self._client.get(self._history.request(asked, position))
                )
            except RequestError as error:
                failed += 1
                if failed >= self._patience.attempts:
                    raise UnavailableError(
                        f"{error}; {failed} attempts have failed: the same command goes on from here"
                    ) from None
                wait_s = self._patience.backoff.next_s(error.wait_s)
                log.warning("backfill_waits", error=str(error), reason=error.reason, seconds=round(wait_s, 1))
                await self._patience.sleep(wait_s)
            else:
                self._patience.backoff.reset()
                return pulled

    def _pulled(self, asked: Asked, position: str, answer: Answer) -> Pulled:
        """What an answer holds. Raises RequestError where it says that we ask too often."""
        received_us = self._clock.now_us()
        if answer.status >= 400:
            raise self._refusal(asked, f"HTTP {answer.status}: {answer.body.decode(errors='replace')}")
        try:
            page = self._history.page(asked, position, load(Frame(answer.body, received_us)))
        except PoisonError as error:
            raise ConfigurationError(f"{self._provider} answers what is no history: {error.detail}") from None
        trades: list[Trade] = []
        bars: list[ProviderBar] = []
        rejected: list[Rejected] = []
        for number, payload in enumerate(page.frames):
            parsed = self._history.adapter.parse(Frame(payload, received_us, received_us, number))
            trades += parsed.trades
            bars += parsed.bars
            rejected += parsed.rejected
            for signal in parsed.signals:
                if isinstance(signal, RateLimited):
                    raise self._client.gate.told_to_wait("says that we ask too often", signal.pause_s)
                if not isinstance(signal, Answered):
                    raise self._refusal(asked, signal.detail)
        times = [trade.event_time for trade in trades] + [bar.end for bar in bars]
        return Pulled(
            [trade for trade in trades if asked.start <= trade.event_time < asked.end],
            [bar for bar in bars if asked.start <= bar.start < asked.end],
            rejected,
            page.position,
            max(times, default=0),
        )

    def _refusal(self, asked: Asked, said: str) -> ConfigurationError:
        # Cut afterwards: of a secret that is cut in two a half would stay.
        said = self._redaction.text(said)[:MOST_SAID]
        return ConfigurationError(f"{self._provider} refuses to tell of {asked.symbol}: {said}")
