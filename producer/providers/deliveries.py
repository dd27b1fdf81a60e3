"""What comes out of a provider's connections, in the order in which it happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from producer.providers.contract import Parsed

What = Literal["connected", "disconnected", "symbol_refused", "missed_trades", "shed"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """The content of one frame."""

    received_us: int
    parsed: Parsed


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about what we can see of ``symbols``, at ``at_us`` by our clock.

    * connected: from now on
    * disconnected: no more, or an attempt has failed; ``reason`` is one of REASONS, of ``socket`` or of
      ``request_gate``
    * symbol_refused: never; the provider does not serve it
    * missed_trades: there were ``count`` trades between ``since_us``, the time of the last one that we have
      seen, and ``at_us``, that of the next one
    * shed: the source has left out what happened from ``since_us`` to ``at_us``
    """

    what: What
    provider: str
    symbols: Sequence[str]
    at_us: int
    reason: str = ""
    detail: str = ""
    since_us: int = 0
    count: int = 0
