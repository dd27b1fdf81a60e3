"""What all parsers share: a frame's items one by one, and values that are what they should be."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from producer.providers.contract import Frame, Item, Parsed, Signal
from producer.sources import Kind, Rejected
from schemas.errors import PoisonError
from schemas.events import Correction, ProviderBar, Quote, Trade

UNREADABLE = "unreadable_frame"
ReadItem = Callable[[Any, int], Item]
"""(item, its index) -> what it is. Raises PoisonError for one that is broken."""


def load(frame: Frame) -> Any:
    """The JSON of a frame; raises PoisonError where it is none."""
    try:
        return orjson.loads(frame.payload)
    except orjson.JSONDecodeError as error:
        raise PoisonError(UNREADABLE, f"no JSON: {error}") from error


def read(
    provider: str, frame: Frame, items_of: Callable[[Any], Sequence[Any]], read_item: ReadItem
) -> Parsed:
    """Reads the items that ``items_of`` finds in the frame's JSON, each by itself: a broken one is rejected,
    the others count. Where no items can be found the whole frame is one rejected item."""
    try:
        items = items_of(load(frame))
    except PoisonError as error:
        return Parsed(1, rejected=(reject(provider, error, frame.payload),))
    trades: list[Trade] = []
    quotes: list[Quote] = []
    corrections: list[Correction] = []
    bars: list[ProviderBar] = []
    rejected: list[Rejected] = []
    signals: list[Signal] = []
    control = 0
    for index, item in enumerate(items):
        try:
            made = read_item(item, index)
        except PoisonError as error:
            rejected.append(reject(provider, error, _payload(item, frame)))
            continue
        if isinstance(made, Trade):
            trades.append(made)
        elif isinstance(made, Quote):
            quotes.append(made)
        elif isinstance(made, Correction):
            corrections.append(made)
        elif isinstance(made, ProviderBar):
            bars.append(made)
        else:
            control += 1
            if made is not None:
                signals.append(made)
    return Parsed(len(items), trades, quotes, corrections, rejected, control, signals, bars)


def reject(provider: str, error: PoisonError, payload: bytes, kind: Kind = "trade") -> Rejected:
    """The dead letter of an item, which names the provider."""
    return Rejected(error.reason, f"{provider}: {error.detail}", payload, kind)


def single(document: Any) -> Sequence[Any]:
    """The items of a provider that sends one in each frame."""
    return (document,)


def mapping(item: Any) -> Mapping[str, Any]:
    """The item, if it is a JSON object."""
    if not isinstance(item, dict):
        raise PoisonError(UNREADABLE, f"not an object but {shown(item)}")
    return item


def text(item: Mapping[str, Any], name: str, reason: str) -> str:
    """A text; a whole number is taken as one, because ids come either way."""
    value = item.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise PoisonError(reason, f"{name} is {shown(value)}")
    return value


def number(item: Mapping[str, Any], name: str, reason: str) -> float:
    """A number, or a text that is one."""
    value = item.get(name)
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise PoisonError(reason, f"{name} is {shown(value)}")


def whole(item: Mapping[str, Any], name: str, reason: str) -> int:
    """A whole number, or a text that is one."""
    value = item.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    raise PoisonError(reason, f"{name} is {shown(value)}")


def milliseconds(item: Mapping[str, Any], name: str) -> int:
    """A time in milliseconds since 1970, in microseconds."""
    return whole(item, name, "implausible_time") * 1000


def codes(value: Any, name: str = "c") -> tuple[str, ...]:
    """Condition codes: a list of texts or whole numbers; null and not there mean none."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(type(code) in (str, int) for code in value):
        raise PoisonError(UNREADABLE, f"{name} is {shown(value)}, no list of codes")
    return tuple(str(code) for code in value)


def shown(value: Any) -> str:
    """A value for people: never more than a hundred characters."""
    if value is None:
        return "missing"
    if isinstance(value, list | dict):  # however deep it is
        return f"a {type(value).__name__}"
    return repr(value)[:100]


def words(value: Any) -> str:
    """What a provider says, in small letters, to look for words in; of what is no text only its kind."""
    return (value if isinstance(value, str) else shown(value)).lower()


def _payload(item: Any, frame: Frame) -> bytes:
    """The item by itself; where it is too deep to be written again, its frame."""
    try:
        return orjson.dumps(item)
    except orjson.JSONEncodeError:
        return frame.payload
