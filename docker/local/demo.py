"""``demo``: the whole system, with recordings that are played as if they happened now."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from docker.local.settings import PROJECT
from producer.demo import SOURCE, recorded_symbols
from producer.settings import DemoSettings
from schemas.errors import ConfigurationError
from schemas.settings import SymbolSettings, load_settings

SESSION = Path("../shared/data/binance_spot_20240809")
"""Eleven minutes of BTCUSDT and ETHUSDT, seen from the project's folder."""
SESSION_FILES = ("spot_btcusdt_trades.csv.gz", "spot_ethusdt_trades.csv.gz", "spot_btcusdt_quotes.csv.gz")


def demo_environment(
    files: Sequence[Path], speed: str, beside: str, environment: Mapping[str, str]
) -> dict[str, str]:
    """What to change in the environment of a start so that it plays the files, or the recorded session where
    none are named. ``speed`` and ``beside`` as REPLAY_SPEED and DEMO_WITH.

    Raises ConfigurationError for a recording that is not there or cannot be read, or a speed that is none.
    """
    chosen = [file.resolve() for file in files or recorded_session()]
    for file in chosen:
        if not file.is_file():
            raise ConfigurationError(f"no recording {file}: give a file that `make replay` reads, too")
    changes = {
        "SOURCE": SOURCE,
        "SOURCES": "",
        "REPLAY_FILES": ",".join(map(str, chosen)),
        "REPLAY_SPEED": speed,
        "DEMO_WITH": beside,
    }
    settings = load_settings(DemoSettings, {**environment, **changes})
    recorded = recorded_symbols(settings, time.time_ns() // 1000)
    if not recorded:
        raise ConfigurationError(f"nothing can be read in the first lines of {changes['REPLAY_FILES']}")
    others: tuple[str, ...] = ()
    if settings.demo_with == "simulator":
        others = load_settings(SymbolSettings, {"SYMBOLS": environment.get("SYMBOLS", "")}).symbols
    return {**changes, "SYMBOLS": ",".join(dict.fromkeys((*recorded, *others)))}


def recorded_session() -> list[Path]:
    """The files of the session that is played where none is named; raises ConfigurationError where they are
    not there."""
    files = [PROJECT / SESSION / name for name in SESSION_FILES]
    if not all(file.is_file() for file in files):
        raise ConfigurationError(
            f"the recorded session ({SESSION}, beside the project) is not here: name a recording of trades,"
            " make demo FILE=trades.csv.gz. It can be whatever `make replay` reads: CSV with column names or"
            " JSON lines, .gz too, several separated by commas"
        )
    return files
