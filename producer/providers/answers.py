"""What the answers of a provider that is asked bring: the same live and from a recording of them."""

from producer.providers.contract import (
    AnyAdapter,
    Frame,
    KeyRefused,
    Parsed,
    PlanRefused,
    RateLimited,
    SymbolRefused,
)
from producer.providers.news import News

UNDERSTOOD = (KeyRefused, SymbolRefused, RateLimited, PlanRefused)
"""Signals that say more than the HTTP status that they may come with."""


def is_error(frame: Frame, parsed: Parsed) -> bool:
    """Whether an answer is an error of HTTP that the provider does not explain: nothing in it counts."""
    return (
        frame.reply is not None
        and frame.reply.status >= 400
        and not any(isinstance(signal, UNDERSTOOD) for signal in parsed.signals)
    )


class Answers:
    """Reads the recorded answers of a provider, one after the other, as a ``Poller`` has read them."""

    def __init__(self, adapter: AnyAdapter) -> None:
        self._adapter = adapter
        self._news = News()

    def read(self, frame: Frame) -> Parsed:
        """What was new in the answer when it came."""
        parsed = self._adapter.parse(frame)
        if is_error(frame, parsed):
            return Parsed(0)
        return self._news.of(parsed, frame.received_us)
