"""What a trade may update by its condition codes: the rules of each provider, and recorded messages."""

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import conditions
from schemas.conditions import ConditionRules, Updates
from schemas.errors import ConfigurationError
from schemas.sessions import UsEquitiesCalendar

RECORDED = Path(__file__).parents[4] / "shared" / "data"
ALL = Updates(open_close=True, high_low=True, volume=True)
VOLUME_ONLY = Updates(open_close=False, high_low=False, volume=True)
NO_OPEN_CLOSE = Updates(open_close=False, high_low=True, volume=True)
PRICE_ONLY = Updates(open_close=True, high_low=True, volume=False)
NOTHING = Updates(open_close=False, high_low=False, volume=False)
RULES = ConditionRules.load()
NEW_YORK = UsEquitiesCalendar()
FORM_T = {"polygon": "12", "finnhub": "24", "alpaca": "T"}
ODD_LOT = {"polygon": "37", "finnhub": "12", "alpaca": "I"}
AVERAGE_PRICE = {"polygon": "2", "finnhub": "3", "alpaca": "W"}
TABLE: dict[str, Any] = json.loads(files("schemas").joinpath("trade_conditions.json").read_text("utf-8"))


def regular(provider: str, *codes: str, size: float = 100) -> Updates:
    return RULES.updates(provider, codes, regular_hours=True, size=size)


def extended(provider: str, *codes: str, size: float = 100) -> Updates:
    return RULES.updates(provider, codes, regular_hours=False, size=size)


# ---- rules, provider by provider


@pytest.mark.parametrize("provider", ["polygon", "finnhub", "alpaca"])
def test_an_average_price_adds_volume_and_sets_no_price(provider: str) -> None:
    """In any hours."""
    code = AVERAGE_PRICE[provider]
    assert regular(provider, code) == extended(provider, code) == VOLUME_ONLY


@pytest.mark.parametrize("provider", ["polygon", "finnhub", "alpaca"])
def test_an_odd_lot_never_sets_a_price(provider: str) -> None:
    """In any hours; it adds its volume."""
    code = ODD_LOT[provider]
    assert regular(provider, code, size=3) == extended(provider, code, size=3) == VOLUME_ONLY


@pytest.mark.parametrize("provider", ["polygon", "finnhub", "alpaca"])
def test_form_t_sets_prices_outside_of_regular_hours_only(provider: str) -> None:
    """Within them it adds volume; with an odd lot it sets no price anywhere."""
    code, odd_lot = FORM_T[provider], ODD_LOT[provider]
    assert (regular(provider, code), extended(provider, code)) == (VOLUME_ONLY, ALL)
    assert regular(provider, code, odd_lot) == extended(provider, code, odd_lot) == VOLUME_ONLY


@pytest.mark.parametrize("provider", ["polygon", "finnhub", "alpaca", "coinbase", "binance", "simulator"])
def test_a_trade_without_codes_updates_everything(provider: str) -> None:
    """And one whose codes restrict nothing."""
    assert regular(provider) == extended(provider) == ALL
    harmless = {"polygon": ("0", "14"), "finnhub": ("1", "8"), "alpaca": ("@", "F")}.get(provider, ())
    assert regular(provider, *harmless) == ALL


@pytest.mark.parametrize("provider", ["polygon", "finnhub", "alpaca", "coinbase", "no-such-provider"])
def test_size_0_is_a_price_without_volume(provider: str) -> None:
    """Venues that report no trades; any code may still forbid the price."""
    assert regular(provider, size=0) == PRICE_ONLY
    assert regular(provider, size=0.00000001) == ALL
    if provider in ODD_LOT:
        assert regular(provider, ODD_LOT[provider], size=0) == NOTHING


def test_the_codes_of_crypto_are_not_those_of_stocks() -> None:
    """2 is an average price there and the buyer's side here."""
    assert regular("polygon_crypto", "2") == regular("polygon_crypto", "1") == ALL
    assert RULES.unknown("polygon_crypto", ("0", "1", "2", "37")) == ("37",)


@pytest.mark.parametrize(
    ("provider", "out_of_sequence", "official_close", "corrected_close"),
    [("polygon", "32", "15", "38"), ("finnhub", "30", "16", "39"), ("alpaca", "Z", "M", "9")],
)
def test_what_comes_late_sets_no_open_or_close_and_what_is_no_trade_nothing(
    provider: str, out_of_sequence: str, official_close: str, corrected_close: str
) -> None:
    """A late report may still be the day's high."""
    assert regular(provider, out_of_sequence) == NO_OPEN_CLOSE
    assert regular(provider, official_close) == regular(provider, corrected_close) == NOTHING


def test_the_strictest_code_wins_field_by_field() -> None:
    """In any order, however many others there are."""
    assert regular("polygon", "14", "32", "41") == regular("polygon", "41", "14", "32") == NO_OPEN_CLOSE
    assert regular("polygon", "32", "2") == VOLUME_ONLY
    assert regular("polygon", "15", "37", "0") == NOTHING


def test_an_unknown_code_changes_nothing_and_is_named() -> None:
    """So that whoever asks can count it."""
    assert regular("polygon", "999") == ALL
    assert regular("polygon", "999", "37") == VOLUME_ONLY
    assert RULES.unknown("polygon", ("37", "999", "12", "x")) == ("999", "x")
    assert RULES.unknown("finnhub", ("1", "8", "24", "12")) == ()


def test_an_unknown_provider_has_no_rules() -> None:
    """A recording may name any source: its trades count in full, all of its codes are unknown."""
    assert regular("kraken", "37", "2") == ALL
    assert RULES.unknown("kraken", ("37",)) == ("37",)
    assert "kraken" not in RULES.providers


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes without end take no memory without end, and change no outcome."""
    monkeypatch.setattr(conditions, "MAX_REMEMBERED", 3)
    rules = ConditionRules.load()
    for number in range(20):
        assert rules.updates("polygon", (f"new{number}", "37"), regular_hours=True, size=1) == VOLUME_ONLY
    assert len(rules._remembered) <= 3


codes = st.lists(st.sampled_from([*TABLE["providers"]["polygon"]["codes"], "?"]), max_size=6)


@given(codes=codes, more=codes, regular_hours=st.booleans(), size=st.sampled_from([0.0, 1.0]))
def test_more_codes_never_allow_more(
    codes: list[str], more: list[str], regular_hours: bool, size: float
) -> None:
    """Together they allow what each of both allows, and open and close never without high and low."""
    one, other, both = (
        RULES.updates("polygon", each, regular_hours=regular_hours, size=size)
        for each in (codes, more, codes + more)
    )
    assert both == Updates(
        one.open_close and other.open_close, one.high_low and other.high_low, one.volume and other.volume
    )
    assert both.high_low or not both.open_close
    assert size > 0 or not both.volume


# ---- the table


def test_the_table_has_a_version_and_these_providers() -> None:
    """Raise the version with every change of a rule."""
    assert RULES.version == TABLE["version"] == 1
    assert set(RULES.providers) == {
        "polygon", "polygon_crypto", "finnhub", "alpaca", "coinbase", "binance", "simulator"
    }  # fmt: skip


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    table = json.loads(json.dumps(TABLE))
    change(table)
    return json.dumps(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "wrong at the top"),
        (json.dumps(TABLE).replace('"37":', '"12":', 1), "'12' is there twice"),
        (changed(lambda table: table.pop("version")), "wrong at version"),
        (changed(lambda table: table.update(version=0)), "wrong at version"),
        (changed(lambda table: table.update(extra=1)), "wrong at extra"),
        (changed(lambda table: table["conditions"][0].update(high_low=False)), "must set high and low, too"),
        (changed(lambda table: table["conditions"][3].update(when="at night")), "conditions.3.when"),
        (changed(lambda table: table["conditions"][3].update(volume="yes")), "conditions.3.volume"),
        (changed(lambda table: table["conditions"][3].pop("known_from")), "conditions.3.known_from"),
        (changed(lambda table: table["conditions"][3].update(known_from="hearsay")), "not there: hearsay"),
        (
            changed(lambda table: table["conditions"].append(table["conditions"][0])),
            "more than once: regular",
        ),
        (
            changed(lambda table: table["providers"]["finnhub"]["codes"].update({"99": "oddlot"})),
            "finnhub has codes for conditions that are not there: oddlot",
        ),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(text: str, message: str) -> None:
    """With the place, before any trade is judged by it."""
    with pytest.raises(ConfigurationError) as refused:
        ConditionRules(text)
    assert "trade_conditions.json" in str(refused.value)
    assert message in str(refused.value)


def test_a_rule_of_extended_hours_holds_in_them_alone() -> None:
    """The third kind of hours, which no condition of today has."""
    rules = ConditionRules(
        changed(lambda table: table["conditions"][0].update(when="outside_regular_hours", volume=False))
    )
    found = [rules.updates("finnhub", ("1",), regular_hours=hours, size=1) for hours in (True, False)]
    assert found == [ALL, PRICE_ONLY]


# ---- recorded messages, with the regular session of their time


def recorded(path: str) -> str:
    file = RECORDED / path
    if not file.exists():
        pytest.skip(f"the recording shared/data/{path} is not on this machine")
    return file.read_text(encoding="utf-8")


def judged(provider: str, codes: list[Any] | None, size: float, time_us: int) -> Updates:
    return RULES.updates(
        provider,
        [str(code) for code in codes or ()],
        regular_hours=NEW_YORK.is_regular(time_us),
        size=size,
    )


def finnhub_trades(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        message = json.loads(line)
        if isinstance(message, dict) and message["type"] == "trade":
            yield from message["data"]


def test_the_recorded_finnhub_session() -> None:
    """AAPL in regular hours: odd lots add volume, the others set prices; by its first message, and in sum."""
    trades = list(finnhub_trades(recorded("finnhub/aapl_20230331_session.jsonl")))
    found = [judged("finnhub", trade["c"], trade["v"], trade["t"] * 1000) for trade in trades]
    assert found[:6] == [VOLUME_ONLY, VOLUME_ONLY, ALL, VOLUME_ONLY, ALL, VOLUME_ONLY]
    assert [update == ALL for update in found] == [trade["v"] >= 100 for trade in trades]
    prices = [trade["p"] for trade, update in zip(trades, found, strict=True) if update.high_low]
    assert (min(prices), max(prices), len(prices)) == (164.06, 164.07, 14)
    assert min(trade["p"] for trade in trades) == 164.0591  # an odd lot: no low of the bar
    volume = sum(trade["v"] for trade, update in zip(trades, found, strict=True) if update.volume)
    assert volume == sum(trade["v"] for trade in trades)
    assert not any(RULES.unknown("finnhub", trade["c"]) for trade in trades)


def test_the_recorded_finnhub_frames() -> None:
    """Crypto and stocks without codes, odd lots after the close with Form T, round lots: by codes."""
    trades = list(finnhub_trades(recorded("finnhub/assorted.jsonl")))
    found = {
        (trade["s"], tuple(trade["c"] or ())): judged("finnhub", trade["c"], trade["v"], trade["t"] * 1000)
        for trade in trades
    }
    assert found == {
        ("BINANCE:BTCUSDT", ()): ALL,
        ("XOM", ("1",)): ALL,
        ("XOM", ("1", "8")): ALL,
        ("XOM", ("1", "12")): VOLUME_ONLY,
        ("XOM", ("1", "8", "12")): VOLUME_ONLY,
        ("AAPL", ("1", "12")): VOLUME_ONLY,
        ("AAPL", ("1", "8", "12")): VOLUME_ONLY,
        ("AAPL", ("1", "24", "12")): VOLUME_ONLY,
        ("TSLA", ()): ALL,
        ("TSLA", ("1", "8", "24", "12")): VOLUME_ONLY,
        ("GOOG", ("1", "12")): VOLUME_ONLY,
        ("CLOV", ("1",)): ALL,
        ("CLOV", ("1", "12")): VOLUME_ONLY,
        ("CLOV", ("1", "8", "12")): VOLUME_ONLY,
    }
    after_hours = [trade["t"] * 1000 for trade in trades if "24" in (trade["c"] or ())]
    assert [NEW_YORK.is_regular(at) for at in after_hours] == [False] * 9
    assert [judged("finnhub", ["1", "24"], 100, at) for at in after_hours] == [ALL] * 9


def test_the_recorded_polygon_messages() -> None:
    """A round lot without codes, an odd lot of one share, and a trade of crypto."""
    crypto, stocks = (json.loads(line) for line in recorded("polygon/ws_samples.jsonl").splitlines())
    found = [judged("polygon", trade.get("c"), trade["s"], trade["t"] * 1000) for trade in stocks]
    assert found == [ALL, VOLUME_ONLY]
    trade = crypto[0]
    assert judged("polygon_crypto", trade["c"], trade["s"], trade["t"] * 1000) == ALL


def test_the_recorded_polygon_answers() -> None:
    """Form T after the close, all odd lots: volume only. A round lot then would set prices, and none four
    hours before."""
    last = json.loads(recorded("polygon/rest/v2_last_trade_AAPL.json"))["results"]
    assert judged("polygon", last["c"], last["s"], last["t"] // 1000) == VOLUME_ONLY
    trades = json.loads(recorded("polygon/rest/v3_trades_AAPL.json"))["results"]
    times = [trade["sip_timestamp"] // 1000 for trade in trades]
    found = [
        judged("polygon", trade["conditions"], trade["size"], at)
        for trade, at in zip(trades, times, strict=True)
    ]
    assert found == [VOLUME_ONLY, VOLUME_ONLY]
    assert [judged("polygon", [12], 100, at) for at in times] == [ALL, ALL]
    four_hours = 4 * 3_600_000_000
    assert [judged("polygon", [12], 100, at - four_hours) for at in times] == [VOLUME_ONLY, VOLUME_ONLY]


def test_the_recorded_alpaca_trade() -> None:
    """An ordinary round lot."""
    frame = json.loads(recorded("alpaca/sample.jsonl").splitlines()[1])
    trade = next(message for message in frame if message["T"] == "t")
    assert trade["c"] == ["@"]
    assert RULES.updates("alpaca", trade["c"], regular_hours=True, size=trade["s"]) == ALL
    assert RULES.unknown("alpaca", trade["c"]) == ()


@pytest.mark.parametrize(
    ("time_us", "expected"),
    [
        (1_732_888_799_999_999, ALL),
        (1_732_890_600_000_000, VOLUME_ONLY),
        (1_732_903_199_999_999, VOLUME_ONLY),
        (1_732_903_200_000_000, ALL),
        (1_732_800_000_000_000, ALL),
    ],
)
def test_form_t_follows_half_days_and_holidays(time_us: int, expected: Updates) -> None:
    """2024-11-29 closes at 13:00 in New York; the day before is a holiday."""
    assert judged("polygon", [12], 100, time_us) == expected
