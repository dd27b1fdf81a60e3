"""Recorded messages of providers: one line of JSON for each, written by the recorder, read by a replay.

``frame_of`` is the provider, ``received_at`` when it came (us since 1970), ``connection`` and ``number`` as
in ``Frame``; the message is ``text``, or ``base64`` where it is no UTF-8.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Any, Literal

import orjson

from producer.providers.catalogue import WEB_SOCKETS
from producer.providers.contract import Adapter, Frame
from producer.providers.settings import ProviderSettings
from producer.sources import Rejected
from producer.symbols import SymbolNames
from schemas.errors import ConfigurationError, PoisonError
from schemas.events import Correction, Quote, Trade

BEGINNING = '{"frame_of":'
"""How every line begins: what tells such a file from others."""

FORMAT = "frames"
"""As REPLAY_FORMAT; ``frames:NAME``: only those of one provider."""

Event = Trade | Correction | Quote | Rejected
Adapters = Callable[[str], Adapter]


def line_of(provider: str, frame: Frame) -> bytes:
    """The line, with its end."""
    line: dict[str, Any] = {
        "frame_of": provider,
        "received_at": frame.received_us,
        "connection": frame.connection,
        "number": frame.number,
    }
    try:
        line["text"] = frame.payload.decode()
    except UnicodeDecodeError:
        line["base64"] = b64encode(frame.payload).decode()
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def frame_of(line: str) -> tuple[str, Frame]:
    """The provider and its message; raises PoisonError ``unreadable_row``."""
    try:
        row = orjson.loads(line)
        text = row.get("text")
        payload = b64decode(row["base64"], validate=True) if text is None else text.encode()
        numbers = [row[name] for name in ("received_at", "connection", "number")]
        provider = row["frame_of"]
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise PoisonError("unreadable_row", f"{type(error).__name__}: {error}") from error
    if not isinstance(provider, str) or any(type(number) is not int for number in numbers):
        raise PoisonError("unreadable_row", "frame_of is no text, or a number is none")
    return provider, Frame(payload, *numbers)


def adapters_of(settings: ProviderSettings) -> Adapters:
    """Adapters that parse, by the name of the provider; they need no key."""

    def make(name: str) -> Adapter:
        if name not in WEB_SOCKETS:
            raise PoisonError("unreadable_row", f"no provider {name!r:.100}")
        return WEB_SOCKETS[name].make(settings, SymbolNames.load(settings.symbol_names_file))

    return make


class FrameParser:
    """Makes events of the lines of one file, by the adapters that also read the live connections: the same
    messages give the same events."""

    kind: Literal["trade", "quote"] = "trade"
    decides = False

    def __init__(self, adapters: Adapters, only: str = "") -> None:
        """``only``: the provider whose messages count; "": all."""
        self._make = adapters
        self._only = only
        self._adapters: dict[str, Adapter] = {}

    def parse(self, line: str) -> Sequence[Event]:
        """The events of the message in a line, none where it has none; raises PoisonError."""
        provider, frame = frame_of(line)
        if self._only not in ("", provider):
            return ()
        adapter = self._adapters.get(provider)
        if adapter is None:
            adapter = self._adapters[provider] = self._make(provider)
        parsed = adapter.parse(frame)
        return *parsed.trades, *parsed.quotes, *parsed.corrections, *parsed.rejected


def frame_parser(format_text: str, adapters: Adapters | None, file: str) -> FrameParser:
    """Raises ConfigurationError where the format is another one."""
    name, _, only = format_text.partition(":")
    if name not in ("auto", FORMAT) or adapters is None or (only and only not in WEB_SOCKETS):
        raise ConfigurationError(
            f"{file} holds recorded messages of providers: set REPLAY_FORMAT to auto, {FORMAT}, or"
            f" {FORMAT}:NAME for those of one provider ({', '.join(WEB_SOCKETS)})"
        )
    return FrameParser(adapters, only)
