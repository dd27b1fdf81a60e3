"""Indicators against reference spreadsheets, pandas, the ta library and values worked out by hand."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ta.trend import SMAIndicator
from ta.volatility import BollingerBands

from jobs.domain.indicators import DEFAULT, BarValues, Indicators, State
from schemas.errors import ConfigurationError

REFERENCE = Path(__file__).parents[4] / "shared/data/indicators"
RELATIVE = 1e-9
DAILY_COLUMNS = {
    "sma_20": "sma20",
    "ema_20": "ema20",
    "ema_12": "ema12",
    "ema_26": "ema26",
    "macd_12_26_9": "macd",
    "macd_signal_12_26_9": "macd_signal",
    "macd_histogram_12_26_9": "macd_hist",
    "rsi_14": "rsi14",
    "bollinger_upper_20_2": "bb_upper",
    "bollinger_middle_20_2": "bb_mid",
    "bollinger_lower_20_2": "bb_lower",
    "atr_14": "atr14",
}


def reference(name: str) -> list[dict[str, str]]:
    """The rows of a reference file; skips the test where it is not on this machine."""
    file = REFERENCE / name
    if not file.is_file():
        pytest.skip(f"the reference values (shared/data/indicators/{name}) are not on this machine")
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def bar_of(row: dict[str, str], session: int = 0) -> BarValues:
    high, low, close, volume = (float(row[name]) for name in ("high", "low", "close", "volume"))
    return BarValues(high, low, close, volume, session)


def run(indicators: Indicators, bars: list[BarValues]) -> Iterator[dict[str, float]]:
    """The values of each bar; every one is made final before the next."""
    state = indicators.fresh()
    for bar in bars:
        yield indicators.values(state, bar)
        indicators.advance(state, bar)


def last(indicators: Indicators, bars: list[BarValues]) -> dict[str, float]:
    return list(run(indicators, bars))[-1]


def closes(*prices: float) -> list[BarValues]:
    """Bars of one price each."""
    return [BarValues(price, price, price, 1.0, 0) for price in prices]


def advanced(indicators: Indicators, bars: list[BarValues]) -> State:
    state = indicators.fresh()
    for bar in bars:
        indicators.advance(state, bar)
    return state


@pytest.fixture(scope="module")
def walk() -> pd.Series:
    """Closes of a seeded random walk around 100, longer than every window."""
    return pd.Series(100.0 + np.random.default_rng(7).normal(0, 0.5, 700).cumsum())


def test_daily_values_equal_the_reference() -> None:
    """Two years of SPY: every value of every bar, and none where the reference has none yet."""
    rows = reference("skender_daily_reference.csv")
    indicators = Indicators("sma:20,ema:20,ema:12,ema:26,macd:12:26:9,rsi:14,bollinger:20:2,atr:14")
    assert set(indicators.names) == set(DAILY_COLUMNS)
    assert len(rows) == 502
    for row, values in zip(rows, run(indicators, [bar_of(row) for row in rows]), strict=True):
        expected = {name: float(row[column]) for name, column in DAILY_COLUMNS.items() if row[column]}
        assert values == pytest.approx(expected, rel=RELATIVE, abs=0), row["date"]


def test_session_vwap_equals_the_reference_in_every_session() -> None:
    """A day of SPY minutes, and the same day again as the next session: it begins anew."""
    rows = reference("skender_vwap_intraday_reference.csv")
    assert len(rows) == 391
    bars = [bar_of(row, session) for session in (1, 2) for row in rows]
    expected = [float(row["vwap_session"]) for row in rows]
    values = [values["session_vwap"] for values in run(Indicators("vwap"), bars)]
    assert values[:391] == pytest.approx(expected, rel=RELATIVE, abs=0)
    assert values[391:] == values[:391]


@pytest.mark.parametrize("period", [1, 20, 50, 200])
def test_sma_equals_pandas_and_ta(walk: pd.Series, period: int) -> None:
    """What the reference lacks: the longer means."""
    values = run(Indicators(f"sma:{period}"), closes(*walk))
    ours = np.array([value.get(f"sma_{period}", np.nan) for value in values])
    np.testing.assert_allclose(ours, walk.rolling(period).mean(), rtol=RELATIVE)
    np.testing.assert_allclose(ours, SMAIndicator(walk, period).sma_indicator(), rtol=RELATIVE)


@pytest.mark.parametrize("period", [1, 9, 50, 200])
def test_ema_equals_pandas_with_the_same_seed(walk: pd.Series, period: int) -> None:
    """pandas' own begins with the first value: it is given the mean of the first ones there instead."""
    seeded = walk.copy()
    seeded[: period - 1] = np.nan
    seeded[period - 1] = walk[:period].mean()
    values = run(Indicators(f"ema:{period}"), closes(*walk))
    ours = np.array([value.get(f"ema_{period}", np.nan) for value in values])
    np.testing.assert_allclose(ours, seeded.ewm(span=period, adjust=False).mean(), rtol=RELATIVE)


@pytest.mark.parametrize(("period", "deviations"), [(20, 2), (50, 2.5)])
def test_bollinger_equals_ta(walk: pd.Series, period: int, deviations: float) -> None:
    """The ta library takes the population's standard deviation as well."""
    indicators = Indicators(f"bollinger:{period}:{deviations}")
    ours = pd.DataFrame(list(run(indicators, closes(*walk))), columns=list(indicators.names))
    bands = BollingerBands(walk, period, deviations)
    theirs = [bands.bollinger_hband(), bands.bollinger_mavg(), bands.bollinger_lband()]
    np.testing.assert_allclose(ours, np.array(theirs).T, rtol=RELATIVE)


def test_the_names_of_the_default_set_come_in_its_order() -> None:
    """Tables, API and dashboards know the values by these names."""
    assert Indicators(DEFAULT).names == (
        "sma_20", "sma_50", "sma_200", "ema_12", "ema_26", "rsi_14",
        "macd_12_26_9", "macd_signal_12_26_9", "macd_histogram_12_26_9",
        "bollinger_upper_20_2", "bollinger_middle_20_2", "bollinger_lower_20_2",
        "session_vwap", "atr_14",
    )  # fmt: skip


def test_a_value_is_absent_until_it_is_defined() -> None:
    """The bar from which each value of the default set is there: never a 0 in its place."""
    indicators = Indicators(DEFAULT)
    first: dict[str, int] = {}
    for number, values in enumerate(run(indicators, closes(*range(100, 301))), start=1):
        first |= {name: number for name in values if name not in first}
    assert first == {
        "session_vwap": 1,
        "ema_12": 12,
        "rsi_14": 15,
        "atr_14": 15,
        "sma_20": 20,
        "bollinger_upper_20_2": 20,
        "bollinger_middle_20_2": 20,
        "bollinger_lower_20_2": 20,
        "ema_26": 26,
        "macd_12_26_9": 26,
        "macd_signal_12_26_9": 34,
        "macd_histogram_12_26_9": 34,
        "sma_50": 50,
        "sma_200": 200,
    }


def test_macd_is_worked_out_by_hand() -> None:
    """EMA 1 is the close; EMA 2 of 2, 4, 9 is seeded with 3, then 7; the signal with the mean of 1 and 2."""
    values = list(run(Indicators("macd:1:2:2"), closes(2, 4, 9)))
    assert values[0] == {}
    assert values[1] == {"macd_1_2_2": 1}
    assert values[2] == pytest.approx(
        {"macd_1_2_2": 2, "macd_signal_1_2_2": 1.5, "macd_histogram_1_2_2": 0.5}
    )


@pytest.mark.parametrize(
    ("prices", "rsi"),
    [
        ((1, 2, 3), 100),  # no loss
        ((3, 2, 1), 0),  # no gain
        ((5, 5, 5), 50),  # neither: a market at rest is not overbought
        ((1, 4, 3), 75),  # gain 3, loss 1
        ((1, 4, 3, 3), 75),  # both smoothed alike
        ((1, 4, 3, 5), 87.5),  # gains (1.5 + 2) / 2 = 1.75, losses 0.5 / 2 = 0.25
    ],
)
def test_rsi_is_worked_out_by_hand(prices: tuple[float, ...], rsi: float) -> None:
    """Wilder's smoothing after a simple mean of the first two changes, and the ends of the scale."""
    assert last(Indicators("rsi:2"), closes(*prices)) == {"rsi_2": rsi}


def test_atr_is_worked_out_by_hand() -> None:
    """True ranges: none, 3 (the bar itself), 6 (a gap up), 8 (a gap down)."""
    prices = [(11, 9, 10), (12, 9, 11), (17, 16, 16), (10, 8, 9)]
    values = list(run(Indicators("atr:2"), [BarValues(*price, 1.0, 0) for price in prices]))
    assert values == [{}, {}, {"atr_2": 4.5}, {"atr_2": 6.25}]


def test_session_vwap_is_undefined_until_the_session_has_volume() -> None:
    """Volume 0 is no value; a new session forgets the last one, whether or not it has volume."""
    bars = [
        BarValues(12, 9, 9, 0.0, 1),
        BarValues(12, 9, 9, 2.0, 1),
        BarValues(21, 18, 21, 6.0, 1),
        BarValues(30, 30, 30, 0.0, 2),
        BarValues(30, 30, 30, 1.0, 2),
    ]
    values = list(run(Indicators("vwap"), bars))
    assert values == [{}, {"session_vwap": 10}, {"session_vwap": 17.5}, {}, {"session_vwap": 30}]


def test_a_bar_without_prices_shows_the_values_before_it() -> None:
    """Its volume counts for nothing either, and neither does its session."""
    indicators = Indicators("sma:2,ema:2,rsi:1,atr:1,vwap")
    state = advanced(indicators, closes(1, 3))
    before = indicators.dump(state)
    unpriced = BarValues(None, None, None, 5.0, 7)
    assert indicators.values(state, unpriced) == {
        "sma_2": 2, "ema_2": 2, "rsi_1": 100, "atr_1": 2, "session_vwap": 2,
    }  # fmt: skip
    indicators.advance(state, unpriced)
    assert indicators.dump(state) == before
    assert indicators.values(indicators.fresh(), unpriced) == {}


def test_the_state_stays_as_small_as_it_says() -> None:
    """The figure of State's docstring, however many bars have come."""
    indicators = Indicators(DEFAULT)
    assert len(indicators.dump(indicators.fresh())) == 154
    for bars in (200, 900):
        assert len(indicators.dump(advanced(indicators, closes(*range(1, bars + 1))))) == 1754


def test_no_indicators_are_a_set_too() -> None:
    """An empty specification turns them off."""
    indicators = Indicators(" ")
    state = advanced(indicators, closes(1, 2))
    assert indicators.names == ()
    assert indicators.values(state, closes(3)[0]) == {}
    assert indicators.load(indicators.dump(state)) == state == indicators.fresh()


def test_the_order_and_spelling_of_a_specification_do_not_matter_to_a_state() -> None:
    """The same indicators, named in another order."""
    one, other = Indicators("ema:2,rsi:1,bollinger:2:2"), Indicators("bollinger:2:2.0, rsi:01 ,ema:2")
    data = one.dump(advanced(one, closes(1, 3, 2)))
    assert other.belongs(data)
    bar = closes(5)[0]
    assert other.values(other.load(data), bar) == one.values(one.load(data), bar)
    assert other.dump(other.load(data)) == data


def test_the_state_of_another_specification_is_refused() -> None:
    """Also where its bytes are as long; the message says what to do, ``belongs`` says it beforehand."""
    indicators, other = Indicators("ema:2,sma:2"), Indicators("ema:3,sma:2")
    data = other.dump(advanced(other, closes(1, 2, 3)))
    assert len(data) == len(indicators.dump(advanced(indicators, closes(1, 2, 3))))
    assert other.belongs(data)
    assert not indicators.belongs(data)
    with pytest.raises(ValueError, match="another INDICATORS setting than ema_2, sma_2: set it back"):
        indicators.load(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"\x02" + data[1:], "layout 2 cannot be read by this version"),
        (lambda data: data[1::-1] + data[2:], "layout 256 cannot be read"),  # a machine of the other order
        (lambda data: data[:5], "of 5 bytes is cut"),
        (lambda _: b"", "of 0 bytes is cut"),
        (lambda data: data[:20], "of 20 bytes is cut or too long"),
        (lambda data: data[:-1], "of 41 bytes is cut or too long"),
        (lambda data: data + bytes(8), "of 50 bytes is cut or too long"),
    ],
)
def test_damaged_state_is_refused(change: object, message: str) -> None:
    """Another layout, cut anywhere, or more closes than any window holds."""
    indicators = Indicators("ema:2,sma:2")
    data = indicators.dump(advanced(indicators, closes(1, 2, 3)))
    assert callable(change)
    damaged = change(data)
    assert not indicators.belongs(damaged)
    with pytest.raises(ValueError, match=message):
        indicators.load(damaged)


def test_no_state_is_a_fresh_one() -> None:
    """What Flink gives for a key that is new."""
    indicators = Indicators(DEFAULT)
    assert indicators.load(None) == indicators.fresh()


@pytest.mark.parametrize(
    ("specification", "wrong"),
    [
        ("sma:20,wma:5", "'wma:5': no indicator is called 'wma'"),
        ("sma:20,", "'': no indicator is called ''"),
        ("SMA:20", "no indicator is called 'SMA'"),
        ("sma", "'sma': it is written sma:PERIOD"),
        ("vwap:5", "'vwap:5': it is written vwap"),
        ("macd:12:26", "it is written macd:FAST:SLOW:SIGNAL"),
        ("rsi:0", "'rsi:0': '0' is no whole number from 1 to 1000"),
        ("atr:1001", "'1001' is no whole number from 1 to 1000"),
        ("ema:-3", "'-3' is no whole number"),
        ("ema:2.5", "'2.5' is no whole number"),
        ("ema:²", "'²' is no whole number"),
        ("macd:26:12:9", "FAST must be below SLOW, but 26 is not below 12"),
        ("macd:12:12:9", "FAST must be below SLOW, but 12 is not below 12"),
        ("bollinger:20:two", "'two' is no number above 0 and up to 100"),
        ("bollinger:20:0", "'0' is no number above 0"),
        ("bollinger:20:inf", "'inf' is no number above 0"),
        ("bollinger:20:nan", "'nan' is no number above 0"),
    ],
)
def test_a_wrong_specification_is_told_with_what_is_possible(specification: str, wrong: str) -> None:
    """Which item, what is wrong with it, and how every indicator is written."""
    with pytest.raises(ConfigurationError) as error:
        Indicators(specification)
    assert wrong in str(error.value)
    assert str(error.value).endswith(
        "Possible are sma:PERIOD, ema:PERIOD, rsi:PERIOD, macd:FAST:SLOW:SIGNAL, bollinger:PERIOD:DEVIATIONS,"
        " vwap, atr:PERIOD; every period is a whole number from 1 to 1000, and FAST is below SLOW."
    )


def test_an_indicator_is_named_once() -> None:
    """Two of the same name would overwrite each other."""
    with pytest.raises(ConfigurationError, match="sma_20 would come twice"):
        Indicators("sma:20,vwap,sma:20")
