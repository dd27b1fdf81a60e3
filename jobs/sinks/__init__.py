"""What is written to Cassandra, and the writer."""
