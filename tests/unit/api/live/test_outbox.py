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
    """Behind the events of before it."""
    outbox = Outbox(10, 10)
    outbox.put(message(1, trade()))
    assert not outbox.urgent.is_set()
    outbox.answer("answer", 2.0)
    outbox.put(message(2, trade()))
    outbox.answer("another", 2.0)
    assert outbox.urgent.is_set()
    assert taken(outbox) == [1, "answer", 2, "another"]
    assert not outbox.urgent.is_set()


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
    outbox.newest_quotes_only = True
    events = (quote(1), quote(2, "MSFT"), trade(3), quote(4), trade(5), quote(6))
    for seq, event in enumerate(events, 1):
        outbox.put(message(seq, event))
    assert taken(outbox) == [2, 3, 5, 6]


def test_conflated_quotes_do_not_fill_the_queue() -> None:
    """What newer ones took the place of does not wait."""
    outbox = Outbox(2, 10)
    outbox.newest_quotes_only = True
    for seq in range(1, 20):
        outbox.put(message(seq, quote(seq)))
    outbox.put(message(20, trade(20)))
    assert taken(outbox) == [19, 20]


def test_the_oldest_message_tells_how_long_the_client_lags() -> None:
    """A replay is old by nature and does not count."""
    outbox = Outbox(10, 10)
    assert outbox.oldest is None
    outbox.put_first([Message(1, ("trades", "AAPL"), "", 0, 1.0)])
    assert outbox.oldest is None
    outbox.put(message(2, trade(), at=5.0))
    outbox.put(message(3, trade(), at=6.0))
    assert outbox.oldest == 5.0
