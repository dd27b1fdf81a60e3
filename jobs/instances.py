"""How many parallel instances the jobs may have."""

from operator import itemgetter

from jobs.settings import JobSettings
from schemas.errors import ConfigurationError
from schemas.kafka_admin import partition_counts
from schemas.topics import Topics


def refuse_idle_instances(settings: JobSettings) -> None:
    """Raises ConfigurationError where a topic has fewer partitions than PARALLELISM, or does not exist: an
    instance of a source that reads no partition knows no time, and all that follow it wait for its. Raises
    UnavailableError where Kafka does not answer."""
    counts = partition_counts(settings, Topics(settings.topic_prefix).event_types)
    name, fewest = min(counts.items(), key=itemgetter(1))
    if settings.parallelism > fewest:
        raise ConfigurationError(
            f"PARALLELISM is {settings.parallelism}, but {name} has {fewest} partitions, and an"
            f" instance without one would hold up the others: set PARALLELISM to at most {fewest}, or"
            f" stop everything and start it with TOPIC_PARTITIONS={settings.parallelism} (`make topics` where"
            f" Kafka runs elsewhere)"
        )
