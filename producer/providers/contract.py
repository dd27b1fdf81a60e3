"""What an adapter is: how to connect, what to send, what to expect, and a pure parse of what comes.

An adapter does no input or output, holds no state that changes and knows no clock: the same frames give the
same events, live and from a recording.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from producer.sources import Rejected
from schemas.events import Correction, Quote, Trade


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it came. ``connection`` is when its connection was begun (us): no two of a provider have
    the same. ``number`` counts the frames of the connection from 0."""

    payload: bytes
    received_us: int
    connection: int = 0
    number: int = 0

    def order(self, index: int) -> int:
        """A sequence for the item at ``index`` of the frame, where the provider gives none: it increases from
        item to item, and from connection to connection."""
        return (self.connection + self.number) * 1000 + index


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that the handshake waits for: see ``Handshake.answers``."""


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """The key is not accepted: nothing to try again."""

    detail: str


@dataclass(frozen=True, slots=True)
class SymbolRefused:
    """One symbol is not served; the others are. ``symbol`` "": which one, the provider does not say."""

    symbol: str
    detail: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """The provider says that something is wrong, and nothing can be done about it but to say so."""

    detail: str


Signal = Answered | KeyRefused | SymbolRefused | Complaint
Item = Trade | Quote | Correction | Signal | None
"""What one item of a frame turns out to be; None: something of the protocol, nothing to do."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A frame's content. ``items`` is how many there were, before anything was made of them; each of them is
    in exactly one of the others: an event, a rejected one, or ``control``."""

    items: int
    trades: Sequence[Trade] = ()
    quotes: Sequence[Quote] = ()
    corrections: Sequence[Correction] = ()
    rejected: Sequence[Rejected] = ()
    control: int = 0
    signals: Sequence[Signal] = ()

    @property
    def events(self) -> int:
        return len(self.trades) + len(self.quotes) + len(self.corrections)


@dataclass(frozen=True, slots=True)
class Handshake:
    """How a connection begins. ``url`` and ``messages`` may hold the key: they are never shown. After
    ``answers`` signals of ``Answered`` the symbols are subscribed to; 0: at once."""

    url: str = field(repr=False)
    messages: Sequence[str] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    answers: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider allows. ``symbols``: in one connection; ``connections``: at the same time with one key;
    ``messages_per_second``: that we send."""

    symbols: int
    connections: int
    messages_per_second: float


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What a provider's REST API allows, of requests; ``per_day`` 0: no limit of that kind."""

    per_minute: float
    per_day: int = 0


class Adapter(Protocol):
    """A provider whose data comes through a WebSocket."""

    @property
    def name(self) -> str:
        """The provider, in settings, logs and metrics."""

    @property
    def kind(self) -> Literal["trades", "quotes"]:
        """Whether bars can be made of what it sends."""

    @property
    def limits(self) -> Limits: ...

    @property
    def key_setting(self) -> str:
        """The environment variable that holds the key; "": it needs none."""

    @property
    def url_setting(self) -> str:
        """The environment variable that holds the address."""

    @property
    def secrets(self) -> Sequence[str]:
        """What must not be shown anywhere."""

    @property
    def delay_ms(self) -> int:
        """How far behind the market its events come."""

    @property
    def counts_trades(self) -> bool:
        """Whether the trade ids of a symbol are numbers without holes: a hole is what we have missed."""

    def handshake(self) -> Handshake:
        """Where to connect, and what to send first."""

    def subscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        """The messages that ask for the symbols, as we call them."""

    def parse(self, frame: Frame) -> Parsed:
        """The content of a frame. Raises nothing: what cannot be read is ``rejected``."""
