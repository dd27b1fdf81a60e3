"""A ledger of what Kafka has acknowledged, to compare with what is stored."""

import json
import os
from pathlib import Path

from schemas.avro_codec import Decoder, schema_text
from schemas.errors import ConfigurationError
from schemas.events import Correction, Trade

CHUNK_BYTES = 4096


class Ledger:
    """Appends ``symbol,source,trade_id,event_time,sequence,price,size,kind,correction_id`` for each
    acknowledged trade and correction, a line for each record: a trade that was sent twice is there twice.
    Numbers are Python's shortest exact form.

    ``kind`` is trade, cancel or correct. A correction's ``trade_id`` is that of the trade it is about, time
    and sequence are its own, and a cancel has no price or size; a trade has no ``correction_id``.

    Of a producer that was killed it lacks what was under way: trades that Kafka has and whose acknowledgement
    nobody was there to take down."""

    def __init__(self, path: str, trade_schema: int, correction_schema: int) -> None:
        """Takes the schema ids of both. Raises ConfigurationError where the file cannot be written."""
        known = {
            trade_schema: json.loads(schema_text(Trade)),
            correction_schema: json.loads(schema_text(Correction)),
        }
        self._decoder = Decoder((Trade, Correction), lambda _: None, known)
        try:
            cut_unfinished_line(Path(path))
            self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 -- closed by close()
        except OSError as error:
            raise ConfigurationError(f"LEDGER_FILE {path} cannot be written: {error.strerror}") from error

    def acknowledged(self, value: bytes) -> None:
        """Takes down the trade or correction that was published as ``value``."""
        event = self._decoder.decode_fields(value)
        self._file.write(
            f"{event['symbol']},{event['source']},{event['trade_id']},{event['event_time']},"
            f"{event['sequence']},{_exact(event['price'])},{_exact(event['size'])},"
            f"{event.get('kind', 'trade')},{event.get('correction_id', '')}\n"
        )

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _exact(number: float | None) -> str:
    return "" if number is None else repr(number)


def cut_unfinished_line(path: Path) -> None:
    """Cuts off what follows the last line break: a killed producer leaves half a line, to which the next
    one's first would be joined. A file that is not there is left so."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - CHUNK_BYTES)
            file.seek(start)
            line_break = file.read(end - start).rfind(b"\n")
            if line_break >= 0:
                file.truncate(start + line_break + 1)
                return
            end = start
        file.truncate(0)
