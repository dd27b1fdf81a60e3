"""The histories of providers: a real HTTP server that keeps the trades of one market and tells them as each
provider does, page by page."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit


class Kept(NamedTuple):
    """A trade in a history; ``at_ms`` its time, ``number`` its id."""

    number: int
    at_ms: int
    price: float = 100.0
    size: float = 1.0


Query = Mapping[str, str]
Tell = Callable[["TradeHistory", Query], Any]


def _polygon(history: "TradeHistory", query: Query) -> Any:
    if query.get("apiKey") != history.key:
        return 403, {"status": "NOT_AUTHORIZED", "message": f"no key {query.get('apiKey')}"}
    cursor = query.get("cursor")
    if cursor is None:
        first, last = (int(query[name]) for name in ("timestamp.gte", "timestamp.lt"))
        assert query["order"] == "asc"
        place = 0
    else:
        first, last, place = (int(part) for part in cursor.split("-"))
    inside = [trade for trade in history.trades() if first <= trade.at_ms * 1_000_000 < last]
    results = [
        {"conditions": [], "exchange": 4, "id": str(each.number), "price": each.price, "size": each.size,
         "sip_timestamp": each.at_ms * 1_000_000 + 7, "participant_timestamp": each.at_ms * 1_000_000,
         "sequence_number": each.number, "tape": 3}
        for each in inside[place : place + history.page]
    ]  # fmt: skip
    answer: dict[str, Any] = {"status": "OK", "request_id": "r", "results": results}
    if place + history.page < len(inside):
        answer["next_url"] = (
            f"https://elsewhere.invalid/v3/trades/X?cursor={first}-{last}-{place + history.page}"
        )
    return 200, answer


def _aggregates(history: "TradeHistory", query: Query) -> Any:
    trades = history.trades()
    if "fromId" in query:
        found = [each for each in trades if each.number >= int(query["fromId"])]
    else:
        first, last = int(query["startTime"]), int(query["endTime"])
        assert last - first < 3_600_000
        found = [each for each in trades if first <= each.at_ms <= last]
    return 200, [
        {"a": each.number, "f": each.number, "l": each.number, "p": str(each.price), "q": str(each.size),
         "T": each.at_ms, "m": True, "M": True}
        for each in found[: int(query["limit"])]
    ]  # fmt: skip


def _singles(history: "TradeHistory", query: Query) -> Any:
    found = [each for each in history.trades() if each.number >= int(query["fromId"])]
    return 200, [
        {"id": each.number, "price": str(each.price), "qty": str(each.size), "quoteQty": "1",
         "time": each.at_ms, "isBuyerMaker": True, "isBestMatch": True}
        for each in found[: int(query["limit"])]
    ]  # fmt: skip


def _matches(history: "TradeHistory", query: Query) -> Any:
    below = int(query.get("after", 2**62))
    found = [each for each in history.trades()[::-1] if each.number < below][: int(query["limit"])]
    return 200, [
        {"time": datetime.fromtimestamp(each.at_ms / 1000, UTC).isoformat().replace("+00:00", "Z"),
         "trade_id": each.number, "price": str(each.price), "size": str(each.size), "side": "buy"}
        for each in found
    ]  # fmt: skip


ROUTES: Mapping[str, Tell] = {
    "/v3/trades/": _polygon,
    "/api/v3/aggTrades": _aggregates,
    "/api/v3/historicalTrades": _singles,
    "/products/": _matches,
}


class TradeHistory:
    """``trades``: everything that was traded, ascending by id and time; asked for with each request.
    ``page``: trades of one page of Polygon's. ``refusals``: statuses of the first answers, one each; behind
    them come the ``documents``, to whatever is asked."""

    def __init__(
        self,
        trades: Callable[[], Sequence[Kept]],
        key: str = "",
        page: int = 50,
        refusals: Sequence[int] = (),
        documents: Sequence[Any] = (),
    ) -> None:
        self.trades = trades
        self.key = key
        self.page = page
        self.asked: list[str] = []
        self._refusals = list(refusals)
        self._documents = list(documents)
        history = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, document = history.answer(self.path)
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str) -> tuple[int, Any]:
        parts = urlsplit(path)
        self.asked.append(path)
        if self._refusals:
            return self._refusals.pop(0), {"message": "not now"}
        if self._documents:
            return 200, self._documents.pop(0)
        for route, tell in ROUTES.items():
            if parts.path.startswith(route):
                status, document = tell(self, dict(parse_qsl(parts.query)))
                return status, document
        return 404, {"message": "NotFound"}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
