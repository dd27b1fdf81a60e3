"""What is counted of one provider; ``producer.metrics`` says what each number is."""

from producer.metrics import ProducerMetrics
from producer.providers.contract import Parsed


class Counters:
    """The metrics of a provider."""

    def __init__(self, metrics: ProducerMetrics, provider: str) -> None:
        self._metrics = metrics
        self._provider = provider
        self._frames = metrics.provider_frames.labels(provider)
        self._items = metrics.provider_items.labels(provider)
        self._outcomes = {
            outcome: metrics.provider_outcomes.labels(provider, outcome)
            for outcome in ("trade", "quote", "correction", "bar", "rejected", "control")
        }
        self._connections = metrics.provider_connections.labels(provider)
        self._queue = metrics.provider_queue.labels(provider)
        self._heard = metrics.provider_heard.labels(provider)

    def received(self, parsed: Parsed) -> None:
        self._frames.inc()
        self._items.inc(parsed.items)
        for outcome, count in (
            ("trade", len(parsed.trades)),
            ("quote", len(parsed.quotes)),
            ("correction", len(parsed.corrections)),
            ("bar", len(parsed.bars)),
            ("rejected", len(parsed.rejected)),
            ("control", parsed.control),
        ):
            if count:
                self._outcomes[outcome].inc(count)

    def heard(self, received_us: int) -> None:
        self._heard.set(received_us / 1e6)

    def budget(self, left: float, paused_until_us: int) -> None:
        self._metrics.provider_requests_left.labels(self._provider).set(left)
        self._metrics.provider_paused_until.labels(self._provider).set(paused_until_us / 1e6)

    def connected(self, change: int) -> None:
        self._connections.inc(change)

    def disconnected(self, reason: str) -> None:
        self._metrics.provider_disconnects.labels(self._provider, reason).inc()

    def waited(self) -> None:
        self._metrics.provider_waits.labels(self._provider).inc()

    def missed(self, count: int) -> None:
        self._metrics.provider_missed.labels(self._provider).inc(count)

    def refused(self) -> None:
        self._metrics.provider_refused.labels(self._provider).inc()

    def waiting(self, items: int) -> None:
        self._queue.set(items)
