"""What the jobs compute, in pure Python: no Flink here, so that it can be tested and reasoned about alone."""
