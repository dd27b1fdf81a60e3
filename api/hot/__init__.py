"""Answers from memory: what the live feed brings, put together with what Cassandra had before."""
