"""The gaps that a backfill finds in the ledger's topic, with Kafka's part played by hand."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from producer import told_gaps
from producer.backfill import known_gaps
from producer.backfill.known_gaps import unfilled_gaps
from schemas.avro_codec import Encoder, schema_text
from schemas.errors import UnavailableError
from schemas.events import Gap
from schemas.settings import KafkaSettings
from tests.unit.producer.fakes import FakeMessage

HOUR_US = 3_600_000_000
START = 1_767_623_400_000_000
GAP = Gap("g", "AAPL", "polygon", START, START + 60_000_000, True, "disconnect")
SETTINGS = KafkaSettings(topic_prefix="t")


class Log:
    """The records of the topic by partition, and the consumer that reads them."""

    def __init__(self, *partitions: list[Gap | bytes | None]) -> None:
        encoder = Encoder(Gap, 1)
        self._records = [
            [
                (b"AAPL", record) if isinstance(record, bytes | None) else (
                    record.symbol.encode(), encoder.encode(record))
                for record in records
            ]
            for records in partitions
        ]  # fmt: skip
        self._left: list[FakeMessage] = []
        self.closed = False

    def __call__(self, _: dict[str, Any]) -> "Log":
        return self

    def list_topics(self, topic: str, timeout: float) -> Any:
        del timeout
        numbers = dict.fromkeys(range(len(self._records)))
        return type("Metadata", (), {"topics": {topic: type("Topic", (), {"partitions": numbers})}})

    def offsets_for_times(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        del timeout
        return [
            TopicPartition(place.topic, place.partition, 0 if self._records[place.partition] else -1)
            for place in places
        ]

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        del timeout
        return 0, len(self._records[place.partition])

    def assign(self, places: list[TopicPartition]) -> None:
        self._left = [
            Read(place.topic, value, key, place.partition, offset)
            for place in places
            for offset, (key, value) in enumerate(self._records[place.partition])
        ]

    def consume(self, count: int, timeout: float) -> list[FakeMessage]:
        del count, timeout
        taken, self._left = self._left[:2], self._left[2:]
        return taken

    def close(self) -> None:
        self.closed = True


class Read(FakeMessage):
    """A record as a consumer gets it; its timestamp is its offset here."""

    def offset(self) -> int:
        return self.timestamp()[1]

    def error(self) -> None:
        """It is a good one."""


def found(
    log: Log, monkeypatch: pytest.MonkeyPatch, start: int = START, end: int = START + HOUR_US
) -> list[Gap]:
    monkeypatch.setattr(known_gaps, "told_gaps", partial(told_gaps.told_gaps, client=log))
    monkeypatch.setattr(told_gaps, "RegistryLookup", lambda _: lambda _: json.loads(schema_text(Gap)))
    gaps = unfilled_gaps(SETTINGS, "AAPL", start, end)
    assert log.closed
    return gaps


def test_gaps_are_found_as_they_were_told_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are open, filled, without length, of another symbol or no gap at all are none to fill;
    between them are heartbeats."""
    grown = [replace(GAP, end=START + 5, closed=False), replace(GAP, end=START + 9, closed=False), GAP]
    others: list[Gap | bytes | None] = [
        replace(GAP, gap_id="open", closed=False),
        replace(GAP, gap_id="failover", end=START, reason="failover"),
        replace(GAP, gap_id="elsewhere", symbol="MSFT"),
        b"no gap",
        None,
    ]
    filled = [replace(GAP, gap_id="filled"), replace(GAP, gap_id="filled", filled=True)]
    earlier = replace(GAP, gap_id="earlier", start=START - 5)
    log = Log([grown[0], None, grown[1], *filled, grown[2], *others], [], [earlier, None])
    assert found(log, monkeypatch) == [earlier, GAP]


def test_only_gaps_that_touch_the_range_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not hold its end, nor does a gap."""
    assert found(Log([GAP]), monkeypatch, GAP.end, GAP.end + 1) == []
    assert found(Log([GAP]), monkeypatch, GAP.start - 9, GAP.start) == []
    assert found(Log([GAP]), monkeypatch, GAP.end - 1, GAP.end) == [GAP]


def test_a_kafka_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to look at."""

    class Away(Log):
        def list_topics(self, *_: Any, **__: Any) -> Any:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    with pytest.raises(UnavailableError, match="is Kafka running"):
        found(Away([GAP]), monkeypatch)
    with pytest.raises(UnavailableError, match="make topics"):
        found(Log(), monkeypatch)
