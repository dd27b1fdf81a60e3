"""What a dead letter carries of the record that was refused."""

from jobs.letters import MOST_PAYLOAD_BYTES, carried


def test_a_letter_carries_its_record() -> None:
    """A heartbeat or a whole slice has none."""
    assert carried(b"no Avro") == b"no Avro"
    assert carried(b"x" * MOST_PAYLOAD_BYTES) == b"x" * MOST_PAYLOAD_BYTES
    assert carried(None) is None


def test_of_a_record_near_kafkas_limit_it_carries_the_beginning() -> None:
    """A letter that Kafka refused would fail the job again after each restart."""
    assert carried(b"x" * MOST_PAYLOAD_BYTES + b"rest") == b"x" * MOST_PAYLOAD_BYTES
