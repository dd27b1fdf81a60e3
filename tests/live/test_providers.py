"""One look at each real provider: `make test-live`. Nothing else in the tests leaves this machine."""

import os
import threading
import time

import pytest

from producer.clock import SystemClock
from producer.metrics import ProducerMetrics
from producer.providers.catalogue import POLLED, PROVIDERS, make_adapter, make_polled
from producer.providers.deliveries import Delivery, Notice
from producer.providers.feed import Feed
from producer.providers.settings import ProviderSettings
from producer.runtime import Runtime
from schemas.settings import STOCKS, SYMBOLS_OF

LONG_S = 60.0
AROUND_THE_CLOCK = ("binance", "coinbase")


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_provider_lets_us_in_and_is_understood(name: str) -> None:
    """The key is accepted and nothing is rejected; where the market never closes, events come. One that is
    asked has answered: that may cost a few of a day's requests."""
    settings = ProviderSettings()
    needs = PROVIDERS[name].needs
    if missing := [setting for setting in needs if not getattr(settings, setting.lower())]:
        pytest.skip(f"{' and '.join(missing)} not set")
    if not needs and name not in os.environ.get("LIVE", "").split(","):
        pytest.skip(f"needs no key, and is asked for by: make test-live LIVE={name}")
    stop = threading.Event()
    runtime = Runtime(SystemClock(stop), ProducerMetrics(), stop)
    adapter = make_polled(name, settings) if name in POLLED else make_adapter(name, settings)
    feed = Feed(adapter, SYMBOLS_OF.get(name, STOCKS[:3]), settings, runtime)
    items: list[Delivery | Notice] = []
    until = time.monotonic() + LONG_S
    try:
        while time.monotonic() < until and not _enough(name, items):
            items += feed.take(0.1).items
    finally:
        feed.close()
    assert _enough(name, items), items[:20]
    assert [item for item in items if isinstance(item, Delivery) and item.parsed.rejected] == []


def _enough(name: str, items: list[Delivery | Notice]) -> bool:
    connected = any(isinstance(item, Notice) and item.what == "connected" for item in items)
    events = sum(item.parsed.events for item in items if isinstance(item, Delivery))
    return connected and (events >= 10 or name not in AROUND_THE_CLOCK)
