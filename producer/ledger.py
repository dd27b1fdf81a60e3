"""A ledger of what Kafka has acknowledged, to compare with what is stored."""

import json
import os
from pathlib import Path

from schemas.avro_codec import Decoder, schema_text
from schemas.errors import ConfigurationError
from schemas.events import Trade

CHUNK_BYTES = 4096


class Ledger:
    """Appends ``symbol,source,trade_id,event_time,sequence,price,size`` for each acknowledged trade, a line
    for each record: a trade that was sent twice is there twice. Numbers are Python's shortest exact form.

    Of a producer that was killed it lacks what was under way: trades that Kafka has and whose acknowledgement
    nobody was there to take down."""

    def __init__(self, path: str, schema_id: int) -> None:
        """Raises ConfigurationError where the file cannot be written."""
        self._decoder = Decoder(Trade, lambda _: None, {schema_id: json.loads(schema_text(Trade))})
        try:
            cut_unfinished_line(Path(path))
            self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 -- closed by close()
        except OSError as error:
            raise ConfigurationError(f"LEDGER_FILE {path} cannot be written: {error.strerror}") from error

    def acknowledged(self, value: bytes) -> None:
        """Takes down the trade that was published as ``value``."""
        trade = self._decoder.decode_fields(value)
        self._file.write(
            f"{trade['symbol']},{trade['source']},{trade['trade_id']},{trade['event_time']},"
            f"{trade['sequence']},{trade['price']!r},{trade['size']!r}\n"
        )

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


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
