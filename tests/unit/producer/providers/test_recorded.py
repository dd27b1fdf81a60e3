"""Recorded frames through the adapters, compared with what their JSON says when it is read in another way."""

import json
from collections import Counter
from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest

from producer.providers.contract import Parsed
from schemas.events import Quote, Trade
from tests.support.provider_frames import adapter_of, conserved, parse_all, recorded_lines

COINBASE = "coinbase_ws/COINBASE.ws.28.0.jsonl"
BINANCE = "binance_ws/BINANCE.ws.1.0.jsonl"
FINNHUB = ("finnhub/aapl_20230331_session.jsonl", "finnhub/assorted.jsonl")
POLYGON = "polygon/ws_samples.jsonl"


def trades_of(parsed: list[Parsed]) -> list[Trade]:
    return [trade for each in parsed for trade in each.trades]


def quotes_of(parsed: list[Parsed]) -> list[Quote]:
    return [quote for each in parsed for quote in each.quotes]


def micros(text: str) -> int:
    """An ISO time in microseconds, by way of exact fractions."""
    head, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{head}+00:00").timestamp())
    return seconds * 1_000_000 + int(Fraction(f"0.{fraction or 0}") * 1_000_000)


def test_coinbase() -> None:
    """Every match is a trade with its id, sequence, price, size and time; every ticker is a quote."""
    lines = recorded_lines(COINBASE)
    parsed = parse_all(adapter_of("coinbase"), lines)
    messages = [line.document for line in lines]
    matches = [message for message in messages if message["type"] in ("match", "last_match")]
    tickers = [message for message in messages if message["type"] == "ticker"]
    assert len(matches) == 46
    assert [
        (t.symbol, t.trade_id, t.sequence, t.price, t.size, t.event_time) for t in trades_of(parsed)
    ] == [
        (m["product_id"], str(m["trade_id"]), m["sequence"], float(m["price"]), float(m["size"]),
         micros(m["time"]))
        for m in matches
    ]  # fmt: skip
    assert [(q.symbol, q.sequence, q.bid, q.ask, q.event_time) for q in quotes_of(parsed)] == [
        (m["product_id"], m["sequence"], float(m["best_bid"]), float(m["best_ask"]), micros(m["time"]))
        for m in tickers
    ]
    assert all(conserved(each) and not each.rejected for each in parsed)
    assert sum(each.control for each in parsed) == len(lines) - len(matches) - len(tickers)


def test_a_coinbase_trade_literally() -> None:
    """The first match of the recording."""
    parsed = parse_all(adapter_of("coinbase"), recorded_lines(COINBASE))
    assert next(trade for trade in trades_of(parsed) if trade.trade_id == "280232") == Trade(
        symbol="SKL-BTC",
        event_time=1_618_677_817_089_723,
        received_at=trades_of(parsed)[10].received_at,
        price=0.00001305,
        size=985.0,
        trade_id="280232",
        sequence=177_100_030,
        source="coinbase",
    )


def test_binance() -> None:
    """Every bookTicker is a quote dated by its receipt; aggregated trades are trades; depth is nothing."""
    lines = recorded_lines(BINANCE)
    parsed = parse_all(adapter_of("binance", binance_trades="aggTrade"), lines)
    books = [
        (line, line.document["data"]) for line in lines if line.document["stream"].endswith("bookTicker")
    ]
    assert len(books) == 84
    assert [
        (q.symbol, q.event_time, q.sequence, q.bid, q.bid_size, q.ask, q.ask_size) for q in quotes_of(parsed)
    ] == [
        (b["s"], line.received_us, b["u"], float(b["b"]), float(b["B"]), float(b["a"]), float(b["A"]))
        for line, b in books
    ]
    assert trades_of(parsed) == [
        Trade("NKNUSDT", 1_633_998_523_963_000, trades_of(parsed)[0].received_at, 0.3528, 58.0,
              "agg15683430", 15_683_430, "binance"),
        Trade("LRCBTC", 1_633_998_534_486_000, trades_of(parsed)[1].received_at, 0.00000638, 177.0,
              "agg9213679", 9_213_679, "binance"),
    ]  # fmt: skip
    assert all(conserved(each) and not each.rejected for each in parsed)


@pytest.mark.parametrize("path", FINNHUB)
def test_finnhub(path: str) -> None:
    """Every row is a trade, also one that is like another in everything: no two have the same id."""
    lines = recorded_lines(path)
    parsed = parse_all(adapter_of("finnhub"), lines)
    rows: list[dict[str, Any]] = [row for line in lines for row in line.document.get("data", ())]
    trades = trades_of(parsed)
    assert [(t.symbol, t.event_time, t.price, t.size, t.conditions) for t in trades] == [
        (row["s"], row["t"] * 1000, row["p"], row["v"], tuple(row["c"] or ())) for row in rows
    ]
    alike = Counter(json.dumps(row, sort_keys=True) for row in rows)
    assert max(alike.values()) > 1
    assert len({trade.trade_id for trade in trades}) == len(rows)
    assert [t.sequence for t in trades] == sorted({t.sequence for t in trades})
    assert sum(Fraction(t.size) for t in trades) == sum(Fraction(row["v"]) for row in rows)
    assert all(conserved(each) and not each.rejected for each in parsed)


def test_a_second_connection_of_finnhub_has_other_ids() -> None:
    """The same frames in another connection are other trades, and order behind those of the first."""
    lines = recorded_lines(FINNHUB[0])
    first, second = (trades_of(parse_all(adapter_of("finnhub"), lines, at)) for at in (1_000_000, 2_000_000))
    assert not {trade.trade_id for trade in first} & {trade.trade_id for trade in second}
    assert max(trade.sequence for trade in first) < min(trade.sequence for trade in second)


def test_polygon() -> None:
    """A trade is known by day, venue, facility and id; pairs are trades of a source with codes of its own."""
    lines = recorded_lines(POLYGON)
    parsed = parse_all(adapter_of("polygon"), lines)
    trades = trades_of(parsed)
    pair = next(trade for trade in trades if trade.source == "polygon_crypto")
    assert (pair.symbol, pair.event_time, pair.price, pair.size, pair.conditions, pair.exchange) == (
        "BTC-USD", 1_706_649_628_023_000, 43_575.6, 4.522e-05, ("2",), "23",
    )  # fmt: skip
    assert pair.trade_id.endswith(":23:1b254a48-7258-4465-8215-2610ccf9ab21")
    stocks = [trade for trade in trades if trade.source == "polygon"]
    assert [
        (t.symbol, t.event_time, t.price, t.size, t.conditions, t.trade_id, t.exchange) for t in stocks
    ] == [
        ("MSFT", 1_611_082_428_813_000, 215.9721, 100.0, (), "20210119:4:0:50578", "4"),
        ("MSFT", 1_611_082_428_814_000, 215.989, 1.0, ("37",), "20210119:4:0:12856", "4"),
    ]
    assert all(conserved(each) and not each.rejected for each in parsed)
