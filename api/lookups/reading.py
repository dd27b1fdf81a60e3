"""What the readers of both providers share."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.validation import EARLIEST_US, LATEST_US


def _none_if_empty(value: Any) -> Any:
    return None if value in ("", "0000-00-00") else value


class Given(BaseModel):
    """An object of a provider; what we do not know of it is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Text = Annotated[str | None, BeforeValidator(_none_if_empty)]
Number = Annotated[float | None, BeforeValidator(_none_if_empty)]
Whole = Annotated[int | None, BeforeValidator(_none_if_empty)]
Seconds = Annotated[int, Field(ge=EARLIEST_US // 1_000_000, lt=LATEST_US // 1_000_000)]
"""A time since 1970 that has a date."""
SecondsOrMillis = Annotated[int, Field(ge=EARLIEST_US // 1000, lt=LATEST_US // 1000)]
"""The same where small numbers are seconds and large ones milliseconds."""
Day = Annotated[date | None, BeforeValidator(_none_if_empty)]


def day_of(seconds: int) -> date:
    """The UTC date of a time in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).date()
