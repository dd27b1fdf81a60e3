"""What waits for a client, and what becomes of it when the client is slow."""

import json
from typing import Any

from api.live.messages import Message
from api.live.outbox import Outbox
from tests.unit.api.live.events import alert, candle, correction, message, quote, trade


def taken(outbox: Outbox, most: int = 1_000) -> list[Any]:
    """What is sent next: the seq of an event, the text of an answer."""
    return [
        each.seq or (json.loads(each.text) if each.text.startswith("{") else each.text)
        for each in outbox.take(most, 1.0)
    ]


def paced(most_ticks: int = 10, **milliseconds: int) -> Outbox:
    """With an interval for channels of AAPL, from second 0 on."""
    outbox = Outbox(most_ticks, 10)
    every = dict.fromkeys(("trades", "quotes", "candles", "alerts"), 0) | milliseconds
    last = {"candles": ("1m",)}
    outbox.pace({(channel, "AAPL", *last.get(channel, ())): ms for channel, ms in every.items()}, 0.0)
    return outbox


def test_messages_are_sent_in_their_order() -> None:
    """Whatever their kind; and nothing waits afterwards."""
    outbox = Outbox(10, 10)
    for seq, event in enumerate((trade(), quote(), candle(), alert(), candle(final=True), correction()), 1):
        outbox.put(message(seq, event))
    assert outbox.ready.is_set()
    assert taken(outbox, 4) == [1, 2, 3, 4]
    assert outbox.ready.is_set()
    assert taken(outbox) == [5, 6]
    assert not outbox.ready.is_set()
    assert len(outbox) == 0


def test_too_many_ticks_are_skipped_all_at_once_with_their_number() -> None:
    """The newest stays, bars and alerts do; the notice says which were skipped."""
    skipped: list[tuple[str, int]] = []
    outbox = Outbox(3, 10, lambda channel, count: skipped.append((channel, count)))
    for seq, event in enumerate((trade(1), alert(), quote(2), candle(), trade(3), trade(4)), 1):
        outbox.put(message(seq, event))
    gap = {"type": "gap", "skipped": {"trades": 2, "quotes": 1}, "from_seq": 1, "to_seq": 5}
    assert taken(outbox) == [2, 4, gap, 6]
    assert skipped == [("trades", 2), ("quotes", 1)]


def test_gaps_of_a_client_that_takes_nothing_become_one_notice() -> None:
    """Of all that was skipped since the last one."""
    outbox = Outbox(2, 10)
    for seq in range(1, 8):
        outbox.put(message(seq, trade(seq)))
    assert taken(outbox) == [{"type": "gap", "skipped": {"trades": 6}, "from_seq": 1, "to_seq": 6}, 7]
    for seq in range(8, 11):
        outbox.put(message(seq, trade(seq)))
    assert taken(outbox) == [{"type": "gap", "skipped": {"trades": 2}, "from_seq": 8, "to_seq": 9}, 10]


def test_of_a_live_bar_the_newest_version_waits() -> None:
    """At the place of the newest, so that numbers only grow; other bars are not touched."""
    outbox = Outbox(10, 10)
    events = (candle(2), candle(2, interval="5m"), trade(), candle(4), candle(6), candle(2, bar=1))
    for seq, event in enumerate(events, 1):
        outbox.put(message(seq, event))
    assert taken(outbox) == [2, 3, 5, 6]


def test_final_bars_and_alerts_are_never_skipped() -> None:
    """Every version of a final bar goes out, however many ticks come in between."""
    outbox = Outbox(2, 100)
    kept = []
    for seq in range(1, 61, 3):
        outbox.put(message(seq, trade(seq)))
        outbox.put(message(seq + 1, candle(seq, final=True)))
        outbox.put(message(seq + 2, alert(seq)))
        kept += [seq + 1, seq + 2]
    sent = taken(outbox)
    assert [seq for seq in sent if seq in kept] == kept
    assert not outbox.overfull


def test_beyond_the_limit_of_what_is_kept_nothing_more_is_taken_in() -> None:
    """The one over the limit still is: the session ends, and it must not be lost."""
    outbox = Outbox(10, 2)
    for seq, event in enumerate((alert(1), trade(), alert(2), candle(4), alert(3), alert(4), trade()), 1):
        outbox.put(message(seq, event))
    assert outbox.overfull
    assert [each.seq for each in outbox.take_kept()] == [1, 3, 5]
    assert len(outbox) == 0


def test_what_has_been_sent_counts_no_more() -> None:
    """The limits are about what waits."""
    outbox = Outbox(1, 1)
    for seq in range(1, 9, 2):
        outbox.put(message(seq, trade(seq)))
        outbox.put(message(seq + 1, alert(seq)))
        assert taken(outbox) == [seq, seq + 1]
    assert not outbox.overfull


def test_an_answer_is_urgent_and_keeps_its_place() -> None:
    """Behind the events of before it, also those that were to be gathered."""
    outbox = paced(trades=500)
    outbox.put(message(1, trade()))
    outbox.put(message(2, candle()))
    outbox.answer("answer", 2.0)
    outbox.put(message(3, trade()))
    outbox.answer("another", 2.0)
    assert outbox.sendable == 5
    assert taken(outbox) == [2, 1, "answer", 3, "another"]
    assert not outbox.ready.is_set()


def test_a_replay_goes_before_everything_else() -> None:
    """Its events are older than those that wait."""
    outbox = Outbox(1, 10)
    outbox.put(message(8, trade(8)))
    outbox.put_first([message(seq, trade(seq)) for seq in (5, 6, 7)])
    assert outbox.replaying
    assert taken(outbox, 2) == [5, 6]
    assert outbox.replaying
    assert taken(outbox) == [7, 8]
    assert not outbox.replaying


def test_final_bars_of_a_replay_are_kept_as_well() -> None:
    """When the client has to go in the middle of it."""
    outbox = Outbox(10, 10)
    outbox.put_first([message(5, trade(5)), message(6, candle(final=True)), message(7, candle(2, bar=1))])
    outbox.put(message(8, alert()))
    assert [each.seq for each in outbox.take_kept()] == [6, 8]


def test_a_client_that_wants_to_hear_seldom_gets_the_newest_quote_of_each_symbol() -> None:
    """And every trade."""
    outbox = Outbox(10, 10)
    outbox.pace({("quotes", "AAPL"): 500, ("quotes", "MSFT"): 500, ("trades", "AAPL"): 500}, 0.0)
    events = (quote(1), quote(2, "MSFT"), trade(3), quote(4), trade(5), quote(6))
    for seq, event in enumerate(events, 1):
        outbox.put(message(seq, event))
    assert outbox.release(0.5) is None
    assert taken(outbox) == [2, 3, 5, 6]


def test_conflated_quotes_do_not_fill_the_queue() -> None:
    """What newer ones took the place of does not wait."""
    outbox = paced(2, quotes=500)
    for seq in range(1, 20):
        outbox.put(message(seq, quote(seq)))
    outbox.put(message(20, trade(20)))
    assert taken(outbox) == [20]
    assert outbox.release(0.5) is None
    assert taken(outbox) == [19]


def test_every_interval_has_its_own_time() -> None:
    """It begins when the last one was over; after silence nothing is held back."""
    outbox = paced(trades=500, quotes=1_000)
    outbox.put(message(1, quote()))
    outbox.put(message(2, trade()))
    outbox.put(message(3, candle()))
    assert taken(outbox) == [3]
    assert outbox.release(0.25) == 0.25
    assert taken(outbox) == []
    assert outbox.release(0.5) == 0.5
    assert taken(outbox) == [2]
    outbox.put(message(4, trade()))
    assert outbox.release(0.75) == 0.25
    assert outbox.release(1.0) is None
    assert taken(outbox) == [1, 4]
    outbox.put(message(5, trade()))
    assert outbox.release(9.0) is None
    assert taken(outbox) == [5]


def test_only_the_first_message_that_is_gathered_wakes_the_sender() -> None:
    """It has to know until when; the others wait with it."""
    outbox = paced(trades=500)
    outbox.put(message(1, trade()))
    assert outbox.ready.is_set()
    outbox.ready.clear()
    outbox.put(message(2, trade()))
    assert not outbox.ready.is_set()
    outbox.put(message(3, quote()))
    assert outbox.ready.is_set()


def test_only_the_slow_lane_is_skipped() -> None:
    """The limit is that of the client; the notice does not wait for the interval."""
    outbox = paced(4, trades=5_000)
    outbox.put(message(1, quote(1)))
    for seq in range(2, 6):
        outbox.put(message(seq, trade(seq)))
    gap = {"type": "gap", "skipped": {"trades": 3}, "from_seq": 2, "to_seq": 4}
    assert taken(outbox) == [1, gap]
    assert outbox.release(5.0) is None
    assert taken(outbox) == [5]


def test_final_bars_and_alerts_are_gathered_and_never_skipped() -> None:
    """Also when the client has to go in the middle of an interval."""
    outbox = paced(2, candles=5_000, alerts=5_000, trades=1_000)
    events = (candle(3, final=True), trade(), alert(), trade(), trade(), candle(5, bar=1, final=True))
    for seq, event in enumerate(events, 1):
        outbox.put(message(seq, event))
    assert outbox.first_seq == 1
    assert [each.seq for each in outbox.take_kept()] == [1, 3, 6]
    assert len(outbox) == 0


def test_what_is_gathered_counts_towards_the_limit_of_what_is_kept() -> None:
    """Then all of it can be sent."""
    outbox = Outbox(10, 2)
    outbox.pace({("alerts", "*"): 5_000}, 0.0)
    for seq in range(1, 4):
        outbox.put(message(seq, alert(seq)))
    assert outbox.overfull
    assert outbox.ready.is_set()
    assert taken(outbox) == [1, 2, 3]


def test_an_alert_of_two_subscriptions_waits_for_the_shorter_interval() -> None:
    """Whichever of the two it is."""
    outbox = Outbox(10, 10)
    outbox.pace({("alerts", "*"): 2_000, ("alerts", "AAPL"): 1_000, ("alerts", "MSFT"): 0}, 0.0)
    for seq, symbol in enumerate(("AAPL", "MSFT", "TSLA", "*"), 1):
        outbox.put(message(seq, alert(seq, symbol)))
    assert taken(outbox) == [2]
    assert outbox.release(1.0) == 1.0
    assert taken(outbox) == [1]
    assert outbox.release(2.0) is None
    assert taken(outbox) == [3, 4]


def test_another_interval_lets_go_of_what_was_gathered() -> None:
    """So that a symbol's messages keep their order."""
    outbox = paced(trades=5_000)
    outbox.put(message(1, trade()))
    outbox.pace({("trades", "AAPL"): 0}, 1.0)
    outbox.put(message(2, trade()))
    assert not outbox.gathers
    assert taken(outbox) == [1, 2]


def test_the_oldest_message_tells_how_long_the_client_lags() -> None:
    """A replay is old by nature and does not count."""
    outbox = Outbox(10, 10)
    assert outbox.oldest is None
    outbox.put_first([Message(1, ("trades", "AAPL"), "", 0, 1.0)])
    assert outbox.oldest is None
    outbox.put(message(2, trade(), at=5.0))
    outbox.put(message(3, trade(), at=6.0))
    assert outbox.oldest == 5.0
