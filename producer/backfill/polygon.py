"""Polygon's history, ``/v3/trades/AAPL``: all trades of all venues, with a key.

* ``{"results":[{"exchange","id","price","size","conditions":[int],"sip_timestamp":ns,"sequence_number",
  "trf_id","correction"}],"next_url"}``, up to 50,000 a page; ``next_url`` holds a cursor and no key.
* ``correction``: 0 or not there for a trade that stands, 12 for the values that a corrected one has now.
  Others mark a trade that was corrected (1), was an error (7) or was cancelled (8), and the record of that
  (10, 11).
* Times are of the tape, as in the stream, which has them in milliseconds.

Not proven against recorded answers: there are none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import orjson

from producer.backfill.history import Asked, Page, rows
from producer.providers.http import Request
from producer.providers.polygon import Polygon
from producer.providers.reading import mapping, text, whole
from producer.providers.request_gate import RequestLimits

MOST = "50000"
STANDING = (0, 12)
FIELDS = {"exchange": "x", "id": "i", "price": "p", "size": "s", "conditions": "c", "sequence_number": "q",
          "trf_id": "trfi"}  # fmt: skip
"""Name of a field -> what the stream calls it."""


@dataclass(frozen=True, slots=True)
class PolygonHistory:
    """See ``producer.backfill.history.History``. A position is the cursor of the next page."""

    url: str
    adapter: Polygon
    limits: RequestLimits
    key: str = field(repr=False)

    def request(self, asked: Asked, position: str) -> Request:
        name = self.adapter.names.theirs(asked.symbol)
        if position:
            query = {"cursor": position}
        else:
            query = {
                "timestamp.gte": str(asked.start * 1000),
                "timestamp.lt": str(asked.end * 1000),
                "order": "asc",
                "sort": "timestamp",
                "limit": MOST,
            }
        return Request(f"{self.url}/v3/trades/{quote(name, safe='')}", query, {"apiKey": self.key})

    def page(self, asked: Asked, position: str, document: Any) -> Page:  # noqa: ARG002 -- one signature
        document = mapping(document)
        name = self.adapter.names.theirs(asked.symbol)
        items = [
            _item(name, row)
            for row in rows(document.get("results") or [])
            if row.get("correction", 0) in STANDING
        ]
        cursor = ""
        if "next_url" in document:
            following = text(document, "next_url", "unreadable_frame")
            cursor = parse_qs(urlsplit(following).query).get("cursor", [""])[0]
        return Page([orjson.dumps(items)] if items else [], cursor or None)


def _item(name: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row as the stream has it."""
    item = {theirs: row[ours] for ours, theirs in FIELDS.items() if ours in row}
    at_ms = whole(row, "sip_timestamp", "implausible_time") // 1_000_000
    return {"ev": "T", "sym": name, "t": at_ms, **item}
