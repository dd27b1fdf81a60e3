"""Financial Modeling Prep, ``https://financialmodelingprep.com/stable``: last prices of US stocks, by a key.

* ``quote?symbol=`` is a list of one: ``{"symbol","price","volume","timestamp",..}``; ``timestamp`` is in
  seconds, ``volume`` that of the day. ``batch-quote?symbols=A,B`` is a list of all that are known, where the
  plan has it; one that is not known is left out.
* These are **snapshots**, not trades: a quote whose bid and ask are the last price, without sizes.
* What is wrong is said as ``{"Error Message": ".."}``, also with status 200, and of plans as plain text.
* Keys of accounts made after 2025-08-31 are refused by ``/api/v3``, the older address.

Nothing of this has been proven against recorded messages: there are none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from producer.providers.contract import (
    Complaint,
    Frame,
    Item,
    KeyRefused,
    Parsed,
    PlanRefused,
    Poll,
    RateLimited,
    Signal,
    SymbolRefused,
)
from producer.providers.http import Request
from producer.providers.reading import mapping, number, read, shown, text, whole, words
from producer.providers.request_gate import RequestLimits
from producer.providers.snapshots import last_price
from producer.symbols import ProviderNames

ERROR = "Error Message"
OF_THE_PLAN = ("subscription", "premium", "exclusive endpoint", "legacy endpoint")
PLAIN = b"current subscription"
"""In what is said as plain text."""


@dataclass(frozen=True, slots=True)
class Fmp:
    """See ``producer.providers.contract.PolledAdapter``."""

    url: str
    names: ProviderNames
    key: str = field(repr=False)
    limits: RequestLimits
    every_s: float
    symbols_per_request: int = 1
    name: str = "fmp"
    kind: Literal["trades", "quotes"] = "quotes"
    key_setting: str = "FMP_API_KEY"
    url_setting: str = "FMP_URL"
    delay_ms: int = 0

    @property
    def secrets(self) -> Sequence[str]:
        return (self.key,)

    def polls(self, symbols: Sequence[str], *_: object) -> Sequence[Poll]:
        most = self.symbols_per_request
        place, query = ("quote", "symbol") if most == 1 else ("batch-quote", "symbols")
        polls = []
        for start in range(0, len(symbols), most):
            some = tuple(symbols[start : start + most])
            names = ",".join(self.names.theirs(symbol) for symbol in some)
            request = Request(f"{self.url.rstrip('/')}/{place}", {query: names}, {"apikey": self.key})
            polls.append(Poll(request, "quotes", some))
        return polls

    def parse(self, frame: Frame) -> Parsed:
        if PLAIN in frame.payload and not frame.payload.lstrip().startswith((b"{", b"[")):
            said = frame.payload.decode(errors="replace")
            return Parsed(1, control=1, signals=(_error(said),))
        return read(self.name, frame, _items, lambda item, index: self._item(mapping(item), frame, index))

    def _item(self, item: Mapping[str, Any], frame: Frame, index: int) -> Item:
        if ERROR in item:
            return _error(item[ERROR])
        return last_price(
            self.names.ours(text(item, "symbol", "invalid_symbol")),
            number(item, "price", "invalid_price"),
            whole(item, "timestamp", "implausible_time") * 1_000_000,
            source=self.name,
            frame=frame,
            index=index,
        )


def _items(document: Any) -> Sequence[Any]:
    return document if isinstance(document, list) else (mapping(document),)


def _error(said: object) -> Signal:
    told, detail = words(said), shown(said)
    if "limit reach" in told:
        return RateLimited(detail)
    if any(word in told for word in OF_THE_PLAN):
        return SymbolRefused("", detail) if "'symbol'" in told else PlanRefused(detail)
    return KeyRefused(detail) if "api key" in told else Complaint(detail)
