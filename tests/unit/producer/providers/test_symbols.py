"""What symbols are called: by us, by each provider, and by a user's own table."""

from pathlib import Path

import pytest

from producer.symbols import SymbolNames
from schemas.errors import ConfigurationError
from schemas.settings import SymbolSettings
from schemas.symbols import one_spelling
from tests.support.provider_frames import NAMES

SPELLINGS = {
    "polygon": "BRK.B",
    "finnhub": "BRK.B",
    "yahoo": "BRK-B",
    "fmp": "BRK-B",
    "alpha_vantage": "BRK-B",
}


@pytest.mark.parametrize("spelling", ["BRK.B", "BRK-B", "BRK/B"])
def test_a_class_of_shares_has_one_spelling(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a user writes it."""
    assert one_spelling(spelling) == "BRK.B"
    monkeypatch.setenv("SYMBOLS", spelling)
    assert SymbolSettings().symbols == ("BRK.B",)


@pytest.mark.parametrize(
    "symbol", ["BTC-USD", "BTCUSDT", "BTC/USD", "^GSPC", "BINANCE:BTCUSDT", "A", "BF.BB", "-B"]
)
def test_everything_else_is_what_it_is(symbol: str) -> None:
    """A pair of one currency is not that of another."""
    assert one_spelling(symbol) == symbol


@pytest.mark.parametrize(("provider", "name"), SPELLINGS.items())
def test_each_provider_is_asked_in_its_own_spelling(provider: str, name: str) -> None:
    """Out, and back in."""
    names = SymbolNames.load().of(provider)
    assert names.theirs("BRK.B") == name
    assert names.ours(name) == "BRK.B"


@pytest.mark.parametrize("provider", [*NAMES, "yahoo", "fmp", "unheard_of"])
@pytest.mark.parametrize("symbol", ["AAPL", "BTC-USD", "BTCUSDT", "BRK.B", "SPX"])
def test_what_goes_out_comes_back(provider: str, symbol: str) -> None:
    """For every provider, also for one that the table does not have."""
    names = SymbolNames.load().of(provider)
    assert names.ours(names.theirs(symbol)) == symbol


def test_a_users_table_is_laid_over_ours(tmp_path: Path) -> None:
    """Entry by entry: what it does not name stays."""
    file = tmp_path / "names.json"
    file.write_text(
        '{"share_class": {"polygon": "/"}, "names": {"SPX": {"polygon": "I:SPX"}, "BF-B": {"fmp": "BFB"}}}'
    )
    names = SymbolNames.load(str(file))
    assert names.of("polygon").theirs("SPX") == "I:SPX"
    assert names.of("polygon").ours("I:SPX") == "SPX"
    assert names.of("polygon").theirs("BRK.B") == "BRK/B"
    assert names.of("yahoo").theirs("SPX") == "^GSPC"
    assert names.of("fmp").theirs("BF.B") == "BFB"


@pytest.mark.parametrize("text", ["", "[]", '{"names": {"A": "B"}}', '{"other": {}}'])
def test_a_table_that_is_wrong_is_refused_with_its_path(text: str, tmp_path: Path) -> None:
    """And with its form."""
    file = tmp_path / "names.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"SYMBOL_NAMES_FILE .*names\.json"):
        SymbolNames.load(str(file))


def test_a_table_that_is_not_there_is_refused() -> None:
    """The setting is named."""
    with pytest.raises(ConfigurationError, match="SYMBOL_NAMES_FILE nowhere"):
        SymbolNames.load("nowhere")
