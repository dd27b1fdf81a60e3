"""What reaches a client with several intervals, whatever comes in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from api.live.messages import Message, must_be_sent
from api.live.outbox import Outbox
from schemas.events import Event
from tests.unit.api.live.events import alert, candle, message, quote, trade

KEYS = (("trades", "AAPL"), ("quotes", "AAPL"), ("candles", "AAPL", "1m"), ("alerts", "AAPL"))
EVENTS = (trade, quote, candle, lambda number: candle(number, final=True), alert)
STEPS = st.one_of(
    st.sampled_from(["take", "wait", "answer"]),
    st.integers(0, len(EVENTS) - 1),
    st.fixed_dictionaries(dict.fromkeys(KEYS, st.sampled_from([0, 100, 500]))),
)


def is_in_order(sent: list[Message]) -> bool:
    numbers = [each.seq for each in sent]
    return numbers == sorted(set(numbers))


@given(steps=st.lists(STEPS, max_size=80), most_ticks=st.integers(1, 8))
def test_each_subscription_keeps_its_order_and_what_must_be_sent_is_sent(
    steps: list[object], most_ticks: int
) -> None:
    """Also while intervals change; every trade is sent or counted; nothing waits for ever."""
    skipped = {"trades": 0, "quotes": 0}

    def count(channel: str, number: int) -> None:
        skipped[channel] += number

    outbox = Outbox(most_ticks, 1_000, count)
    put: list[Message] = []
    sent: list[Message] = []
    now = 0.0
    for step in steps:
        if step == "take":
            sent += outbox.take(3, now)
        elif step == "wait":
            now += 0.05
            outbox.release(now)
        elif step == "answer":
            outbox.answer("answer", now)
        elif isinstance(step, int):
            event: Event = EVENTS[step](len(put) + 1)
            put.append(message(len(put) + 1, event, now))
            outbox.put(put[-1])
        elif isinstance(step, dict):
            outbox.pace(step, now)
        assert outbox.ready.is_set() or not outbox.sendable
    assert outbox.release(now + 1) is None
    sent += outbox.take(10_000, now)
    assert len(outbox) == 0
    assert not outbox.ready.is_set()
    for key in KEYS:
        assert is_in_order([each for each in sent if each.key == key])
    must = [each.seq for each in put if must_be_sent(each)]
    assert sorted(each.seq for each in sent if each.seq and must_be_sent(each)) == must
    trades = [each for each in put if each.key[0] == "trades"]
    assert len([each for each in sent if each.key[0] == "trades"]) + skipped["trades"] == len(trades)
    for channel in ("quotes", "candles"):
        of_channel = [each.seq for each in put if each.key[0] == channel]
        if of_channel and not skipped.get(channel):
            assert max(each.seq for each in sent if each.key[0] == channel) == of_channel[-1]
