"""Starting and stopping what is produced, symbol by symbol, and what is told of it."""
