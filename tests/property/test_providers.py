"""Parsers of providers under whatever may come: nothing crashes, and nothing is lost without a word."""

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.providers.contract import AnyAdapter, Frame, Parsed
from producer.sources import Batch
from producer.validation import Validator
from tests.support.provider_answers import bars_answer, quote_answer
from tests.support.provider_frames import (
    NAMES,
    NOW_US,
    POLLED_NAMES,
    RECORDED,
    SYMBOLS,
    adapter_of,
    conserved,
    event,
    polled_of,
    recorded_lines,
)
from tests.unit.producer.fakes import FakeClock

RECORDINGS = {
    "binance": ("binance_ws/BINANCE.ws.1.0.jsonl",),
    "coinbase": ("coinbase_ws/COINBASE.ws.28.0.jsonl",),
    "finnhub": ("finnhub/aapl_20230331_session.jsonl", "finnhub/assorted.jsonl"),
    "polygon": ("polygon/ws_samples.jsonl",),
    "finage": (),
}
MOST_SEEDS = 200
ADAPTERS: dict[str, AnyAdapter] = {
    **{name: adapter_of(name) for name in NAMES},
    **{name: polled_of(name) for name in POLLED_NAMES},
}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["nan", "inf", "-1", "1e400", "9" * 5000, "²", "2024-02-30T00:00:00Z", "0001-01-01T00:00+23:59"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


def answer_of(name: str, symbol: str) -> Any:
    """Bars, where the provider has them."""
    return quote_answer(name, symbol) if name == "fmp" else bars_answer(name, symbol, bars=2)


def seeds(name: str) -> list[bytes]:
    """Recorded frames of every kind, where there are recordings, and a built one."""
    if name in POLLED_NAMES:
        symbol = polled_of(name).names.theirs("BRK.B")  # type: ignore[attr-defined]
        return [orjson.dumps(quote_answer(name, symbol)), orjson.dumps(answer_of(name, symbol))]
    built = [orjson.dumps(event(name, SYMBOLS[name][0], 1))]
    if not RECORDED.is_dir():
        return built
    lines = [line.text for path in RECORDINGS[name] for line in recorded_lines(path)]
    short = [text.encode() for text in lines if len(text) < 3000]
    return built + short[:: max(1, len(short) // MOST_SEEDS)]


SEEDS = {name: seeds(name) for name in ADAPTERS}


def parse(name: str, payload: bytes) -> Parsed:
    return ADAPTERS[name].parse(Frame(payload, NOW_US, NOW_US, 7))


def check(name: str, payload: bytes) -> Parsed:
    """What holds for each frame, also behind the gate to Kafka."""
    parsed = parse(name, payload)
    assert parsed.items >= 0
    assert conserved(parsed)
    for letter in parsed.rejected:
        assert letter.detail.startswith(f"{name}: ")
        assert letter.payload or not payload
    batch = Batch(
        NOW_US,
        parsed.trades,
        parsed.quotes,
        parsed.rejected,
        corrections=parsed.corrections,
        bars=parsed.bars,
    )
    gated = Validator(FakeClock(NOW_US), SYMBOLS[name], 86_400_000_000).check(batch)
    passed = len(gated.trades) + len(gated.quotes) + len(gated.corrections) + len(gated.bars)
    assert passed + len(gated.rejected) + parsed.control == parsed.items
    return parsed


def replaced(document: Any, path: list[int], value: Any) -> Any:
    """The document with the value at a place that ``path`` leads to."""
    if not path or not isinstance(document, dict | list) or not document:
        return value
    if isinstance(document, dict):
        key = sorted(document)[path[0] % len(document)]
        return document | {key: replaced(document[key], path[1:], value)}
    index = path[0] % len(document)
    return [*document[:index], replaced(document[index], path[1:], value), *document[index + 1 :]]


@pytest.mark.parametrize("name", ADAPTERS)
@settings(max_examples=60)
@given(payload=st.binary(max_size=200))
def test_any_bytes(name: str, payload: bytes) -> None:
    """What is no JSON is one dead letter, as it came."""
    parsed = parse(name, payload)
    assert conserved(parsed)
    if parsed.rejected and parsed.items == 1:
        assert parsed.rejected[0].payload == payload or payload.strip()


@pytest.mark.parametrize("name", ADAPTERS)
@settings(max_examples=60)
@given(document=values)
def test_any_json(name: str, document: Any) -> None:
    """Also numbers that are none, and texts with half a character."""
    check(name, json.dumps(document).encode())


@pytest.mark.parametrize("name", ADAPTERS)
@settings(max_examples=60)
@given(data=st.data())
def test_recorded_frames_with_one_value_changed(name: str, data: st.DataObject) -> None:
    """Anything in place of any value."""
    frame = orjson.loads(data.draw(st.sampled_from(SEEDS[name])))
    path = data.draw(st.lists(st.integers(0, 20), min_size=1, max_size=5))
    check(name, json.dumps(replaced(frame, path, data.draw(values))).encode())


DEEP = [b"[" * 1000 + b"]" * 1000, b'{"a":' * 1000 + b"1" + b"}" * 1000]
"""As deep as JSON can be that is read at all."""


@pytest.mark.parametrize("name", ADAPTERS)
def test_frames_with_something_deep_in_place_of_any_value(name: str) -> None:
    """Deeper than Python shows or writes again; also in what a provider says."""
    said = [{word: "said"} for word in ("Note", "Error Message", "error", "chart")]
    for document in [*said, *(orjson.loads(seed) for seed in SEEDS[name][:10])]:
        for marked in with_a_mark(document):
            frame = json.dumps(marked).encode()
            for deep in DEEP:
                check(name, frame.replace(b'"HERE"', deep))


def with_a_mark(document: Any) -> Iterator[Any]:
    """The document with a mark in place of itself, and of each value in it."""
    yield "HERE"
    if isinstance(document, dict):
        for key, value in document.items():
            yield from (document | {key: marked} for marked in with_a_mark(value))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from ([*document[:index], marked, *document[index + 1 :]] for marked in with_a_mark(value))


@pytest.mark.parametrize("name", ADAPTERS)
@settings(max_examples=60)
@given(data=st.data())
def test_recorded_frames_with_bytes_changed(name: str, data: st.DataObject) -> None:
    """Cut, and with a few bytes turned into others."""
    frame = bytearray(data.draw(st.sampled_from(SEEDS[name])))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=3)):
        frame[at % len(frame)] = value
    check(name, bytes(frame[: data.draw(st.integers(0, len(frame)))]))


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("depth", [200, 500, 1000, 100_000])
def test_nesting_has_no_depth_that_hurts(name: str, depth: int) -> None:
    """Lists in lists, in place of the whole frame and of each of its values."""
    nested = b"[" * depth + b"]" * depth
    check(name, nested)
    document = answer_of(name, "AAPL") if name in POLLED_NAMES else event(name, SYMBOLS[name][0], 1)
    holder = document[0] if isinstance(document, list) else document
    for key in holder:
        changed = holder | {key: "HERE"}
        marked = orjson.dumps([changed] if isinstance(document, list) else changed)
        check(name, marked.replace(b'"HERE"', nested))
