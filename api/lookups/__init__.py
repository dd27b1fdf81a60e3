"""What is looked up at a provider because nobody streams it: companies, quotes, daily history."""
