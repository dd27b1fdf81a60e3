"""Numbers, fan-out, and the memory from which clients resume."""

import asyncio
from collections.abc import Collection

import pytest

from api.live.hub import MOST_EVENTS, Hub
from api.live.messages import ALL_ALERTS, Key
from api.live.outbox import Outbox
from schemas.events import Event, Quote, Trade
from tests.unit.api.live.events import alert, candle, correction, incoming, quote, ticks, trade

TRADES, BARS = ("trades", "AAPL"), ("candles", "AAPL", "1m")


def hub_with(*events: Event, remembered: int = 100) -> Hub:
    hub = Hub(remembered)
    publish(hub, *events)
    return hub


def publish(hub: Hub, *events: Event) -> None:
    asyncio.run(hub.publish(incoming(*events)))


def publish_together(hub: Hub, *events: Trade | Quote) -> None:
    asyncio.run(hub.publish([ticks(*events)]))


def listener(hub: Hub, *keys: Key) -> Outbox:
    outbox = Outbox(100, 100)
    hub.listen(outbox, keys)
    return outbox


def got(outbox: Outbox) -> list[int]:
    return [message.seq for message in outbox.take(1_000, 0.0)]


def missed(hub: Hub, seq: int, *keys: Key) -> list[int] | str:
    found = hub.missed(hub.epoch, seq, keys)
    return found if isinstance(found, str) else [message.seq for message in found]


def turns_of_others(hub: Hub, trades: int, *, together: bool = False) -> int:
    """How often somebody else on the loop runs while so many trades are published."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def run() -> None:
        counting = asyncio.create_task(count())
        events = [trade(number) for number in range(trades)]
        await hub.publish([ticks(*events)] if together else incoming(*events))
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
    for together in (False, True):
        turns = [turns_of_others(hub, MOST_EVENTS * 4, together=together) for hub in (Hub(100), heard)]
        assert turns == [0, 4]


def test_trades_that_come_together_are_what_they_are_one_by_one() -> None:
    """The same numbers, the same texts, to the same clients, now and later."""
    events = [trade(1), trade(2, "MSFT"), trade(3, "MSFT"), trade(4), trade(5, "MSFT"), trade(6)]
    found = []
    for publish_all in (publish, publish_together):
        hub = Hub(100)
        outbox = listener(hub, TRADES)
        publish_all(hub, *events)
        publish_all(hub, *events)
        texts = [message.text for message in outbox.take(100, 0.0)]
        again = [hub.missed(hub.epoch, seq, [TRADES, ("trades", "MSFT")]) for seq in range(13)]
        assert all(not isinstance(each, str) for each in again)
        found.append((hub.seq, texts, [[message.text for message in each] for each in again]))  # type: ignore[union-attr]
    assert found[0] == found[1]
    assert len(found[0][1]) == 6


@pytest.mark.parametrize("remembered", range(1, 14))
def test_of_trades_that_came_together_the_last_are_remembered(remembered: int) -> None:
    """As many as of those that came one by one, wherever that is among them."""
    events = [trade(number, symbol) for number, symbol in enumerate(("AAPL", "MSFT", "MSFT", "MSFT"))]
    found = []
    for publish_all in (publish, publish_together):
        hub = Hub(remembered)
        listener(hub, TRADES)
        for _ in range(3):
            publish_all(hub, *events)
        found.append([missed(hub, seq, TRADES, ("trades", "MSFT")) for seq in range(14)])
    assert found[0] == found[1]


def test_who_comes_while_trades_are_handed_out_gets_each_once() -> None:
    """What he asks to have again, and what comes behind it."""
    hub = Hub(1_000)
    listener(hub, TRADES)
    late, again = Outbox(1_000, 100), []

    async def join() -> None:
        found = hub.missed(hub.epoch, 0, [TRADES])
        assert not isinstance(found, str)
        again.extend(message.seq for message in found)
        hub.listen(late, [TRADES])

    async def run() -> None:
        joining = asyncio.create_task(join())
        await hub.publish([ticks(*(trade(number) for number in range(MOST_EVENTS * 3)))])
        await joining

    asyncio.run(run())
    assert 0 < len(again) < MOST_EVENTS * 3
    assert [*again, *got(late)] == list(range(1, MOST_EVENTS * 3 + 1))


def test_taps_learn_of_what_comes_together_first() -> None:
    """All of it, before it is numbered."""
    hub = Hub(100)
    tapped = []
    hub.taps.append(tapped.append)  # type: ignore[arg-type]
    hub.ticks_taps.append(lambda each: tapped.append((each.channel, len(each), hub.seq)))  # type: ignore[arg-type, return-value]
    publish_together(hub, quote(1), quote(2))
    assert tapped == [("quotes", 2, 0)]
    assert hub.latest.quote("AAPL").event == quote(2)  # type: ignore[union-attr]
