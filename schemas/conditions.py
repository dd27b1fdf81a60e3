"""What a trade may update in a bar, by the condition codes that its provider sent with it.

``trade_conditions.json`` is the table: each condition with what it lets a trade update and when that holds,
and each provider's codes for them. Of several codes the strictest counts, field by field. A code that is not
in the table restricts nothing; count it, see ``ConditionRules.unknown``. A trade of size 0 reports a price,
and no volume. What may set open and close may set high and low: so low <= open, close <= high in every bar.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import ConfigurationError

TABLE = "trade_conditions.json"
MAX_REMEMBERED = 4096
"""Combinations of codes whose outcome is remembered; at this many all are forgotten. Dozens are usual."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


@dataclass(frozen=True, slots=True)
class Updates:
    """What a trade may update in its bars."""

    open_close: bool
    high_low: bool
    volume: bool


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Condition(_Entry):
    """A condition of a trade. What it forbids, it forbids in the hours of ``when``, and nothing in others."""

    name: Name
    open_close: bool
    high_low: bool
    volume: bool
    when: Literal["always", "regular_hours", "outside_regular_hours"]
    about: str = Field(min_length=1)
    known_from: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.open_close and not self.high_low:
            raise ValueError(f"{self.name}: what sets open and close must set high and low, too")
        return self

    def applies(self, *, regular_hours: bool) -> bool:
        return self.when == "always" or (self.when == "regular_hours") == regular_hours


class Provider(_Entry):
    """A provider's codes, as text, and the names of the conditions that they stand for."""

    known_from: str
    codes: dict[str, str]


class _Table(_Entry):
    version: int = Field(ge=1)
    sources: dict[str, str]
    conditions: list[Condition]
    providers: dict[Name, Provider]

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [condition.name for condition in self.conditions]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"conditions more than once: {', '.join(twice)}")
        for name, provider in self.providers.items():
            if strange := sorted(set(provider.codes.values()) - set(names)):
                raise ValueError(f"{name} has codes for conditions that are not there: {', '.join(strange)}")
        entries: list[Condition | Provider] = [*self.conditions, *self.providers.values()]
        if strange := sorted({entry.known_from for entry in entries} - set(self.sources)):
            raise ValueError(f"known_from names sources that are not there: {', '.join(strange)}")
        return self


class ConditionRules:
    """The rules of one version of the table."""

    def __init__(self, text: str) -> None:
        """``text``: the table, JSON. Raises ConfigurationError where it contradicts itself."""
        try:
            table = _Table.model_validate(json.loads(text, object_pairs_hook=_unique))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(f"{TABLE} is wrong at {where or 'the top'}: {first['msg']}") from error
        except ValueError as error:
            raise ConfigurationError(f"{TABLE} cannot be read: {error}") from error
        self.version = table.version
        conditions = {condition.name: condition for condition in table.conditions}
        self._codes = {
            name: {code: conditions[condition] for code, condition in provider.codes.items()}
            for name, provider in table.providers.items()
        }
        self._remembered: dict[tuple[str, tuple[str, ...], bool, bool], Updates] = {}

    @classmethod
    def load(cls) -> Self:
        """The rules that come with this version of the project."""
        return cls(files("schemas").joinpath(TABLE).read_text(encoding="utf-8"))

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers that the table knows."""
        return tuple(self._codes)

    def updates(
        self, provider: str, conditions: Sequence[str], *, regular_hours: bool, size: float
    ) -> Updates:
        """What a trade of ``provider`` with these codes may update. ``regular_hours``: whether it was traded
        in the regular session, see ``Calendar.is_regular``; ``size`` in units of the symbol."""
        key = (provider, tuple(conditions), regular_hours, size > 0)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[key] = self._strictest(*key)
        return found

    def unknown(self, provider: str, conditions: Sequence[str]) -> tuple[str, ...]:
        """Those of the codes that are not in the table; all of them for a provider that is not."""
        codes = self._codes.get(provider, {})
        return tuple(code for code in conditions if code not in codes)

    def _strictest(
        self, provider: str, conditions: tuple[str, ...], regular_hours: bool, has_size: bool
    ) -> Updates:
        codes = self._codes.get(provider, {})
        known = (codes[code] for code in conditions if code in codes)
        effective = [condition for condition in known if condition.applies(regular_hours=regular_hours)]
        return Updates(
            open_close=all(condition.open_close for condition in effective),
            high_low=all(condition.high_low for condition in effective),
            volume=has_size and all(condition.volume for condition in effective),
        )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON takes the last of two equal keys without a word: two rules for one code would be one."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} is there twice")
        found[key] = value
    return found
