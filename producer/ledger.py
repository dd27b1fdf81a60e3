"""A ledger of what Kafka has acknowledged, to compare with what is stored."""

import json
from pathlib import Path

from schemas.avro_codec import Decoder, schema_text
from schemas.errors import ConfigurationError
from schemas.events import Trade


class Ledger:
    """Appends ``symbol,source,trade_id,event_time,sequence,price,size`` for each acknowledged trade, a line
    for each record: a trade that was sent twice is there twice. Numbers are Python's shortest exact form."""

    def __init__(self, path: str, schema_id: int) -> None:
        """Raises ConfigurationError where the file cannot be written."""
        self._decoder = Decoder(Trade, lambda _: None, {schema_id: json.loads(schema_text(Trade))})
        try:
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
