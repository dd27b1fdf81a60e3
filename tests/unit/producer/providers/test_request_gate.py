"""Requests to a provider: its limit, its wishes, and its silence."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.providers.request_gate import Answer, RequestError, RequestGate, Rest, TokenBucket
from schemas.errors import UnavailableError
from tests.unit.producer.fakes import START_US, FakeClock

S = 1_000_000


class Setup:
    """A gate to a provider that answers as it is told, on a clock that sleeping moves."""

    def __init__(self, *answers: int | Exception, waiting: int = 2, rest_s: float = 1000) -> None:
        self.clock = FakeClock()
        self.asked: list[int] = []
        self._answers = list(answers)
        self.retry_after: str | None = None
        bucket = TokenBucket.full(1.0, 2, waiting, START_US)
        self.gate = RequestGate("fmp", [bucket], self.clock.now_us, self._sleep, Rest(2, rest_s))

    async def _sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    async def _request(self) -> Answer:
        self.asked.append(self.clock.us)
        answer = self._answers.pop(0) if self._answers else 200
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, retry_after=self.retry_after)

    def send(self) -> int:
        return asyncio.run(self.gate.send(self._request)).status

    def refused(self) -> str:
        with pytest.raises(UnavailableError) as refused:
            self.send()
        return str(refused.value)


def test_requests_go_at_the_rate_that_is_allowed() -> None:
    """A burst at once, the others one by one."""
    setup = Setup()
    assert [setup.send() for _ in range(4)] == [200] * 4
    assert setup.asked == [START_US, START_US, START_US + S, START_US + 2 * S]


def test_no_more_may_wait_than_the_queue_holds() -> None:
    """What would wait longest is not sent at all."""
    bucket = TokenBucket.full(1.0, 1, 2, START_US)
    assert [bucket.reserve(START_US) for _ in range(4)] == [0.0, 1.0, 2.0, None]
    assert bucket.reserve(START_US + S) == 2.0


def test_of_several_limits_a_request_needs_all() -> None:
    """The longest wait counts; where one has no room the others keep their token."""
    clock = FakeClock()

    async def sleep(seconds: float) -> None:
        clock.sleep(seconds)

    async def request() -> Answer:
        return Answer(200)

    minute, day = TokenBucket.full(1.0, 2, 5, START_US), TokenBucket.full(0.1, 1, 1, START_US)
    gate = RequestGate("fmp", [minute, day], clock.now_us, sleep)
    asyncio.run(gate.send(request))
    asyncio.run(gate.send(request))
    assert clock.slept == [10.0]
    day.level = -2.0
    with pytest.raises(RequestError) as refused:
        asyncio.run(gate.send(request))
    assert (refused.value.reason, minute.level) == ("queue_full", 2.0)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), (None, 60), ("nonsense", 60)])
@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_says_when_is_obeyed(status: int, header: str | None, seconds: int) -> None:
    """Nothing is sent before; without a time, not for a minute. It is no failure."""
    setup = Setup(status, status, status)
    setup.retry_after = header
    for number in range(1, 4):
        assert f"fmp answers with {status}: nothing is asked for {seconds} s" in setup.refused()
        assert setup.gate.paused_until_us == setup.clock.us + seconds * S
        setup.clock.us = setup.gate.paused_until_us + 10 * S
        assert len(setup.asked) == number
    assert setup.send() == 200


def test_what_is_asked_during_a_pause_waits_for_its_end() -> None:
    """And then for its token."""
    setup = Setup(429)
    setup.retry_after = "7"
    setup.refused()
    assert setup.send() == 200
    assert setup.asked == [START_US, START_US + 8 * S]


@pytest.mark.parametrize("failure", [500, 502, RequestError("fmp", "closed", "breaks off")])
def test_a_provider_that_fails_is_left_alone(failure: int | Exception) -> None:
    """After two failures in a row; what is not sent takes nothing of the limit."""
    setup = Setup(failure, failure)
    said = [setup.refused() for _ in range(4)]
    assert len(setup.asked) == 2
    assert ["not asked now" in each for each in said] == [False, False, True, True]


def test_it_is_tried_again_after_a_rest() -> None:
    """One request; where it is answered, all go on."""
    setup = Setup(500, 500, 500, rest_s=30)
    for _ in range(2):
        setup.refused()
    setup.clock.us += 29 * S
    assert "not asked now" in setup.refused()
    setup.clock.us += S
    assert "answers with 500" in setup.refused()
    assert "not asked now" in setup.refused()
    setup.clock.us += 30 * S
    assert [setup.send(), setup.send()] == [200, 200]


def test_other_answers_are_the_callers_business() -> None:
    """A symbol that is not there says nothing about the provider."""
    setup = Setup(404, 404, 404)
    assert [setup.send() for _ in range(3)] == [404] * 3


@given(
    st.lists(st.integers(0, 5 * S), min_size=1, max_size=50),
    st.sampled_from([0.1, 1.0, 5.0]),
    st.integers(1, 5),
    st.integers(0, 10),
)
def test_never_more_than_the_limit(steps: list[int], rate: float, burst: int, waiting: int) -> None:
    """Between any two requests that are sent there is time for all those between them, beyond the burst."""
    bucket = TokenBucket.full(rate, burst, waiting, START_US)
    now, sent = START_US, []
    for step in steps:
        now += step
        wait_s = bucket.reserve(now)
        if wait_s is not None:
            assert wait_s <= (waiting + 1e-6) / rate
            sent.append(now + wait_s * S)
    assert sent == sorted(sent)
    allowed: Callable[[float], float] = lambda seconds: burst + seconds * rate + 1e-3  # noqa: E731
    for first, start in enumerate(sent):
        for last in range(first, len(sent)):
            assert last - first + 1 <= allowed((sent[last] - start) / S)
