"""What the jobs' dead letters carry."""

MOST_PAYLOAD_BYTES = 512 * 1024


def carried(payload: bytes | None) -> bytes | None:
    """The part of a refused record that goes into its letter; the whole of it lies where the letter says.

    A letter is larger than its record, so Kafka would refuse that of one near the limit, again after each
    restart of the job.
    """
    return None if payload is None else payload[:MOST_PAYLOAD_BYTES]
