"""Everything before Kafka: sources of market data, validation, and idempotent publishing."""
