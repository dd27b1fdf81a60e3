"""Whose quotes are passed on. They add up to nothing, so two sources at once do no harm; but a quote of a
lesser source between those of a better one would make the price jump."""

from collections.abc import Sequence


class QuoteChoice:
    """Passes a quote on unless a better source has had one of the same symbol within ``silence`` (us)."""

    def __init__(self, sources: Sequence[str], silence: int) -> None:
        self._ranks = {source: rank for rank, source in enumerate(sources)}
        self._silence = silence
        self._seen: dict[str, list[int]] = {}  # symbol -> when each source last had a quote

    def passes(self, symbol: str, source: str, now: int) -> bool:
        """Whether a quote that has come at ``now`` is passed on."""
        rank = self._ranks[source]
        seen = self._seen.setdefault(symbol, [0] * len(self._ranks))
        seen[rank] = now
        return all(now - better > self._silence for better in seen[:rank])
