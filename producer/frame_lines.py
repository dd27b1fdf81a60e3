"""Recorded frames of providers: one line of JSON for each, written by the recorder, read by a replay.

``frame_of`` is the provider, ``received_at`` when it came (us since 1970), ``connection`` and ``number`` as
in ``Frame``; the content is ``text``, or ``base64`` where it is no UTF-8. The line of an answer also has
``asked``, ``symbols`` and ``status``, as in ``Reply``: never the address, which has the key in it.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import orjson

from producer.providers.answers import Answers
from producer.providers.catalogue import POLLED, PROVIDERS
from producer.providers.contract import Frame, Parsed, Reply, What
from producer.providers.settings import ProviderSettings
from producer.sources import Rejected
from producer.symbols import SymbolNames
from schemas.errors import ConfigurationError, PoisonError
from schemas.events import Correction, ProviderBar, Quote, Trade

BEGINNING = '{"frame_of":'
"""How every line begins: what tells such a file from others."""

FORMAT = "frames"
"""As REPLAY_FORMAT; ``frames:NAME``: only those of one provider."""

Event = Trade | Correction | Quote | ProviderBar | Rejected
Read = Callable[[Frame], Parsed]
"""What the frames of one provider bring, each after those before it."""


def line_of(provider: str, frame: Frame) -> bytes:
    """The line, with its end."""
    line: dict[str, Any] = {
        "frame_of": provider,
        "received_at": frame.received_us,
        "connection": frame.connection,
        "number": frame.number,
    }
    if frame.reply is not None:
        line |= {"asked": frame.reply.what, "symbols": frame.reply.symbols, "status": frame.reply.status}
    try:
        line["text"] = frame.payload.decode()
    except UnicodeDecodeError:
        line["base64"] = b64encode(frame.payload).decode()
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def frame_of(line: str) -> tuple[str, Frame]:
    """The provider and its frame; raises PoisonError ``unreadable_row``."""
    try:
        row = orjson.loads(line)
        text = row.get("text")
        payload = b64decode(row["base64"], validate=True) if text is None else text.encode()
        received_us, connection, number = (row[name] for name in ("received_at", "connection", "number"))
        provider = row["frame_of"]
        reply = _reply(row) if "asked" in row else None
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise PoisonError("unreadable_row", f"{type(error).__name__}: {error}") from error
    if not isinstance(provider, str) or any(type(x) is not int for x in (received_us, connection, number)):
        raise PoisonError("unreadable_row", "frame_of is no text, or a number is none")
    return provider, Frame(payload, received_us, connection, number, reply)


def _reply(row: Mapping[str, Any]) -> Reply:
    """Raises ValueError, TypeError or LookupError."""
    what, symbols, status = row["asked"], tuple(row["symbols"]), row["status"]
    if what not in get_args(What) or type(status) is not int:
        raise ValueError(f"asked is {what!r:.100}, status {status!r:.100}")
    return Reply(what, symbols, status)


class FrameReader:
    """Makes events of recorded frames, in the order in which they came, by the adapters that also read what
    comes live: the same frames give the same events. No adapter needs its key for that."""

    def __init__(self, settings: ProviderSettings, only: str = "") -> None:
        """``only``: the provider whose frames count; "": all."""
        self._settings = settings
        self._only = only
        self._readers: dict[str, Read] = {}

    def events(self, provider: str, frame: Frame) -> Sequence[Event]:
        """What is in a frame; raises PoisonError for one of a provider that there is not."""
        if self._only not in ("", provider):
            return ()
        read = self._readers.get(provider)
        if read is None:
            read = self._readers[provider] = self._reader(provider)
        parsed = read(frame)
        return *parsed.trades, *parsed.quotes, *parsed.corrections, *parsed.bars, *parsed.rejected

    def _reader(self, provider: str) -> Read:
        if provider not in PROVIDERS:
            raise PoisonError("unreadable_row", f"no provider {provider!r:.100}")
        names = SymbolNames.load(self._settings.symbol_names_file)
        adapter = PROVIDERS[provider].make(self._settings, names)
        return Answers(adapter).read if provider in POLLED else adapter.parse


def chosen_provider(format_text: str, file: str) -> str:
    """The provider whose frames REPLAY_FORMAT chooses, "" for all; raises ConfigurationError where it is a
    format of other files."""
    name, _, only = format_text.partition(":")
    if name not in ("auto", FORMAT) or (only and only not in PROVIDERS):
        raise ConfigurationError(
            f"{file} holds recorded messages of providers: set REPLAY_FORMAT to auto, {FORMAT}, or"
            f" {FORMAT}:NAME for those of one provider ({', '.join(PROVIDERS)})"
        )
    return only
