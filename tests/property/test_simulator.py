"""What holds for the simulated market whatever its seed and however it is cut up."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from producer.settings import SimulatorSettings
from producer.simulator.columns import EXCHANGES, QuoteColumns, TradeColumns
from producer.simulator.market import CHUNK, Market
from producer.simulator.resume import Resume
from schemas.avro_codec import Encoder
from schemas.events import Quote, Trade

SYMBOLS = ("AAPL", "BRK.B", "V", "BTC-USD")
NOW_US = 1_723_161_255_000_000
longs = st.integers(0, 2**62)
prices = st.floats(0.01, 1e9)


def market_of(seed: int, zipf: float = 0.0) -> SimulatorSettings:
    return SimulatorSettings(symbols=SYMBOLS, trades_per_second=100, simulator_seed=seed, simulator_zipf=zipf)


@given(
    seed=st.integers(0, 2**40),
    start=st.integers(0, 5 * CHUNK),
    cuts=st.lists(st.integers(1, CHUNK), min_size=1, max_size=4),
    zipf=st.sampled_from((0.0, 1.0)),
)
def test_an_event_is_the_same_wherever_the_simulator_starts(
    seed: int, start: int, cuts: list[int], zipf: float
) -> None:
    """Symbol, size, exchange and id of trade n depend on the seed and n alone, not on how it is cut up."""
    count, settings = sum(cuts), market_of(seed, zipf)
    whole = Market(settings, Resume(start)).trades(np.full(count, NOW_US), NOW_US)
    resumed = Market(settings, Resume(start))
    parts = [resumed.trades(np.full(cut, NOW_US), NOW_US) for cut in cuts]
    for name in ("symbol", "size", "exchange", "sequence"):
        np.testing.assert_array_equal(
            getattr(whole, name), np.concatenate([getattr(part, name) for part in parts])
        )
    # Prices are summed up in another order: equal to a cent.
    np.testing.assert_allclose(whole.price, np.concatenate([part.price for part in parts]), atol=0.011)
    assert resumed.next_trade == start + count


@given(seeds=st.lists(st.integers(0, 2**40), min_size=2, max_size=2, unique=True))
def test_another_seed_is_another_market(seeds: list[int]) -> None:
    """Two seeds do not give the same symbols."""
    first, second = (Market(market_of(seed)).trades(np.full(200, NOW_US), NOW_US) for seed in seeds)
    assert first.symbol.tolist() != second.symbol.tolist()


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(SYMBOLS) - 1),
            longs,
            longs,
            longs,
            st.integers(0, len(EXCHANGES) - 1),
            prices,
            prices,
            st.booleans(),
        ),
        max_size=20,
    ),
    st.integers(0, 2**31),
)
def test_trade_columns_encode_as_the_encoder_does(rows: list[tuple[float, ...]], schema_id: int) -> None:
    """The fast encoding is byte for byte that of the codec, also where numbers differ in length."""
    columns = np.array(rows, dtype=object).reshape(-1, 8).T
    symbol, event_time, received_at, sequence, exchange = (column.astype(np.int64) for column in columns[:5])
    trades = TradeColumns(
        SYMBOLS, symbol, event_time, received_at, sequence % 10**15, exchange,
        price=columns[5].astype(np.float64), size=columns[6].astype(np.float64),
        correctable=columns[7].astype(np.bool_),
    )  # fmt: skip
    encoder = Encoder(Trade, schema_id)
    expected = [(trade.symbol.encode(), encoder.encode(trade), trade.event_time // 1000) for trade in trades]
    assert list(trades.wire(schema_id)) == expected


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(SYMBOLS) - 1),
            st.integers(2**49, 2**50),
            st.integers(64, 8191),
            *[prices] * 4,
        ),
        min_size=1,
        max_size=20,
    ),
    st.integers(0, 2**31),
)
def test_quote_columns_encode_as_the_encoder_does(rows: list[tuple[float, ...]], schema_id: int) -> None:
    """The same for quotes."""
    columns = np.array(rows, dtype=object).T
    symbol, time, sequence = (column.astype(np.int64) for column in columns[:3])
    bid, bid_size, ask, ask_size = (column.astype(np.float64) for column in columns[3:])
    quotes = QuoteColumns(
        SYMBOLS, symbol, time, time, sequence, symbol % len(EXCHANGES),
        bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size,
    )  # fmt: skip
    encoder = Encoder(Quote, schema_id)
    expected = [(quote.symbol.encode(), encoder.encode(quote), quote.event_time // 1000) for quote in quotes]
    assert list(quotes.wire(schema_id)) == expected


@given(st.sampled_from([np.nan, np.inf, -1.0, 0.0, 1e14]))
def test_columns_with_a_bad_price_are_not_valid(price: float) -> None:
    """A price that validation would refuse makes the columns as a whole invalid."""
    ints = np.array([1, 1])
    good = TradeColumns(
        SYMBOLS, ints, ints, ints, ints, ints, np.array([1.0, 2.0]), np.array([0.0, 1.0]), ints > 0
    )
    bad = replace(good, price=np.array([1.0, price]))
    assert good.valid()
    assert not bad.valid()
