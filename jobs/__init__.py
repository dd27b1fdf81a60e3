"""The two Flink jobs: ``bars`` (Kafka to Kafka) and ``store`` (Kafka to Cassandra)."""
