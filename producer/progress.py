"""The rate of trades that is reached, counted by Kafka's acknowledgements."""

import structlog

from producer.clock import Clock
from producer.metrics import ProducerMetrics

log = structlog.get_logger()

WINDOW_US = 10_000_000
QUIET_US = 60_000_000
CHANGED = 0.1


class ReachedRate:
    """Sets the metric every ten seconds; logs it then if it has changed by a tenth, else once a minute."""

    def __init__(self, clock: Clock, metrics: ProducerMetrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._since_us = clock.now_us()
        self._trades = 0
        self._logged_us = 0
        self._logged_rate = 0.0

    def update(self, trades: int) -> None:
        """``trades``: how many have been acknowledged since the start."""
        now_us = self._clock.now_us()
        passed_us = now_us - self._since_us
        if passed_us < WINDOW_US:
            return
        rate = (trades - self._trades) * 1e6 / passed_us
        self._since_us, self._trades = now_us, trades
        self._metrics.rate.set(rate)
        changed = abs(rate - self._logged_rate) > CHANGED * self._logged_rate
        if changed or now_us - self._logged_us >= QUIET_US:
            log.info("trades_acknowledged", per_second=round(rate, 1), total=trades)
            self._logged_us, self._logged_rate = now_us, rate
