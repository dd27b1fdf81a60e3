"""What a history of trades, or of bars, is: which request comes next, and what its answer holds. Pure, like
an adapter.

What an answer holds is given as the frames that the provider's feed would have brought: they go through the
parser of that, so a trade has the same identity either way, and what was seen already is known.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from producer.providers.contract import AnyAdapter
from producer.providers.http import Request
from producer.providers.reading import mapping, shown
from producer.providers.request_gate import RequestLimits
from schemas.errors import PoisonError


class Asked(NamedTuple):
    """Trades of a symbol, as we call it, with event times in ``[start, end)``, us; or bars that begin
    there."""

    symbol: str
    start: int
    end: int


class Page(NamedTuple):
    """``frames``: what they hold is in the order of its times. ``position``: where the next page is; None:
    this was the last one."""

    frames: Sequence[bytes]
    position: str | None


class History(Protocol):
    """The trades, or bars, that a provider keeps. A position is a text that can be kept: "" is the
    beginning."""

    @property
    def adapter(self) -> AnyAdapter:
        """The feed of the same provider."""

    @property
    def limits(self) -> RequestLimits: ...

    def request(self, asked: Asked, position: str) -> Request:
        """What to ask for."""

    def page(self, asked: Asked, position: str, document: Any) -> Page:
        """What the answer to it holds; it may reach beyond what was asked for. Raises PoisonError for what is
        no such answer."""


def rows(document: Any) -> Sequence[Mapping[str, Any]]:
    """A list of objects."""
    if not isinstance(document, list):
        raise PoisonError("unreadable_frame", f"not a list but {shown(document)}")
    return [mapping(row) for row in document]
