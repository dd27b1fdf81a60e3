"""What several tests use: recordings, and reading what the system has written."""
