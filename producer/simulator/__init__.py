"""A simulated market: geometric Brownian motion, trades and quotes, and scenarios to look at."""
