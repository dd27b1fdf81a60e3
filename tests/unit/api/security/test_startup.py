"""What is said at the start about who can reach the API."""

import asyncio

import pytest
from structlog.testing import capture_logs

from api.errors import StorageUnavailable
from api.security.settings import SecuritySettings
from api.security.startup import say_who_may_read


class Keys:
    """Whether any key is valid; None: nobody can tell."""

    def __init__(self, answer: bool | None) -> None:
        self.answer = answer

    async def any_active(self, _: int) -> bool:
        if self.answer is None:
            raise StorageUnavailable("gone")
        return self.answer


def said(host: str, answer: bool | None, **settings: object) -> list[str]:
    with capture_logs() as logs:
        asyncio.run(say_who_may_read(SecuritySettings(**settings), host, Keys(answer), lambda: 0))  # type: ignore[arg-type]
    return [line["event"] for line in logs]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_nothing_is_said_on_loopback(host: str) -> None:
    """Nobody else can reach it."""
    assert said(host, answer=False) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "api.example"])  # noqa: S104 -- never bound
def test_a_warning_where_others_can_reach_it_and_nobody_has_a_key(host: str) -> None:
    """None where there is a key, or where nobody can tell."""
    assert said(host, answer=False) == ["api_without_keys"]
    assert said(host, answer=True) == []
    assert said(host, answer=None) == []


def test_a_warning_where_the_internet_counts_as_loopback() -> None:
    """Somebody took API_LOOPBACK_NETWORKS for a list of guests."""
    assert said("::1", answer=True, api_loopback_networks=("10.0.0.0/8", "0.0.0.0/0")) == [
        "api_open_to_everybody"
    ]
