"""The whole system, for the tests of this package."""

from collections.abc import Iterator

import pytest

from tests.support.servers import LiveSystem, Servers, Stage


@pytest.fixture(scope="package")
def live_system(
    stage: Stage, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveSystem]:
    """The whole system as ``make run`` starts it, in larger batches and with a fifth of the trades: tests ask
    what is right, not how soon.

    It takes over folder and ports of the single servers, so their addresses stay good. It ends with the last
    of these tests: what comes after them has no use for it, and would share the processor with it.
    """
    live = LiveSystem(servers.settings, tmp_path_factory.mktemp("live"))
    stage.enter(live)
    live.start(
        BUNDLE_TIME_MS="100",
        WATERMARK_INTERVAL_MS="100",
        TRADES_PER_SECOND="20",
        QUOTES_PER_SECOND="10",
    )
    yield live
    stage.clear()
