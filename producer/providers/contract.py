"""What an adapter is: how to connect and what to send, or what to ask for, and a pure parse of what comes.

An adapter does no input or output, holds no state that changes and knows no clock: the same frames give the
same events, live and from a recording.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from producer.providers.http import Request
from producer.providers.request_gate import RequestLimits
from producer.sources import Rejected
from schemas.events import Correction, ProviderBar, Quote, Trade

What = Literal["quotes", "bars", "quotes_and_bars"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What makes a frame an answer: what was asked for, of which symbols, as we call them, and the status of
    HTTP that it came with."""

    what: What
    symbols: tuple[str, ...]
    status: int = 200


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it came, or the body of one answer. ``connection`` is when its connection was begun
    (us): no two of a provider have the same. ``number`` counts the frames of the connection from 0.
    ``reply``: None where nobody asked."""

    payload: bytes
    received_us: int
    connection: int = 0
    number: int = 0
    reply: Reply | None = None

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
class RateLimited:
    """We ask too often, said in an answer that looks like any other. ``pause_s``: for how long not to ask;
    None: the provider does not say."""

    detail: str
    pause_s: float | None = None


@dataclass(frozen=True, slots=True)
class PlanRefused:
    """The key is good, but what was asked for is not part of its plan."""

    detail: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """The provider says that something is wrong, and nothing can be done about it but to say so."""

    detail: str


Signal = Answered | KeyRefused | SymbolRefused | RateLimited | PlanRefused | Complaint
Item = Trade | Quote | Correction | ProviderBar | Signal | None
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
    bars: Sequence[ProviderBar] = ()

    @property
    def events(self) -> int:
        return len(self.trades) + len(self.quotes) + len(self.corrections) + len(self.bars)


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


class AnyAdapter(Protocol):
    """What every provider has, however its data comes."""

    @property
    def name(self) -> str:
        """The provider, in settings, logs and metrics."""

    @property
    def kind(self) -> Literal["trades", "quotes"]:
        """Whether bars can be made of what it sends."""

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

    def parse(self, frame: Frame) -> Parsed:
        """The content of a frame. Raises nothing: what cannot be read is ``rejected``."""


class Adapter(AnyAdapter, Protocol):
    """A provider whose data comes through a WebSocket."""

    @property
    def limits(self) -> Limits: ...

    @property
    def counts_trades(self) -> bool:
        """Whether the trade ids of a symbol are numbers without holes: a hole is what we have missed."""

    def handshake(self) -> Handshake:
        """Where to connect, and what to send first."""

    def subscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        """The messages that ask for the symbols, as we call them."""

    def unsubscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        """The messages that take them back."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One request, what it is for, and the symbols that it is about, as we call them."""

    request: Request
    what: What
    symbols: tuple[str, ...]


@runtime_checkable
class PolledAdapter(AnyAdapter, Protocol):
    """A provider that has to be asked: the body of each answer is a frame. A ``SymbolRefused`` that names no
    symbol is about those that were asked for."""

    @property
    def limits(self) -> RequestLimits: ...

    @property
    def every_s(self) -> float:
        """Time from one round of requests to the next."""

    def polls(self, symbols: Sequence[str], now_us: int, known_us: Mapping[str, int]) -> Sequence[Poll]:
        """One round: everything there is to know of the symbols at ``now_us``. ``known_us``: when everything
        was known of a symbol; those of which nothing is are not in it."""
