"""The simulator's market: an hour of calm gives no alert, its scenarios give exactly theirs.

20 trades/s of ten symbols, seeded, through the real bars, and then four minutes with every scenario. Without
coverage, which makes millions of calls take three times as long.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from jobs.domain.anomalies import Thresholds
from producer.metrics import ProducerMetrics
from producer.settings import SCENARIOS, SimulatorSettings
from producer.simulator.columns import QuoteColumns, TradeColumns
from producer.simulator.market import Market
from producer.simulator.resume import Resume
from producer.simulator.source import DELAY_MS, Simulator
from schemas.events import Alert
from tests.unit.jobs.anomalies.driver import SECOND_US, START_US
from tests.unit.jobs.anomalies.market_run import MarketRun
from tests.unit.producer.fakes import FakeClock

pytestmark = pytest.mark.no_cover
SYMBOLS = ("AAPL", "GOOGL", "MSFT", "AMZN", "META", "NVDA", "TSLA", "JPM", "V", "JNJ")
HOUR_S = 3600
SCENARIOS_S = 240
TRADES_PER_S, QUOTES_PER_S = 20, 10
SETTINGS = SimulatorSettings(
    symbols=SYMBOLS,
    trades_per_second=TRADES_PER_S,
    quotes_per_second=QUOTES_PER_S,
    simulator_scenarios=SCENARIOS,
)
JOB_DELAY_US = 20_000
WATERMARK_DELAY_US = JOB_DELAY_US + DELAY_MS * 1000
SPIKE, BURST, STALE = "AAPL", "GOOGL", "META"
"""The symbols of the first round of scenarios."""


@dataclass(frozen=True)
class Told:
    """What was told in the hour of calm, and after it."""

    run: MarketRun
    calm: list[Alert]
    watched: list[int]
    """Per symbol: the time until which it was watched, us."""
    later: list[Alert]

    def of(self, alert_type: str) -> list[Alert]:
        return [alert for alert in self.later if alert.type == alert_type]


@cache
def told() -> Told:
    """By the run that all tests look at."""
    run = MarketRun(SYMBOLS, Thresholds())
    resume = an_hour(run)
    calm, watched = run.alerts, [each.book.greatest_event_time for each in run.runs]
    all_scenarios(run, resume)
    return Told(run, calm, watched, run.alerts[len(calm) :])


def an_hour(run: MarketRun) -> Resume:
    """The market without its simulator, which makes batches of milliseconds: here they are of a second."""
    market = Market(SETTINGS)
    for second in range(HOUR_S):
        begin, end = (START_US + each * SECOND_US for each in (second, second + 1))
        trade_times, quote_times = (
            begin + SECOND_US * np.arange(1, rate + 1, dtype=np.int64) // rate
            for rate in (TRADES_PER_S, QUOTES_PER_S)
        )
        run.take(
            market.trades(trade_times, end), market.quotes(quote_times, end), (), end - WATERMARK_DELAY_US
        )
    return Resume(market.next_trade, {each.symbol: each.last_price for each in run.runs})


def all_scenarios(run: MarketRun, resume: Resume) -> None:
    """The simulator itself, from the end of the hour on."""
    clock = FakeClock(START_US + HOUR_S * SECOND_US)
    for batch in Simulator(SETTINGS, 100_000, clock, ProducerMetrics(), resume).batches():
        assert isinstance(batch.trades, TradeColumns)
        assert isinstance(batch.quotes, QuoteColumns)
        run.take(batch.trades, batch.quotes, batch.corrections, batch.clock_us - JOB_DELAY_US)
        if clock.us > START_US + (HOUR_S + SCENARIOS_S) * SECOND_US:
            return


def at(alert: Alert) -> float:
    """Seconds from the beginning of the scenarios to the time that an alert belongs to."""
    return (alert.event_time - START_US) / SECOND_US - HOUR_S


def test_an_hour_of_calm_gives_no_alert() -> None:
    """Of any kind, though every symbol traded and was quoted to its end."""
    assert told().calm == []
    assert min(told().watched) > START_US + (HOUR_S - 10) * SECOND_US
    assert min(run.quotes.quotes for run in told().run.runs) > 3000


def test_a_spike_is_one_alert() -> None:
    """8 % are more than 1.5 times the threshold; the way back is within the cooldown."""
    alerts = told().of("price_spike")
    assert [(a.symbol, a.revision, a.status, a.severity) for a in alerts] == [
        (SPIKE, 1, "raised", "low"),
        (SPIKE, 2, "raised", "medium"),
    ]
    assert len({alert.alert_id for alert in alerts}) == 1
    assert [at(alert) for alert in alerts] == [60, 60]
    assert all(alert.value > 5 and alert.bar_version is not None for alert in alerts)


def test_a_burst_is_one_alert_of_its_minute() -> None:
    """15 s at 25 times the volume are seven minutes' worth; of the longer bars too few were there to
    judge."""
    alerts = told().of("volume_anomaly")
    assert {(a.symbol, a.interval, a.status, at(a)) for a in alerts} == {(BURST, "1m", "raised", 0)}
    assert len({alert.alert_id for alert in alerts}) == 1
    assert [alert.revision for alert in alerts] == list(range(1, len(alerts) + 1))
    assert 6 < alerts[-1].value < 10
    assert alerts[-1].severity in {"high", "critical"}


def test_a_silence_is_one_alert_until_it_ends() -> None:
    """A minute: raised after half of it, resolved by the next trade."""
    alerts = told().of("stale_feed")
    assert [(a.symbol, a.revision, a.status, a.severity) for a in alerts] == [
        (STALE, 1, "raised", "low"),
        (STALE, 2, "resolved", "low"),
    ]
    assert at(alerts[0]) == pytest.approx(115, abs=3)


def test_nothing_else_is_told() -> None:
    """Late and repeated trades, cancels and corrections by a cent are part of an ordinary market."""
    assert {alert.type for alert in told().later} == {"price_spike", "volume_anomaly", "stale_feed"}
