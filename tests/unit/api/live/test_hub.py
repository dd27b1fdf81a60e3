"""Numbers, fan-out, and the memory from which clients resume."""

import asyncio
from collections.abc import Collection

from api.live.hub import MOST_EVENTS, Hub
from api.live.messages import ALL_ALERTS, Key
from api.live.outbox import Outbox
from schemas.events import Event
from tests.unit.api.live.events import alert, candle, correction, incoming, quote, trade

TRADES, BARS = ("trades", "AAPL"), ("candles", "AAPL", "1m")


def hub_with(*events: Event, remembered: int = 100) -> Hub:
    hub = Hub(remembered)
    publish(hub, *events)
    return hub


def publish(hub: Hub, *events: Event) -> None:
    asyncio.run(hub.publish(incoming(*events)))


def listener(hub: Hub, *keys: Key) -> Outbox:
    outbox = Outbox(100, 100)
    hub.listen(outbox, keys)
    return outbox


def got(outbox: Outbox) -> list[int]:
    return [message.seq for message in outbox.take(1_000, 0.0)]


def missed(hub: Hub, seq: int, *keys: Key) -> list[int] | str:
    found = hub.missed(hub.epoch, seq, keys)
    return found if isinstance(found, str) else [message.seq for message in found]


def turns_of_others(hub: Hub, trades: int) -> int:
    """How often somebody else on the loop runs while so many trades are published."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def run() -> None:
        counting = asyncio.create_task(count())
        await hub.publish(incoming(*(trade(number) for number in range(trades))))
        counting.cancel()

    asyncio.run(run())
    return turns


def test_everybody_gets_what_he_asked_for_and_nothing_else() -> None:
    """By channel, symbol and interval; corrections come with the trades."""
    hub = Hub(100)
    trades, bars, both, none = (listener(hub, *keys) for keys in ((TRADES,), (BARS,), (TRADES, BARS), ()))
    publish(
        hub, trade(1), trade(2, "MSFT"), candle(2), candle(2, interval="5m"), correction(5), quote(6)
    )  # fmt: skip
    assert [got(outbox) for outbox in (trades, bars, both, none)] == [[1, 5], [3], [1, 3, 5], []]


def test_all_clients_get_the_very_same_text() -> None:
    """Written once."""
    hub = Hub(100)
    one, other = listener(hub, TRADES), listener(hub, TRADES)
    publish(hub, trade(1))
    assert one.take(1, 0.0)[0].text is other.take(1, 0.0)[0].text


def test_alerts_of_all_symbols_include_those_about_the_system() -> None:
    """And who asked for one symbol, too, gets none twice."""
    hub = Hub(100)
    of_one = ("alerts", "AAPL")
    every, one, both = (listener(hub, *keys) for keys in ((ALL_ALERTS,), (of_one,), (ALL_ALERTS, of_one)))
    publish(hub, alert(1), alert(2, "MSFT"), alert(3, "*"))
    assert [got(outbox) for outbox in (every, one, both)] == [[1, 2, 3], [1], [1, 2, 3]]


def test_who_leaves_gets_no_more() -> None:
    """Of what he left; the rest goes on."""
    hub = Hub(100)
    outbox = listener(hub, TRADES, BARS)
    hub.leave(outbox, [TRADES, ("trades", "NEVER")])
    publish(hub, trade(1), candle(2))
    assert got(outbox) == [2]


def test_a_stale_version_of_a_bar_is_not_sent_and_not_numbered() -> None:
    """Clients see versions grow."""
    hub = Hub(100)
    outbox = listener(hub, BARS)
    publish(hub, candle(4), candle(2), candle(7, final=True))
    assert got(outbox) == [1, 2]
    assert hub.seq == 2


def test_new_versions_of_old_bars_are_sent_as_they_come() -> None:
    """A late trade corrects a bar of before."""
    hub = Hub(100)
    outbox = listener(hub, BARS)
    publish(hub, candle(7, final=True), candle(8, bar=1), candle(9, final=True))
    assert got(outbox) == [1, 2, 3]


def test_what_was_missed_is_what_came_after_the_number() -> None:
    """Of these keys."""
    hub = hub_with(trade(1), quote(2), trade(3), candle(5, final=True), trade(4, "MSFT"), trade(5))
    assert missed(hub, 0, TRADES) == [1, 3, 6]
    assert missed(hub, 1, TRADES, BARS) == [3, 4, 6]
    assert missed(hub, 6, TRADES) == []


def test_of_a_live_bar_the_last_version_was_missed() -> None:
    """Older ones say nothing more; each final one does."""
    hub = hub_with(candle(2), candle(4), candle(7, final=True), candle(9, final=True), candle(2, bar=1))
    assert missed(hub, 0, BARS) == [2, 3, 4, 5]


def test_missed_alerts_of_all_symbols() -> None:
    """As they would have been sent."""
    hub = hub_with(alert(1), trade(2), alert(3, "*"))
    assert missed(hub, 0, ALL_ALERTS) == [1, 3]
    assert missed(hub, 0, ("alerts", "AAPL")) == [1]


def test_why_a_client_cannot_resume() -> None:
    """Another process, too long ago, or a number that this one has not come to."""
    hub = hub_with(*(trade(number) for number in range(10)), remembered=3)
    assert missed(hub, 7, TRADES) == [8, 9, 10]
    assert missed(hub, 6, TRADES) == "too_old"
    assert missed(hub, 11, TRADES) == "unknown_seq"
    assert hub.missed(Hub(3).epoch, 7, [TRADES]) == "epoch_changed"
    assert missed(Hub(3), 0, TRADES) == []


def test_a_long_batch_lets_others_run_in_between() -> None:
    """A burst must not stop the heart of every client."""
    hub = Hub(10_000)
    listeners: Collection[Outbox] = [listener(hub, TRADES) for _ in range(10)]
    assert turns_of_others(hub, 1_000) >= 5
    assert all(len(outbox) > 0 for outbox in listeners)


def test_taps_learn_of_every_event_first() -> None:
    """Also of versions that are older than what clients have: caches decide for themselves."""
    hub = Hub(100)
    tapped = []
    hub.taps.append(lambda event: tapped.append((event.event, hub.seq)))
    events = [trade(1), candle(4), candle(2), quote(3)]
    publish(hub, *events)
    assert tapped == [(events[0], 0), (events[1], 1), (events[2], 2), (events[3], 2)]


def test_events_that_nobody_gets_do_not_wait_for_the_others_on_the_loop() -> None:
    """A busy loop must not hold up what fills the caches; whoever listens has his turn in between."""
    heard = Hub(100)
    listener(heard, TRADES)
    assert [turns_of_others(hub, MOST_EVENTS * 4) for hub in (Hub(100), heard)] == [0, 4]
