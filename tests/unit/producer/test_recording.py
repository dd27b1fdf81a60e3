"""How lines of recordings become events."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import pytest

from producer.recording import FORMATS, Parser, mapping_for, parse_mapping
from schemas.errors import ConfigurationError, PoisonError
from schemas.events import Correction, Quote, Trade

BINANCE = [
    "recv_ns",
    "event_time_ms",
    "trade_time_ms",
    "trade_id",
    "symbol",
    "price",
    "size",
    "buyer_is_maker",
    "X",
]


def csv_parser(columns: str, mapping: str = "auto", source: str = "file") -> Parser:
    names = columns.split(",")
    return Parser(mapping_for(mapping, names, "file.csv"), names, source)


def test_a_binance_trade() -> None:
    """A line of the exchange's recording, with the time of the trade, not that of the message."""
    parser = Parser(mapping_for("auto", BINANCE, "f.csv"), BINANCE, "f")
    line = "1723161254347673567,1723161255619,1723161255617,3735683260,BTCUSDT,61837.63000000,0.04800000,1,"
    assert parser.parse(line, 3) == Trade(
        symbol="BTCUSDT",
        event_time=1723161255617000,
        received_at=1723161254347673,
        price=61837.63,
        size=0.048,
        trade_id="3735683260",
        sequence=3735683260,
        source="binance",
    )


def test_a_binance_quote() -> None:
    """Best bid and ask, which have no event time of their own in the recording."""
    parser = csv_parser("recv_ns,event_time_ms,symbol,update_id,bid,bid_size,ask,ask_size")
    assert parser.parse("1723161254087891268,,BTCUSDT,50093239212,61837.63,3.5,61837.64,1.25", 2) == Quote(
        symbol="BTCUSDT",
        event_time=1723161254087891,
        received_at=1723161254087891,
        bid=61837.63,
        bid_size=3.5,
        ask=61837.64,
        ask_size=1.25,
        sequence=50093239212,
        source="binance",
    )


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (":s", "1723161255.617"),
        (":ms", "1723161255617"),
        (":ms", "1723161255617.0004"),
        (":us", "1723161255617000"),
        ("", "1723161255617000"),
        (":ns", "1723161255617000999"),
        (":iso", "2024-08-08T23:54:15.617Z"),
        (":iso", "2024-08-09 01:54:15.617+02:00"),
        ("", "2024-08-08T23:54:15.617"),
    ],
)
def test_times_in_every_unit(unit: str, text: str) -> None:
    """All of these are the same microsecond."""
    parser = csv_parser("s,t,p,q", f"symbol=s,event_time=t{unit},price=p,size=q")
    assert parser.parse(f"A,{text},1,2", 2).event_time == 1723161255617000


@pytest.mark.parametrize("value", [1723161255.617, 1723161255617])
def test_times_as_json_numbers(value: float) -> None:
    """JSON numbers with and without a fraction are times too."""
    unit = "s" if isinstance(value, float) else "ms"
    mapped = parse_mapping(f"symbol=s,event_time=t:{unit},price=p,size=q")
    line = json.dumps({"s": "A", "t": value, "p": 1, "q": "2.5"})
    event = Parser(mapped, None, "f").parse(line, 1)
    assert (event.event_time, event.price, event.size) == (1723161255617000, 1.0, 2.5)  # type: ignore[union-attr]


def test_what_a_file_does_not_say_is_filled_in() -> None:
    """Source from the file's name, sequence from the line or from a numeric id, the id from the sequence."""
    without_id = csv_parser("symbol,event_time,price,size", source="session").parse("A,1,2,3", 17)
    assert (without_id.source, without_id.sequence, without_id.received_at) == ("session", 17, 1)
    assert isinstance(without_id, Trade)
    assert without_id.trade_id == "17"
    numeric = csv_parser("symbol,event_time,price,size,trade_id").parse("A,1,2,3,99", 17)
    assert numeric.sequence == 99
    text = csv_parser("symbol,event_time,price,size,trade_id").parse("A,1,2,3,x-99", 17)
    assert text.sequence == 17


def test_constants_conditions_and_flags() -> None:
    """Text in quotes is a constant; conditions are separated by bars; flags are spelt in several ways."""
    parser = csv_parser(
        "s,t,p,q,c,f",
        "symbol=s, event_time=t:us, price=p, size=q, conditions=c, updates_open_close=f,"
        "exchange='Q', source='x y'",
    )
    trade = parser.parse("A,5,1,2,@|I,no", 1)
    assert isinstance(trade, Trade)
    assert (trade.conditions, trade.updates_open_close, trade.exchange, trade.source) == (
        ("@", "I"),
        False,
        "Q",
        "x y",
    )


def test_our_own_json_comes_back_as_it_was() -> None:
    """A dead letter's payload, JSON with our own field names, is a recording that can be replayed."""
    trade = Trade("A", 5, 6, 1.5, 2.0, "id", 7, "src", "Q", ("@", "I"), False, False, True, True)
    values = asdict(trade)
    parser = Parser(mapping_for("auto", list(values), "f.jsonl"), None, "other")
    assert parser.parse(json.dumps(values), 1) == trade


CANCEL = Correction("A", 5, 6, "c", 7, "src", "t")
CORRECTION = Correction(
    "A", 5, 6, "c", 7, "src", "t", 4, "correct", 1.5, 2.0, "Q", ("@",), False, False, True
)  # fmt: skip


def json_parser(first: Sequence[str], mapping: str = "auto") -> Parser:
    """For JSON lines whose first object has these keys."""
    return Parser(mapping_for(mapping, first, "f.jsonl"), None, "file")


@pytest.mark.parametrize("correction", [CANCEL, CORRECTION], ids=["cancel", "correct"])
def test_a_correction_as_our_own_json_comes_back_as_it_was(correction: Correction) -> None:
    """The payload of a refused one, alone or in a file that begins with a trade or with a correction."""
    trade = Trade("A", 5, 6, 1.5, 2.0, "id", 7, "src")
    for first in (asdict(correction), asdict(trade), {"symbol": 1, "event_time": 1, "price": 1, "size": 1}):
        parser = json_parser(list(first))
        assert parser.parse(json.dumps(asdict(correction)), 1) == correction
        assert parser.parse(json.dumps(asdict(trade)), 2) == trade


def test_trades_and_corrections_in_one_csv_file() -> None:
    """What a row is, its kind says; cells that its kind has no use for may be empty."""
    parser = csv_parser(
        "symbol,event_time,price,size,trade_id,kind,correction_id,trade_time,correctable,sequence"
    )
    assert parser.parse("A,5,1,2,t,,,,1,3", 2) == Trade("A", 5, 5, 1.0, 2.0, "t", 3, "file", correctable=True)
    assert parser.parse("A,5,1,2,t,trade,,,0,3", 3) == Trade("A", 5, 5, 1.0, 2.0, "t", 3, "file")
    assert parser.parse("A,9,,,t,cancel,c1,5,,4", 4) == Correction("A", 9, 9, "c1", 4, "file", "t", 5)
    assert parser.parse("A,9,1.5,3,t, correct ,c2,,,5", 5) == Correction(
        "A", 9, 9, "c2", 5, "file", "t", kind="correct", price=1.5, size=3.0
    )


def test_corrections_by_a_mapping() -> None:
    """Columns of other names; objects without a kind are trades; a file may hold nothing but cancels."""
    mapping = "symbol=s,event_time=t:ms,price=p,size=q,trade_id=i,kind=k"
    parser = json_parser(["s", "t", "p", "q", "i"], mapping.removesuffix(",kind=k"))
    row = {"s": "A", "t": 5, "p": 1.5, "q": 2.0, "i": "x"}
    traded = Trade("A", 5000, 5000, 1.5, 2.0, "x", 1, "file")
    assert parser.parse(json.dumps(row), 1) == traded
    parser = json_parser(["s", "t", "p", "q", "i", "k"], mapping)
    assert parser.parse(json.dumps(row), 1) == traded
    assert parser.parse(json.dumps(row | {"k": None}), 1) == traded
    cancelled = parser.parse(json.dumps(row | {"k": "cancel", "p": None}), 1)
    assert cancelled == Correction("A", 5000, 5000, "x-cancel-5000-1", 1, "file", "x")
    cancels = csv_parser("s,t,i", "symbol=s,event_time=t:ms,trade_id=i,kind='cancel'")
    assert cancels.parse("A,5,x", 1) == cancelled


def test_what_a_file_does_not_say_of_a_correction_is_filled_in() -> None:
    """Its id from what it is about, its sequence from a numeric id or the line."""
    columns = "symbol,event_time,trade_id,kind"
    first, second = (csv_parser(columns).parse("A,9,t,cancel", line) for line in (7, 8))
    assert first == Correction("A", 9, 9, "t-cancel-9-7", 7, "file", "t")
    assert second == Correction("A", 9, 9, "t-cancel-9-8", 8, "file", "t")
    numeric = csv_parser(f"{columns},correction_id").parse("A,9,t,cancel,55", 7)
    assert (numeric.sequence, numeric) == (55, Correction("A", 9, 9, "55", 55, "file", "t"))


@pytest.mark.parametrize(
    ("columns", "line", "says"),
    [
        ("symbol,event_time,price,size,trade_id,kind", "A,5,1,2,t,bust", "kind is 'bust'"),
        ("symbol,event_time,price,size,trade_id,kind", "A,5,,2,t,correct", "could not convert"),
        ("symbol,event_time,trade_id,kind", "A,5,t,", "nothing says its price, size"),
        ("symbol,event_time,trade_id,kind", "A,5,t,correct", "nothing says its price, size"),
    ],
)
def test_a_row_of_no_kind_or_without_what_its_kind_needs_says_so(columns: str, line: str, says: str) -> None:
    """A misspelt kind must not make a trade of a cancel."""
    with pytest.raises(PoisonError, match=says) as refused:
        csv_parser(columns).parse(line, 2)
    assert refused.value.reason == "unreadable_row"


def test_a_kind_that_cannot_be_about_a_trade_is_somebody_elses() -> None:
    """Without trade ids there are no corrections, whatever a column of that name holds."""
    assert csv_parser("symbol,event_time,price,size,kind").parse("A,5,1,2,buy", 2) == Trade(
        "A", 5, 5, 1.0, 2.0, "2", 2, "file"
    )


def test_a_recording_that_names_what_trades_update_decides_it() -> None:
    """By any of the three; conditions alone decide nothing."""
    needed = "symbol,event_time,price,size,conditions"
    assert not csv_parser(needed).decides
    assert csv_parser(f"{needed},updates_volume").decides
    assert not json_parser(needed.split(",")).decides
    assert json_parser([*needed.split(","), "updates_open_close"]).decides


def test_quoted_cells() -> None:
    """A cell in quotes may hold a comma."""
    parser = csv_parser("symbol,event_time,price,size,exchange")
    assert parser.parse('A,1,"2.5",3,"x, y"', 2).exchange == "x, y"


@pytest.mark.parametrize(
    "line",
    [
        "A,1,2",
        "A,1,2,3,4",
        "A,1,two,3",
        "A,,2,3",
        "A,soon,2,3",
        "A,1e400,2,3",
        'A,"1,2,3',
        "A\udcff,1,2,3",
        "\x00\x01",
    ],
)
def test_a_line_that_cannot_be_read_says_so(line: str) -> None:
    """Whatever is in a line, the parser refuses it with the one reason for it."""
    with pytest.raises(PoisonError) as refused:
        csv_parser("symbol,event_time,price,size").parse(line, 2)
    assert refused.value.reason == "unreadable_row"


@pytest.mark.parametrize(
    "line",
    [
        "[1, 2]",
        "{",
        "null",
        '{"symbol": "A", "event_time": 1, "price": true, "size": 1}',
        '{"symbol": "A", "event_time": 1, "price": null, "size": 1}',
        '{"symbol": null, "event_time": 1, "price": 1, "size": 1}',
        '{"symbol": "A", "event_time": [], "price": 1, "size": 1}',
        '{"symbol": "A", "event_time": true, "price": 1, "size": 1}',
        '{"symbol": "A", "price": 1, "size": 1}',
        "[" * 100_000,
    ],
)
def test_an_object_that_cannot_be_read_says_so(line: str) -> None:
    """The same for JSON, whose values may be of any type."""
    parser = Parser(parse_mapping("symbol=symbol,event_time=event_time,price=price,size=size"), None, "f")
    with pytest.raises(PoisonError) as refused:
        parser.parse(line, 1)
    assert refused.value.reason == "unreadable_row"


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ("", "says nothing about symbol"),
        ("symbol", "is not field=column"),
        ("symbol=a,event_time=b:min,price=c,size=d", "unit 'min'"),
        ("symbol=a:ms,event_time=b,price=c,size=d", "unit 'ms' of symbol"),
        ("symbol=a,event_time='1',price=c,size=d", "must come from a column"),
        ("symbol=a,event_time=b,price=c,size=d,colour=e", "no field colour"),
        ("symbol=a,event_time=b,bid=c,ask=d", "bid_size, ask_size"),
        ("symbol=a,event_time=b,price=c,size=d,kind=d", "nothing about trade_id of a correction"),
        ("symbol=a,event_time=b,bid=c,bid_size=d,ask=d,ask_size=d,kind=d", "a quote has no field kind"),
        ("symbol=a,event_time=b,trade_id=c,kind=d,trade_time=d:min", "unit 'min' of trade_time"),
        ("symbol=a,event_time=b,price='cheap',size=d", "price='cheap'"),
        ("binanse_trades", "binance_trades"),
    ],
)
def test_a_wrong_mapping_is_explained(mapping: str, says: str) -> None:
    """The message names what is wrong with REPLAY_FORMAT."""
    with pytest.raises(ConfigurationError, match="REPLAY_FORMAT") as wrong:
        Parser(mapping_for(mapping, ["a", "b", "c", "d"], "f.csv"), None, "f")
    assert says in str(wrong.value)


@pytest.mark.parametrize("name", ["auto", *FORMATS, "symbol=x,event_time=b,price=c,size=d"])
def test_columns_that_do_not_fit_are_named(name: str) -> None:
    """A format whose columns the file does not have is refused with the columns that it has."""
    with pytest.raises(ConfigurationError, match="a, b"):
        mapping_for(name, ["a", "b"], "f.csv")
