"""Topic names and their configuration."""

from schemas.events import Alert, Candle, Correction, DeadLetter, Gap, ProviderBar, Quote, Trade
from schemas.settings import TopicSettings
from schemas.topics import Topics, topic_config


def test_topics_are_named_by_their_prefix() -> None:
    """A replay has its own under another."""
    assert Topics("market").event_types == {
        "market.trades": Trade,
        "market.quotes": Quote,
        "market.candles": Candle,
        "market.alerts": Alert,
        "market.gaps": Gap,
        "market.provider-bars": ProviderBar,
        "market.provider-candles": ProviderBar,
        "market.dead-letter": DeadLetter,
    }
    assert Topics("replay-1").trades == "replay-1.trades"
    assert Topics("market").names == (*Topics("market").event_types, "market.streams")


def test_corrections_are_beside_the_trades_under_a_subject_of_their_own() -> None:
    """No topic, but a type of record; its subject as Confluent's TopicRecordNameStrategy names it."""
    topics = Topics("market")
    assert topics.corrections not in topics.event_types
    assert topics.record_types == {**topics.event_types, topics.corrections: Correction}
    assert {name: topics.subject(name) for name in topics.record_types} == {
        "market.trades": "market.trades-value",
        "market.quotes": "market.quotes-value",
        "market.candles": "market.candles-value",
        "market.alerts": "market.alerts-value",
        "market.gaps": "market.gaps-value",
        "market.provider-bars": "market.provider-bars-value",
        "market.provider-candles": "market.provider-candles-value",
        "market.dead-letter": "market.dead-letter-value",
        topics.corrections: "market.trades-market.Correction",
    }


def test_retention_is_in_hours_and_zero_means_for_ever() -> None:
    """Kafka counts in ms and says -1; records keep the time that the producer gave them."""
    week = topic_config(TopicSettings(topic_retention_hours=168))
    assert week == {
        "retention.ms": "604800000",
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": "60000",
    }
    assert topic_config(TopicSettings(topic_retention_hours=0))["retention.ms"] == "-1"
