"""The publisher against a stand-in for Kafka's client; tests/pipeline has the same on the real one."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError

from producer.publisher import Publisher
from producer.runtime import Runtime
from producer.settings import PublisherSettings
from producer.sources import Batch, Rejected
from producer.startup import Destination
from schemas.avro_codec import Decoder, parsed_schema
from schemas.errors import ConfigurationError, UnavailableError
from schemas.events import Correction, DeadLetter, Gap, ProviderBar, Quote, Trade
from tests.unit.producer.fakes import START_US, FakeClient, FakeError, FakeMessage, fake_runtime

SCHEMA_IDS: Mapping[str, int] = {
    "t.trades": 1, "t.quotes": 2, "t.dead-letter": 3, "t.trades-market.Correction": 4,
    "t.gaps": 5, "t.provider-bars": 6,
}  # fmt: skip
LETTERS = Decoder(DeadLetter, lambda _: None, {3: parsed_schema(DeadLetter)})
TRADES = Decoder((Trade, Correction), lambda _: None, {1: parsed_schema(Trade), 4: parsed_schema(Correction)})
GAPS = Decoder(Gap, lambda _: None, {5: parsed_schema(Gap)})
BARS = Decoder(ProviderBar, lambda _: None, {6: parsed_schema(ProviderBar)})
QUOTES = Decoder(Quote, lambda _: None, {2: parsed_schema(Quote)})
INVALID, DIFFERENT = KafkaError.INVALID_RECORD, KafkaError._INVALID_DIFFERENT_RECORD
QUOTE = Quote("AAPL", START_US, START_US, 9.0, 1.0, 11.0, 1.0, 1, "test")


def trade(number: int, **changes: Any) -> Trade:
    values = {"symbol": "AAPL", "event_time": START_US + number, "price": 10.0, "size": 1.0} | changes
    return Trade(received_at=START_US, trade_id=str(number), sequence=number, source="test", **values)


def cancel(number: int, **changes: Any) -> Correction:
    values = {"symbol": "AAPL", "event_time": START_US + 2000 + number} | changes
    identity = {"correction_id": f"c{number}", "sequence": number, "trade_id": str(number)}
    return Correction(received_at=START_US, source="test", **identity, **values)  # type: ignore[arg-type]


def all_fail(error: FakeError) -> Callable[[list[FakeMessage]], list[FakeError | None]]:
    return lambda batch: [error] * len(batch)


class Setup:
    """A publisher and what it talks to."""

    def __init__(self, **settings: Any) -> None:
        self.runtime: Runtime = fake_runtime()
        self.publisher = Publisher(
            PublisherSettings(topic_prefix="t", **settings),
            Destination(SCHEMA_IDS, {"t.trades": 2, "t.quotes": 1, "t.gaps": 1, "t.dead-letter": 1}),
            self.runtime,
            client=self._make,
        )

    def _make(self, config: dict[str, Any]) -> FakeClient:
        self.client = FakeClient(config)
        return self.client

    def sent(self, topic: str) -> list[FakeMessage]:
        return [message for message in self.client.log if message.topic() == topic]

    def letters(self) -> list[DeadLetter]:
        return [LETTERS.decode(message.value() or b"") for message in self.sent("t.dead-letter")]  # type: ignore[misc]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.runtime.metrics.registry.get_sample_value(name, labels)


def test_events_are_written_under_their_symbol_and_time() -> None:
    """Key, value and timestamp of trades and quotes; every one is acknowledged and counted."""
    setup = Setup()
    setup.publisher.publish(Batch(0, [trade(1), trade(2)], [QUOTE]))
    setup.publisher.poll()
    sent = setup.sent("t.trades")
    assert [TRADES.decode(message.value() or b"") for message in sent] == [trade(1), trade(2)]
    assert {(message.key(), message.timestamp()[1]) for message in sent} == {(b"AAPL", START_US // 1000)}
    assert [QUOTES.decode(message.value() or b"") for message in setup.sent("t.quotes")] == [QUOTE]
    assert setup.publisher.acknowledged == {
        "trade": 2, "correction": 0, "quote": 1, "provider_bar": 0, "gap": 0, "dead_letter": 0,
        "heartbeat": 0,
    }  # fmt: skip
    assert setup.metric("producer_events_produced_total", kind="trade") == 2
    assert setup.metric("producer_events_acknowledged_total", kind="trade") == 2
    assert setup.metric("producer_publish_latency_seconds_count") == 1


def provider_bar(received_at: int = START_US) -> ProviderBar:
    minute = START_US - START_US % 60_000_000
    prices = 10.0, 11.0, 9.0, 10.5
    return ProviderBar(
        "AAPL", "yahoo", "1m", minute, minute + 60_000_000, *prices, 7.0, None, None, False, received_at
    )


def test_bars_of_providers_are_written_under_their_symbol_and_receipt() -> None:
    """To a topic of their own: the bar may be of long ago, it was asked for just now."""
    setup = Setup()
    setup.publisher.publish(Batch(0, bars=[provider_bar(START_US + 5000)]))
    setup.publisher.poll()
    [message] = setup.sent("t.provider-bars")
    assert BARS.decode(message.value() or b"") == provider_bar(START_US + 5000)
    assert (message.key(), message.timestamp()[1]) == (b"AAPL", START_US // 1000 + 5)
    assert setup.metric("producer_events_acknowledged_total", kind="provider_bar") == 1


def test_a_bar_that_kafka_refuses_is_a_dead_letter_of_its_topic() -> None:
    """Under the time that it was sent with."""
    setup = Setup()
    setup.client.refuses = lambda batch: [
        FakeError(KafkaError.INVALID_TIMESTAMP) if message.topic() == "t.provider-bars" else None
        for message in batch
    ]
    setup.publisher.publish(Batch(0, bars=[provider_bar()]))
    setup.publisher.poll()
    setup.publisher.poll()
    [letter] = setup.letters()
    assert (letter.reason, letter.topic) == ("implausible_time", "t.provider-bars")
    assert f"{START_US // 1000} ms" in letter.detail


def test_gaps_are_written_under_their_symbol_and_end() -> None:
    """To a topic of their own; a gap may have begun long ago, but it ended just now."""
    setup = Setup()
    gap = Gap("g", "AAPL", "test", START_US - 10**9, START_US, True, "silence", "why", START_US + 1)
    setup.publisher.publish(Batch(0, gaps=[gap]))
    setup.publisher.poll()
    [message] = setup.sent("t.gaps")
    assert GAPS.decode(message.value() or b"") == gap
    assert (message.key(), message.timestamp()[1]) == (b"AAPL", START_US // 1000)
    assert setup.metric("producer_events_acknowledged_total", kind="gap") == 1


def test_corrections_follow_the_trades_of_their_batch() -> None:
    """In the topic of the trades, under their symbol and their own time, with the schema id of their own."""
    setup = Setup()
    corrected = cancel(2, kind="correct", price=9.5, size=2.0)
    setup.publisher.publish(Batch(0, [trade(1), trade(2)], corrections=[cancel(1), corrected]))
    setup.publisher.poll()
    sent = setup.sent("t.trades")
    events = [TRADES.decode(message.value() or b"") for message in sent]
    assert events == [trade(1), trade(2), cancel(1), corrected]
    assert {message.key() for message in sent} == {b"AAPL"}
    assert [message.timestamp()[1] for message in sent] == [
        event.event_time // 1000 for event in (trade(1), trade(2), cancel(1), corrected)
    ]
    assert setup.publisher.acknowledged["correction"] == 2
    assert setup.metric("producer_events_acknowledged_total", kind="correction") == 2


def test_a_correction_that_cannot_be_published_is_a_dead_letter_of_the_trades() -> None:
    """One that cannot be encoded, and one that Kafka refuses for its time while its batch goes on."""
    setup = Setup()
    ahead = START_US // 1000 + 100_000

    def refuses(batch: list[FakeMessage]) -> list[FakeError | None]:
        bad = any(message.timestamp()[1] >= ahead for message in batch)
        return [FakeError(KafkaError.INVALID_TIMESTAMP) if bad else None] * len(batch)

    setup.client.refuses = refuses
    late = cancel(2, event_time=ahead * 1000)
    corrections = [cancel(1, exchange="\ud800"), late, cancel(3)]
    setup.publisher.publish(Batch(0, [trade(1)], corrections=corrections))
    setup.publisher.poll()
    setup.publisher.settle()
    events = {TRADES.decode(message.value() or b"") for message in setup.sent("t.trades")}
    assert events == {trade(1), cancel(3)}
    letters = {letter.reason: letter for letter in setup.letters()}
    assert letters.keys() == {"invalid_identity", "implausible_time"}
    assert {letter.topic for letter in letters.values()} == {"t.trades"}
    assert TRADES.decode(letters["implausible_time"].payload or b"") == late
    assert setup.publisher.close() == 0


def test_heartbeats_reach_every_partition_after_what_was_before_them() -> None:
    """Null key, null value, one for each partition of trades and quotes, behind the trades of its batch."""
    setup = Setup()
    setup.publisher.publish(Batch(0, [trade(1)]))
    setup.publisher.heartbeat(1234)
    setup.publisher.poll()
    beats = setup.client.log[1:]
    assert [(m.topic(), m.partition(), m.key(), m.value(), m.timestamp()[1]) for m in beats] == [
        ("t.trades", 0, None, None, 1234),
        ("t.trades", 1, None, None, 1234),
        ("t.quotes", 0, None, None, 1234),
        ("t.gaps", 0, None, None, 1234),
    ]
    assert setup.metric("producer_heartbeat_timestamp_seconds") == pytest.approx(1.234)


def test_a_full_queue_makes_the_source_wait() -> None:
    """Nothing is dropped when the client's queue is full: publishing goes on when there is room."""
    setup = Setup()
    setup.client.capacity = 3
    setup.publisher.publish(Batch(0, [trade(number) for number in range(10)]))
    setup.publisher.poll()
    assert [TRADES.decode(m.value() or b"").sequence for m in setup.sent("t.trades")] == list(range(10))  # type: ignore[union-attr]
    assert setup.metric("producer_queue_full_total") == 3


def test_a_stop_ends_the_wait_for_room_and_counts_what_was_not_sent() -> None:
    """With Kafka away and the queue full, a stop does not hang; the rest is reported as unsent."""
    setup = Setup()
    setup.client.capacity, setup.client.away = 3, True
    setup.runtime.stop.set()
    setup.publisher.publish(Batch(0, [trade(number) for number in range(10)]))
    assert setup.publisher.close() == 10


def test_rejects_become_dead_letters() -> None:
    """Reason, detail, payload and the topic it was meant for; keyed by the symbol where there is one."""
    setup = Setup()
    rejected = [
        Rejected("invalid_price", "price is -1", b"{}", "quote", "AAPL"),
        Rejected("unreadable_row", "f:2: no", b"x" * 600_000),
    ]
    setup.publisher.publish(Batch(0, rejected=rejected))
    setup.publisher.poll()
    assert setup.letters() == [
        DeadLetter("invalid_price", "price is -1", "producer", "t.quotes", payload=b"{}"),
        DeadLetter("unreadable_row", "f:2: no", "producer", "t.trades", payload=b"x" * 524_288),
    ]
    assert [message.key() for message in setup.sent("t.dead-letter")] == [b"AAPL", None]
    assert setup.metric("producer_dead_letters_total", reason="unreadable_row") == 1


def test_what_cannot_be_encoded_is_a_dead_letter() -> None:
    """Half a surrogate pair in an id, which JSON can bring, costs that one trade only."""
    setup = Setup()
    setup.publisher.publish(Batch(0, [trade(1, exchange="\ud800"), trade(2)]))
    setup.publisher.poll()
    assert [TRADES.decode(m.value() or b"") for m in setup.sent("t.trades")] == [trade(2)]
    assert [letter.reason for letter in setup.letters()] == ["invalid_identity"]


@pytest.mark.parametrize("alone", [True, False], ids=["old_broker", "new_broker"])
def test_a_batch_refused_for_one_timestamp_is_sent_again(alone: bool) -> None:
    """The innocent ones arrive, the guilty one becomes a dead letter with the value as it was."""
    setup = Setup()
    late = START_US // 1000 + 100_000

    def refuses(batch: list[FakeMessage]) -> list[FakeError | None]:
        guilty = [message.timestamp()[1] >= late for message in batch]
        if not any(guilty):
            return [None] * len(batch)
        if alone or len(batch) == 1:
            return [FakeError(KafkaError.INVALID_TIMESTAMP)] * len(batch)
        return [FakeError(INVALID if bad else DIFFERENT) for bad in guilty]

    setup.client.refuses = refuses
    bad = trade(2, event_time=late * 1000)
    setup.publisher.publish(Batch(0, [trade(1), bad, trade(3)]))
    setup.publisher.heartbeat(5)
    setup.publisher.poll()
    setup.publisher.settle()
    assert [TRADES.decode(m.value() or b"") for m in setup.sent("t.trades") if m.value()] == [
        trade(1),
        trade(3),
    ]
    assert [(m.topic(), m.partition()) for m in setup.client.log if m.value() is None] == [
        ("t.trades", 0), ("t.trades", 1), ("t.quotes", 0), ("t.gaps", 0),
    ]  # fmt: skip
    (letter,) = setup.letters()
    assert (letter.reason, letter.topic) == ("implausible_time", "t.trades")
    assert TRADES.decode(letter.payload or b"") == bad
    assert setup.publisher.failed == 0
    assert setup.publisher.close() == 0


def test_a_record_that_is_refused_alone_for_another_reason_is_a_failure() -> None:
    """It is not sent for ever: refused with its batch, then alone, it is logged and counted."""
    setup = Setup()
    setup.client.refuses = all_fail(FakeError(INVALID))
    setup.publisher.publish(Batch(0, [trade(1), trade(2)]))
    setup.publisher.poll()
    assert setup.publisher.failed == 2
    assert setup.publisher.close() == 0


def test_a_heartbeat_that_is_refused_stops_the_part() -> None:
    """Without heartbeats no bar becomes final: the message says which clock or topic to look at."""
    setup = Setup()
    setup.client.refuses = all_fail(FakeError(KafkaError.INVALID_TIMESTAMP))
    setup.publisher.heartbeat(99)
    with pytest.raises(ConfigurationError, match=r"heartbeat .* message\.timestamp\.after\.max\.ms"):
        setup.publisher.poll()


def test_a_dead_letter_that_is_refused_stops_the_part() -> None:
    """It is dated by our own clock: it does not become a letter itself, and again, for ever."""
    setup = Setup()
    setup.client.refuses = all_fail(FakeError(KafkaError.INVALID_TIMESTAMP))
    setup.publisher.publish(Batch(0, rejected=[Rejected("unreadable_row", "f:2: no", b"x")]))
    with pytest.raises(ConfigurationError, match=r"dead letter .* set this machine's clock"):
        setup.publisher.poll()


@pytest.mark.parametrize(
    "error",
    [FakeError(KafkaError.UNKNOWN_TOPIC_OR_PART), FakeError(KafkaError.MSG_SIZE_TOO_LARGE, fatal=True)],
)
def test_an_error_that_every_event_would_meet_stops_the_part(error: FakeError) -> None:
    """A topic that is gone, or a client that has failed for good, is not retried for ever."""
    setup = Setup()
    setup.client.refuses = all_fail(error)
    setup.publisher.publish(Batch(0, [trade(1)]))
    with pytest.raises(UnavailableError, match=r"t\.trades"):
        setup.publisher.poll()


def test_one_refused_record_is_logged_and_counted() -> None:
    """An error of one record does not stop the others."""
    setup = Setup()
    setup.client.refuses = all_fail(FakeError(KafkaError.MSG_SIZE_TOO_LARGE))
    with structlog.testing.capture_logs() as entries:
        setup.publisher.publish(Batch(0, [trade(1)]))
        setup.publisher.poll()
    assert [entry["event"] for entry in entries] == ["delivery_failed"]
    assert setup.publisher.failed == 1
    assert setup.metric("producer_delivery_failures_total", kind="trade", error="ERROR_10") == 1


def test_an_unreachable_kafka_is_said_once_and_when_it_is_back() -> None:
    """While Kafka is away events wait, without a line for each attempt to reach it."""
    setup = Setup()
    setup.client.away = True
    setup.publisher.publish(Batch(0, [trade(1)]))
    with structlog.testing.capture_logs() as entries:
        for _ in range(3):
            setup.client.config["error_cb"](FakeError(KafkaError._ALL_BROKERS_DOWN))
            setup.publisher.poll()
        setup.client.away = False
        setup.publisher.poll()
    assert [entry["event"] for entry in entries] == ["kafka_unreachable", "kafka_reachable_again"]
    assert setup.publisher.acknowledged["trade"] == 1


def test_the_client_is_idempotent_and_never_gives_up() -> None:
    """What the delivery guarantee rests on."""
    config = Setup().client.config
    assert config["enable.idempotence"] is True
    assert config["acks"] == "all"
    assert config["message.timeout.ms"] == 0
    assert config["queue.buffering.max.messages"] == PublisherSettings().publisher_queue_events


def test_the_ledger_has_what_was_acknowledged_and_nothing_else(tmp_path: Path) -> None:
    """One line for each acknowledged trade, with exact numbers; what was refused is not in it."""
    path = tmp_path / "ledger.csv"
    path.write_text("before\n")
    setup = Setup(ledger_file=str(path))
    setup.publisher.publish(Batch(0, [trade(1, price=0.1, size=3.0)], [QUOTE]))
    setup.publisher.poll()
    setup.client.refuses = all_fail(FakeError(KafkaError.MSG_SIZE_TOO_LARGE))
    setup.publisher.publish(Batch(0, [trade(2)]))
    setup.publisher.poll()
    setup.publisher.close()
    assert path.read_text() == f"before\nAAPL,test,1,{START_US + 1},1,0.1,3.0,trade,\n"


def test_the_ledger_tells_corrections_from_trades(tmp_path: Path) -> None:
    """The same columns, with the trade that it is about, its kind and its own id."""
    path = tmp_path / "ledger.csv"
    setup = Setup(ledger_file=str(path))
    corrected = cancel(2, kind="correct", price=0.1, size=3.0)
    setup.publisher.publish(Batch(0, [trade(1)], corrections=[cancel(1), corrected]))
    setup.publisher.poll()
    setup.publisher.close()
    assert path.read_text().splitlines() == [
        f"AAPL,test,1,{START_US + 1},1,10.0,1.0,trade,",
        f"AAPL,test,1,{START_US + 2001},1,,,cancel,c1",
        f"AAPL,test,2,{START_US + 2002},2,0.1,3.0,correct,c2",
    ]


def test_the_ledger_is_written_with_every_poll(tmp_path: Path) -> None:
    """A kill of the producer takes nothing from it that was acknowledged and looked at."""
    path = tmp_path / "ledger.csv"
    setup = Setup(ledger_file=str(path))
    for number in (1, 2):
        setup.publisher.publish(Batch(0, [trade(number)]))
        setup.publisher.poll()
        line = f"AAPL,test,{number},{START_US + number},{number},10.0,1.0,trade,"
        assert path.read_text().splitlines()[-1] == line
    setup.publisher.close()


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ("", ""),
        ("one\n", "one\n"),
        ("one\ntwo\nAAPL,te", "one\ntwo\n"),
        ("AAPL,te", ""),
        ("one\n" + "x" * 10_000, "one\n"),
    ],
)
def test_half_a_line_of_a_killed_producer_is_cut_off(tmp_path: Path, found: str, kept: str) -> None:
    """The next line would be joined to it."""
    path = tmp_path / "ledger.csv"
    path.write_text(found)
    setup = Setup(ledger_file=str(path))
    setup.publisher.publish(Batch(0, [trade(1)]))
    setup.publisher.close()
    assert path.read_text() == f"{kept}AAPL,test,1,{START_US + 1},1,10.0,1.0,trade,\n"


def test_a_ledger_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    """The message names the setting."""
    with pytest.raises(ConfigurationError, match=re.escape("LEDGER_FILE")):
        Setup(ledger_file=str(tmp_path / "no" / "such" / "ledger.csv"))
