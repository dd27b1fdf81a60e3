"""How often somebody may ask."""

import pytest
from pydantic import ValidationError

from api.security.rates import Rates
from api.security.settings import SecuritySettings, parse_rate


def rates(**settings: str) -> Rates:
    return Rates(SecuritySettings(**settings), 100)  # type: ignore[arg-type]


def test_each_caller_has_a_limit_of_its_own() -> None:
    """What is left counts down to the refusal."""
    rate = rates(api_rate_key="3/hour").key
    left = [rate.hit("key", "a") for _ in range(5)]
    assert [(each.allowed, each.limit, each.remaining) for each in left if each] == [
        (True, 3, 2), (True, 3, 1), (True, 3, 0), (False, 3, 0), (False, 3, 0)
    ]  # fmt: skip
    other = rate.hit("key", "b")
    assert other is not None
    assert (other.allowed, other.remaining) == (True, 2)


def test_several_limits_hold_together() -> None:
    """The answer tells of the one that is closest to its end."""
    rate = rates(api_rate_key="4/hour;100/day").key
    left = [rate.hit("key", "a") for _ in range(5)]
    assert [(each.allowed, each.limit) for each in left if each] == [(True, 4)] * 4 + [(False, 4)]
    refused = left[-1]
    assert refused is not None
    assert 1 <= refused.reset_seconds <= 7200
    assert refused.headers == {
        "RateLimit-Limit": "4",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": str(refused.reset_seconds),
    }


def test_looking_counts_nothing_and_a_read_of_history_counts_more() -> None:
    """A cost above the whole limit takes all of it, rather than to be refused for ever."""
    rate = rates(api_rate_key="10/hour").key
    assert [look.remaining for look in (rate.look("a"), rate.look("a")) if look] == [10, 10]
    assert [hit.remaining for hit in (rate.hit("a", cost=5), rate.hit("a", cost=3)) if hit] == [5, 2]
    whole = rate.hit("b", cost=25)
    assert whole is not None
    assert (whole.allowed, whole.remaining) == (True, 0)


def test_none_means_no_limit() -> None:
    """As for programs of this machine by default."""
    assert rates().local.hit("local", "127.0.0.1") is None
    assert parse_rate(" None ") == ()


@pytest.mark.parametrize("text", ["often", "10", "10/fortnight", "-1/second"])
def test_what_is_no_rate_is_refused_at_the_start(text: str) -> None:
    """The message says how to write one."""
    with pytest.raises(ValidationError, match="write 100/second"):
        SecuritySettings(api_rate_key=text)


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1/24", "*", "10.0.0.0/33"])
def test_what_is_no_network_is_refused_at_the_start(text: str) -> None:
    """A star would let anybody claim any address."""
    with pytest.raises(ValidationError, match=r"write an address or a network such as 10\.1\.2\.0/24"):
        SecuritySettings(api_trusted_proxies=(text,))


def test_a_certificate_needs_its_key() -> None:
    """And the other way round."""
    for given in ({"api_tls_cert": "c.pem"}, {"api_tls_key": "k.pem"}):
        with pytest.raises(ValidationError, match="set both API_TLS_CERT and API_TLS_KEY"):
            SecuritySettings(**given)
