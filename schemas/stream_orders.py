"""Orders to the producer: which symbols are stopped.

They are records of the topic ``Topics.streams``, in JSON, with the symbol as the key; the last one of each
counts, and Kafka keeps it for good (compaction). So an order outlives the producer and whoever gave it, and
any number of API processes may give some.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import PoisonError


class StreamOrder(BaseModel):
    """``stopped``: the symbol is not to be produced until there is another order."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    symbol: str
    stopped: bool

    @property
    def key(self) -> bytes:
        return self.symbol.encode()

    @property
    def value(self) -> bytes:
        return self.model_dump_json().encode()

    @classmethod
    def read(cls, value: bytes) -> Self:
        """The order of a record; raises PoisonError where it is none."""
        try:
            return cls.model_validate_json(value)
        except ValidationError as error:
            raise PoisonError("unreadable_order", str(error.errors(include_url=False)[0]["msg"])) from None
