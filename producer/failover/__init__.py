"""Which source counts for each symbol, what was not observed meanwhile, and how not to be a burden."""
