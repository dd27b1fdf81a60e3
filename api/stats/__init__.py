"""What the system says of itself: latency, Kafka, memory, streaming, and a summary of some hours."""
