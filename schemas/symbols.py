"""One spelling for each symbol."""

import re

SHARE_CLASS = re.compile(r"([A-Z]{1,5})[.\-/]([A-Z])")


def one_spelling(symbol: str) -> str:
    """``BRK-B`` and ``BRK/B`` -> ``BRK.B``: a class of shares is one letter behind a dot. Everything else is
    what it is: ``BTC-USD`` and ``BTCUSDT`` are two symbols, of two currencies."""
    found = SHARE_CLASS.fullmatch(symbol)
    return f"{found[1]}.{found[2]}" if found else symbol
