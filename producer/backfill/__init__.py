"""Filling gaps from a provider's history."""
