"""The one interface of everything that market data comes from: simulator, recordings, providers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from schemas.events import Correction, Gap, ProviderBar, Quote, Trade

Kind = Literal["trade", "correction", "quote", "provider_bar"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that must not reach the topic it was meant for: it goes to the dead-letter topic.

    ``reason`` is a code of ``schemas.validation.REASONS``; ``payload`` the line or the event as it came.
    """

    reason: str
    detail: str
    payload: bytes
    kind: Kind = "trade"
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source hands over at once, in the order in which it is to be published. Corrections follow the
    trades: one may be about a trade of its own batch.

    ``clock_us`` is the source's event time: it knows of nothing older that is still to come, as far as it can
    tell; 0 while it has seen no event. The heartbeats follow it. ``closing`` marks the last batch of a source
    that has an end. ``decided``: the source itself has said what each trade updates; its condition codes are
    not looked at. ``gaps``: what the source could not observe.
    ``bars``: those that a provider has made itself; they enter none of ours.
    """

    clock_us: int
    trades: Sequence[Trade] = ()
    quotes: Sequence[Quote] = ()
    rejected: Sequence[Rejected] = ()
    closing: bool = False
    corrections: Sequence[Correction] = ()
    decided: bool = False
    gaps: Sequence[Gap] = ()
    bars: Sequence[ProviderBar] = ()


class Source(Protocol):
    """Where trades, their corrections and quotes come from.

    ``batches`` blocks for at most a heartbeat interval, and then yields a batch, empty if need be:
    heartbeats, delivery reports and stopping all wait for it. ``clock_us`` never goes back. A source that
    is ``live`` goes on for ever on the wall clock; one that is not ends with a ``closing`` batch. It raises
    ConfigurationError for what only its user can put right, and turns what it cannot read into ``rejected``.
    """

    @property
    def name(self) -> str:
        """For logs; the events carry their own ``source``."""

    @property
    def live(self) -> bool:
        """Whether event time is now."""

    @property
    def heartbeat_us(self) -> int:
        """Event time between two heartbeats, in microseconds."""

    def batches(self) -> Iterator[Batch]:
        """Everything there is, batch by batch."""


class WireRecord(NamedTuple):
    """One Kafka record: partition key, value in the Confluent wire format, event time in ms."""

    key: bytes
    value: bytes
    timestamp_ms: int


@runtime_checkable
class Following(Protocol):
    """A source of several: which of them counts for a symbol."""

    def followed(self, symbol: str) -> tuple[str, int]:
        """Its name, and how far behind the market it is (us)."""


class Tally(NamedTuple):
    """Of some symbols, in their order: number of events, and event time (us) of the last one."""

    counts: NDArray[np.int64]
    last: NDArray[np.int64]

    @classmethod
    def of(cls, symbols: int) -> Self:
        """Of so many symbols, without events."""
        return cls(np.zeros(symbols, np.int64), np.zeros(symbols, np.int64))


class Columns(ABC):
    """Events that are held as columns: they can be checked and encoded as a whole, far faster than one by
    one. As a sequence of events they are what any other sequence is."""

    __slots__ = ()

    @abstractmethod
    def valid(self) -> bool:
        """Whether every event passes ``schemas.validation`` and has a time within 64 bits."""

    @abstractmethod
    def before(self, ends: Mapping[str, int]) -> Self:
        """Without what of these symbols is dated at their time (us) or later."""

    symbols: tuple[str, ...]
    """Those that its events may be of."""

    @abstractmethod
    def add_to(self, tally: Tally) -> None:
        """Counts its events."""

    @property
    @abstractmethod
    def source(self) -> str:
        """Of all of the events."""

    @abstractmethod
    def wire(self, schema_id: int) -> Iterable[WireRecord]:
        """The records, byte for byte what ``schemas.avro_codec.Encoder`` writes."""
