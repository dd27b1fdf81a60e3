"""Market data providers: one file for each, which says how to connect and parses what comes; everything else
about a connection is shared."""
