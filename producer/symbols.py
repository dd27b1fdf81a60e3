"""What a symbol is called by each provider, out and back in.

``symbol_names.json`` is the table: the letter between a share and its class (``share_class``: ours is the
dot), and symbols whose names follow no rule (``names``: symbol -> provider -> name). A file of the same form,
which SYMBOL_NAMES_FILE names, is laid over it, entry by entry:
``{"names": {"GOLD": {"finnhub": "OANDA:XAU_USD"}}}``.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import ConfigurationError
from schemas.symbols import SHARE_CLASS, one_spelling

TABLE = "symbol_names.json"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    share_class: dict[str, str] = {}
    names: dict[str, dict[str, str]] = {}


class ProviderNames:
    """The names of one provider."""

    def __init__(self, separator: str | None, names: Mapping[str, str]) -> None:
        """``separator``: between a share and its class; None: as we have it. ``names``: symbol -> name."""
        self._separator = separator
        self._theirs = dict(names)
        self._ours = {name: symbol for symbol, name in names.items()}

    def theirs(self, symbol: str) -> str:
        """What the provider calls the symbol."""
        known = self._theirs.get(symbol)
        if known is not None:
            return known
        share = SHARE_CLASS.fullmatch(symbol) if self._separator is not None else None
        return f"{share[1]}{self._separator}{share[2]}" if share else symbol

    def ours(self, name: str) -> str:
        """The symbol that the provider calls so."""
        known = self._ours.get(name)
        if known is not None:
            return known
        return name if self._separator is None else one_spelling(name)


class SymbolNames:
    """The names of all providers."""

    def __init__(self, share_class: Mapping[str, str], names: Mapping[str, Mapping[str, str]]) -> None:
        self._share_class = share_class
        self._names = names

    @classmethod
    def load(cls, path: str = "") -> Self:
        """The table that comes with the project, with the user's at ``path`` over it, if there is one.

        Raises ConfigurationError where that cannot be read."""
        table = _parsed(files("producer").joinpath(TABLE).read_text(encoding="utf-8"), TABLE)
        share_class, names = dict(table.share_class), dict(table.names)
        if path:
            try:
                text = Path(path).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"SYMBOL_NAMES_FILE {path} cannot be read: {error}") from error
            own = _parsed(text, f"SYMBOL_NAMES_FILE {path}")
            share_class |= own.share_class
            for symbol, by_provider in own.names.items():
                names[symbol] = names.get(symbol, {}) | by_provider
        return cls(share_class, names)

    def of(self, provider: str) -> ProviderNames:
        """The names of one provider; one that the table does not have calls everything as we do."""
        names = {
            one_spelling(symbol): by_provider[provider]
            for symbol, by_provider in self._names.items()
            if provider in by_provider
        }
        return ProviderNames(self._share_class.get(provider), names)


def _parsed(text: str, where: str) -> _Table:
    try:
        return _Table.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"]) or "the top"
        raise ConfigurationError(
            f'{where} is wrong at {at}: {first["msg"]}; its form is {{"names": {{"GOLD": {{"finnhub":'
            f' "OANDA:XAU_USD"}}}}}}'
        ) from error
