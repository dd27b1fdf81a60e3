"""Where Flink meets the domain: tables, functions, state and configuration."""
