"""What a client may send, and every answer that is not an event.

Messages are JSON objects with a ``type``, one in each text frame (see ``batch``). Clients send subscribe,
unsubscribe, ping and pong; an ``id`` of theirs comes back in the answer.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from api.errors import ApiError, plain_message
from api.live.messages import Key
from api.parameters import Interval
from schemas.intervals import INTERVALS
from schemas.symbols import one_spelling
from schemas.validation import SYMBOL

Channel = Literal["trades", "quotes", "candles", "alerts"]
MAX_NAMES = 10_000
"""Symbols in one message; how many a client may hold is a setting."""
MAX_INTERVAL_MS = 5_000
"""Longest time for which messages are gathered: what waits is bounded by number, too."""
MAX_ID = 64
MAX_INTERVALS = 16
"""Different ones of a connection, beside 0: each turn of sending looks at all of them."""


class ProtocolError(ApiError):
    """An answer to a message that cannot be done as asked. Nothing has changed by it; ``code`` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _symbol(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError("write a symbol as text")  # noqa: TRY004 -- what pydantic takes
    text = name.strip().upper()
    if text != "*" and not SYMBOL.fullmatch(text):
        raise ValueError(f"{name[:50]!r} is not a symbol")
    return text


Symbols = Annotated[
    tuple[Annotated[str, BeforeValidator(_symbol)], ...],
    Field(max_length=MAX_NAMES, description="upper or lower case; `*`: all, for alerts only"),
]


def _id(given: object) -> str | int | None:
    if given is None or (isinstance(given, int) and not isinstance(given, bool)):
        return given
    if isinstance(given, str) and len(given) <= MAX_ID:
        return given
    raise ValueError(f"give a text of up to {MAX_ID} characters or a whole number")


class Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str | int | None, BeforeValidator(_id)] = Field(
        None, description="a text of up to 64 characters or a whole number; the answer has the same"
    )


class Resume(BaseModel):
    """Where a connection of before had come to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: str = Field(max_length=64, description="of the `hello` of that connection")
    seq: int = Field(
        ge=0,
        description="the greatest `seq` that was received; by who had several `interval_ms`: of what this"
        " message names, since what is gathered comes after what is sent at once",
    )


class Subscribe(Request):
    """Adds every combination of channels and symbols to what the client gets."""

    type: Literal["subscribe"] = "subscribe"
    channels: tuple[Channel, ...] = Field(("trades", "candles"), min_length=1)
    symbols: Symbols = Field((), validate_default=True)
    intervals: tuple[Interval, ...] = Field(("1m",), min_length=1, description="of candles")
    interval_ms: int | None = Field(
        None,
        strict=True,
        ge=0,
        le=MAX_INTERVAL_MS,
        description="messages of what is named here are gathered for so long; of quotes and live bars the"
        " newest ones are sent. To name something again changes it; without it, or 0: sent at once",
    )
    batch: bool | None = Field(
        None,
        strict=True,
        description="messages that are sent at the same time share a frame, as a `batch`. For the whole"
        " connection",
    )
    resume: Resume | None = Field(None, description="send what was missed since then before anything else")


class Unsubscribe(Request):
    """Takes away from what the client gets; what is not named is not narrowed down: without any name, all."""

    type: Literal["unsubscribe"]
    channels: tuple[Channel, ...] | None = None
    symbols: Symbols | None = None
    intervals: tuple[Interval, ...] | None = None


class Ping(Request):
    """Is answered with a pong."""

    type: Literal["ping"]


class Pong(Request):
    """Is not answered."""

    type: Literal["pong"]


REQUESTS: Mapping[str, type[Subscribe | Unsubscribe | Ping | Pong]] = {
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "ping": Ping,
    "pong": Pong,
}
FIELD_CODES = {
    "channels": "unknown_channel",
    "intervals": "unknown_interval",
    "symbols": "invalid_symbol",
    "resume": "invalid_resume",
}


def parse_request(text: str | bytes, max_bytes: int) -> Subscribe | Unsubscribe | Ping | Pong:
    """What a client sent; raises ProtocolError."""
    size = len(text.encode()) if isinstance(text, str) else len(text)
    if size > max_bytes:
        raise ProtocolError("message_too_large", f"{size} bytes: at most {max_bytes} are taken")
    try:
        given = orjson.loads(text)
    except ValueError:
        raise ProtocolError("invalid_json", 'send JSON such as {"type":"ping"}') from None
    kind = given.get("type") if isinstance(given, dict) else None
    model = REQUESTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise ProtocolError("unknown_type", f"send an object whose type is one of {', '.join(REQUESTS)}")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise ProtocolError(*describe_problem(error)) from None


def describe_problem(error: ValidationError) -> tuple[str, str]:
    """Code and message of the first thing that is wrong with a request."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    code = FIELD_CODES.get(str(first["loc"][0]), "invalid_message")
    return code, f"{place}: {plain_message(first)}"


def request_id(text: str | bytes) -> str | int | None:
    """The ``id`` of a message that was refused, where one can be read."""
    try:
        given = orjson.loads(text)
        return _id(given.get("id")) if isinstance(given, dict) else None
    except ValueError:
        return None


def wanted_keys(request: Subscribe) -> set[Key]:
    """What a request asks for; raises ProtocolError where symbols are missing or not to be had."""
    keys: set[Key] = set()
    for channel in request.channels:
        if channel == "alerts":
            keys |= {("alerts", symbol) for symbol in request.symbols or ("*",)}
        elif not request.symbols:
            raise ProtocolError("symbols_missing", f"{channel}: name the symbols")
        elif "*" in request.symbols:
            raise ProtocolError("invalid_symbol", f"{channel}: '*' is for alerts only: name the symbols")
        elif channel == "candles":
            keys |= {(channel, symbol, each) for symbol in request.symbols for each in request.intervals}
        else:
            keys |= {(channel, symbol) for symbol in request.symbols}
    return keys


def unwanted_keys(request: Unsubscribe, held: Collection[Key]) -> set[Key]:
    """Those of ``held`` that a request takes away; a symbol in either of its spellings."""
    symbols = request.symbols and {*request.symbols, *map(one_spelling, request.symbols)}

    def named(value: str, names: Collection[str] | None) -> bool:
        return names is None or value in names

    return {
        key
        for key in held
        if named(key[0], request.channels)
        and named(key[1], symbols)
        and (len(key) < 3 or named(key[2], request.intervals))
    }


def describe(keys: Collection[Key]) -> dict[str, Any]:
    """A whole subscription as the ack lists it: channel -> symbols, and for candles symbol -> intervals."""
    listed: dict[str, Any] = {}
    for key in sorted(keys, key=in_order):
        if len(key) == 3:
            listed.setdefault(key[0], {}).setdefault(key[1], []).append(key[2])
        else:
            listed.setdefault(key[0], []).append(key[1])
    return listed


def in_order(key: Key) -> tuple[str, str, int]:
    """For sorting: by channel, symbol and length of the interval."""
    return key[0], key[1], INTERVALS[key[2]] if len(key) == 3 else 0


def _text(kind: str, *, id: str | int | None = None, **fields: Any) -> str:
    given = {} if id is None else {"id": id}
    return orjson.dumps({"type": kind, **given, **fields}).decode()


def hello(epoch: str, seq: int, heartbeat_seconds: float, max_symbols: int) -> str:
    """The first message of a connection."""
    return _text("hello", epoch=epoch, seq=seq, heartbeat_seconds=heartbeat_seconds, max_symbols=max_symbols)


def ack(request: Subscribe | Unsubscribe, seq: int, intervals: Mapping[Key, int], batch: bool) -> str:
    """A subscription has changed: all of it, as it is now, and again by the interval of each."""
    by_interval: dict[int, list[Key]] = {}
    for key, interval_ms in intervals.items():
        by_interval.setdefault(interval_ms, []).append(key)
    return _text(
        "ack",
        id=request.id,
        action=request.type,
        seq=seq,
        subscription=describe(intervals),
        by_interval_ms={str(ms): describe(keys) for ms, keys in sorted(by_interval.items())},
        batch=batch,
    )


def snapshot(seq: int, symbol: str, data: Mapping[str, str | Sequence[str] | None]) -> str:
    """What was newest of a symbol at ``seq``. ``data``: name -> JSON, a list of JSON, or None."""

    def written(value: str | Sequence[str] | None) -> str:
        if value is None:
            return "null"
        return value if isinstance(value, str) else f"[{','.join(value)}]"

    fields = ",".join(f'"{name}":{written(value)}' for name, value in data.items())
    return f'{{"type":"snapshot","seq":{seq},"symbol":{json.dumps(symbol)},"data":{{{fields}}}}}'


def pong(request: Ping, time: str) -> str:
    return _text("pong", id=request.id, time=time)


def heartbeat(seq: int, time: str) -> str:
    """Sent when nothing else has been for a while. ``seq``: all events up to it that were asked for have been
    sent."""
    return _text("heartbeat", seq=seq, time=time)


def gap(skipped: Mapping[str, int], first: int, last: int) -> str:
    """The client was too slow: so many messages of each channel were not sent."""
    return _text("gap", skipped=skipped, from_seq=first, to_seq=last)


def resumed(request: Subscribe, seq: int, replayed: int) -> str:
    """The end of a replay: what follows is live."""
    return _text("resumed", id=request.id, seq=seq, replayed=replayed)


def resume_failed(request: Subscribe, why: str, epoch: str, seq: int) -> str:
    """What was missed cannot be replayed; ``why`` is one of the keys of RESUME_FAILURES."""
    return _text("resume_failed", id=request.id, code=why, message=RESUME_FAILURES[why], epoch=epoch, seq=seq)


BY_REST = (
    "read what you missed from /api/v1/trades, /corrections, /candles and /alerts; snapshots and live data"
    " follow"
)
RESUME_FAILURES = {
    "epoch_changed": f"the server has been started anew since: {BY_REST}",
    "too_old": f"that is longer ago than is kept: {BY_REST}",
    "unknown_seq": f"this epoch has not come to that seq yet: {BY_REST}",
}


def error(code: str, message: str, id: str | int | None = None, **fields: Any) -> str:
    """Something could not be done; ``code`` is for programs, ``message`` for people."""
    return _text("error", id=id, code=code, message=message, **fields)


def batch(texts: Sequence[str]) -> str:
    """Several messages in one frame."""
    return f'{{"type":"batch","messages":[{",".join(texts)}]}}'
