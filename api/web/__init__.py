"""The live page: its files as they are served, and the chart library from its package."""
