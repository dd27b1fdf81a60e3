"""Recordings to replay, and their bars computed in another way: with fractions, trade by trade."""

import csv
import gzip
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

HEADER = ("symbol", "event_time", "price", "size", "trade_id", "sequence", "source")
START_US = 1_723_161_270_000_000
"""2024-08-08 23:54:30 UTC: the seeded recording runs across midnight, where bars of all intervals end."""


@dataclass(frozen=True, slots=True)
class Line:
    """A trade as a recording has it, in text: what floating point never touched."""

    symbol: str
    event_time: int
    price: str
    size: str
    trade_id: str


@dataclass(frozen=True, slots=True)
class Expected:
    """A bar as it must come out."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    notional: float
    trades: int


def seeded_lines(seed: int, count: int = 6000) -> list[Line]:
    """Trades of two symbols over 11 minutes, many of them in the same millisecond."""
    random_ = random.Random(seed)
    ticks = {"BTCTEST": 6_000_000, "ETHTEST": 250_000}
    times = sorted(START_US + 1000 * random_.randrange(660_000) for _ in range(count))
    lines = []
    for number, event_time in enumerate(times):
        symbol = random_.choice(sorted(ticks))
        ticks[symbol] += random_.randrange(-40, 41)
        price = f"{ticks[symbol] // 100}.{ticks[symbol] % 100:02d}"
        lines.append(Line(symbol, event_time, price, f"0.{random_.randrange(1, 10**6):06d}", str(number + 1)))
    return lines


def binance_lines(path: Path) -> list[Line]:
    """The trades of a recorded Binance file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [
            Line(row["symbol"], int(row["trade_time_ms"]) * 1000, row["price"], row["size"], row["trade_id"])
            for row in csv.DictReader(file)
        ]


def write_recording(path: Path, lines: Iterable[Line], source: str) -> Path:
    """A CSV file with our own column names."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for line in lines:
            writer.writerow(
                (line.symbol, line.event_time, line.price, line.size, line.trade_id, line.trade_id, source)
            )
    return path


def disordered(lines: Sequence[Line], seed: int) -> list[Line]:
    """The same trades shuffled within two seconds, and one in a hundred of them twice."""
    random_ = random.Random(seed)
    keyed = [(line.event_time + random_.randrange(2_000_000), line) for line in lines]
    keyed += [
        (at + random_.randrange(2_000_000), line) for at, line in random_.sample(keyed, len(lines) // 100)
    ]
    return [line for _, line in sorted(keyed, key=lambda pair: pair[0])]


def bars_of(lines: Iterable[Line], length_us: int) -> dict[tuple[str, int], Expected]:
    """``(symbol, start)`` -> bar, exact: fractions until the last step."""
    by_bar: dict[tuple[str, int], list[Line]] = {}
    for line in lines:
        by_bar.setdefault((line.symbol, line.event_time // length_us * length_us), []).append(line)
    return {key: _bar(trades) for key, trades in by_bar.items()}


def _bar(trades: list[Line]) -> Expected:
    ordered = sorted(trades, key=lambda line: (line.event_time, int(line.trade_id)))
    prices = [float(line.price) for line in ordered]
    return Expected(
        open=prices[0], high=max(prices), low=min(prices), close=prices[-1],
        volume=float(sum(Fraction(line.size) for line in trades)),
        notional=float(sum(Fraction(line.size) * Fraction(line.price) for line in trades)),
        trades=len(trades),
    )  # fmt: skip
