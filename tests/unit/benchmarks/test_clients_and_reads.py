"""The benches measure what they say they measure."""

import asyncio
from collections import Counter
from itertools import islice
from typing import Any

from tests.benchmarks import clients, reads
from tests.benchmarks.report import histogram, percentiles, record
from tests.benchmarks.wire import SocketClient
from tests.unit.api.live.events import message, trade


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


def frame(kind: int, payload: bytes) -> bytes:
    """As a server sends it: not masked."""
    length = len(payload)
    size = b"\x7f" + length.to_bytes(8)
    if length < 65_536:
        size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2)
    return bytes([128 | kind]) + size + payload


def test_a_socket_client_reads_frames_however_they_are_cut() -> None:
    """Short, long and very long ones; pings are answered; the end says why."""
    texts = [b"a", b"b" * 126, b"c" * 65_536, b"d" * 125]
    stream = b"HTTP/1.1 101 Switching\r\nx: y\r\n\r\n" + b"".join(frame(1, text) for text in texts)
    stream += frame(9, b"ping") + frame(8, b"\x0f\xa8too_slow")

    async def scenario(step: int) -> None:
        got: list[bytes] = []
        transport: Any = Transport()
        client = SocketClient("h:1", "/ws", b"first", got.append, "")
        client.connection_made(transport)
        for at in range(0, len(stream), step):
            client.data_received(stream[at : at + step])
        assert got == texts
        assert client.ended.result() == "too_slow"
        assert transport.written[0].startswith(b"GET /ws HTTP/1.1\r\nHost: h:1\r\n")
        assert transport.written[1:] == [b"\x81\x85\0\0\0\0first", b"\x8a\x84\0\0\0\0ping"]

    for step in (1, 7, 1000, len(stream)):
        asyncio.run(scenario(step))


def test_a_refused_handshake_says_why() -> None:
    """The line of its status."""

    async def scenario() -> str:
        client = SocketClient("h:1", "/ws", b"first", lambda _: None, "")
        client.connection_made(Transport())  # type: ignore[arg-type]
        client.data_received(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        return client.ended.result()

    assert asyncio.run(scenario()) == "HTTP/1.1 403 Forbidden"


def test_the_mix_of_reads_is_the_one_that_is_stated() -> None:
    """60, 25, 10 and 5 of a hundred."""
    kinds = Counter(kind for kind, _ in islice(reads.requests(["AAPL"], 1), 1000))
    assert kinds == {reads.QUOTE: 600, reads.CANDLES: 250, reads.COLD: 100, reads.SUMMARY: 50}


def test_the_hit_ratio_is_that_of_the_time_between() -> None:
    """What was asked before does not count."""
    before = {"caches": {"quotes": {"requests": {"hit": 5, "miss": 5}}, "candles": {"requests": {}}}}
    after = {"caches": {"quotes": {"requests": {"hit": 14, "miss": 6}}, "candles": {"requests": {}}}}
    assert reads.hits(before, after) == {"quotes": 0.9, "candles": None}


def test_trades_are_counted_one_by_one_and_in_batches() -> None:
    """Events of other kinds are messages, too; nothing counts before the bench does."""
    tally = clients.Tally()
    text = message(1, trade(1)).text
    tally.take(text.encode())
    tally.counting = True
    tally.take(text.encode())
    tally.take(f'{{"type":"batch","messages":[{text},{{"type":"gap"}},{text}]}}'.encode())
    assert (tally.trades, tally.messages, tally.gaps) == (3, 4, 1)


def test_percentiles_are_in_milliseconds() -> None:
    """To three digits; what takes longer than a minute counts as a minute."""
    values = histogram()
    for micros in (*range(1000, 100_001, 1000), 1e9):
        record(values, micros)
    found = percentiles(values)
    assert abs(found["p50_ms"] - 51) < 0.1
    assert abs(found["max_ms"] - 60_000) < 60
    assert found["count"] == 101
