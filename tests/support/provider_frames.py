"""What providers send: recorded where there is a recording, else built from their documentation."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from producer.providers.catalogue import POLLED, WEB_SOCKETS, make_adapter, make_polled
from producer.providers.contract import Adapter, Frame, Parsed, PolledAdapter
from producer.providers.settings import ProviderSettings

RECORDED = Path(__file__).parents[3] / "shared" / "data"
NAMES = tuple(WEB_SOCKETS)
POLLED_NAMES = tuple(POLLED)
KEYS = {
    "finnhub_api_key": "FINNHUB+SECRET/1",
    "polygon_api_key": "POLYGON-SECRET-2",
    "finage_socket_key": "FINAGE-SECRET-3",
    "finage_url": "wss://x.finage.invalid:6002/",
    "alpha_vantage_api_key": "ALPHA+SECRET/4",
    "fmp_api_key": "FMP SECRET/5",
}
NOW_US = 1_735_914_600_000_000
"""2025-01-03 14:30 UTC: when the frames below were sent, and their events happened."""


def provider_settings(**changes: Any) -> ProviderSettings:
    return ProviderSettings(**KEYS | changes)


def adapter_of(name: str, **changes: Any) -> Adapter:
    return make_adapter(name, provider_settings(**changes))


def polled_of(name: str, **changes: Any) -> PolledAdapter:
    return make_polled(name, provider_settings(**changes))


@dataclass(frozen=True, slots=True)
class Line:
    """A recorded frame with its time of receipt."""

    received_us: int
    text: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)


def recorded_lines(path: str) -> list[Line]:
    """The frames that came in; skips the test where the recording is not on this machine."""
    file = RECORDED / path
    if not file.is_file():
        pytest.skip(f"the recording shared/data/{path} is not on this machine")
    lines = []
    for text in file.read_text(encoding="utf-8").splitlines():
        record = json.loads(text)
        if not isinstance(record, dict) or "recv" not in record:
            lines.append(Line(NOW_US, text))
        elif record["dir"] == "in":
            lines.append(Line(round(record["recv"] * 1e6), record["msg"]))
    return lines


def parse_all(adapter: Adapter, lines: Iterable[Line], connection: int = NOW_US) -> list[Parsed]:
    return [
        adapter.parse(Frame(line.text.encode(), line.received_us, connection, number))
        for number, line in enumerate(lines)
    ]


def conserved(parsed: Parsed) -> bool:
    """Whether every item is in exactly one place."""
    return parsed.items == parsed.events + len(parsed.rejected) + parsed.control


SYMBOLS = {
    "binance": ("BTCUSDT", "ETHUSDT"),
    "coinbase": ("BTC-USD", "ETH-USD"),
    "finnhub": ("AAPL", "BRK.B"),
    "polygon": ("AAPL", "BRK.B"),
    "finage": ("AAPL", "BRK.B"),
    "alpha_vantage": ("AAPL", "BRK.B"),
    "fmp": ("AAPL", "BRK.B"),
    "yahoo": ("AAPL", "BRK.B"),
}


def event(provider: str, symbol: str, number: int, at_us: int = NOW_US) -> Any:
    """The JSON of a frame with one event of its main kind; trade or quote ``number`` of the symbol."""
    at_ms = at_us // 1000
    if provider == "binance":
        data = {"e": "trade", "E": at_ms, "s": symbol, "t": number, "p": "100.5", "q": "0.25", "T": at_ms}
        return {"stream": f"{symbol.lower()}@trade", "data": data | {"m": True, "M": True}}
    if provider == "coinbase":
        return {
            "type": "match", "trade_id": number, "sequence": 10 * number, "product_id": symbol, "side": "buy",
            "price": "100.5", "size": "0.25", "time": iso(at_us), "maker_order_id": "m",
        }  # fmt: skip
    if provider == "finnhub":
        return {"type": "trade", "data": [{"s": symbol, "p": 100.5, "t": at_ms, "v": 0.25, "c": ["1"]}]}
    if provider == "polygon":
        return [
            {"ev": "T", "sym": symbol, "x": 4, "i": str(number), "z": 3, "p": 100.5, "s": 1, "ds": "0.25",
             "c": [0], "t": at_ms, "q": number, "pt": at_ms}
        ]  # fmt: skip
    return {
        "s": symbol,
        "a": "100.75",
        "as": "2",
        "b": "100.5",
        "bs": "0.25",
        "dc": "0",
        "dd": "0",
        "t": at_ms,
    }


def iso(at_us: int) -> str:

    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).isoformat()
