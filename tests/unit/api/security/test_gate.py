"""Who may hold how many WebSockets, and for how long."""

import asyncio

from api.live.gate import Gate
from api.live.protocol import ProtocolError
from api.security.callers import Caller
from api.security.keys import ApiKey
from api.security.rates import Rates
from api.security.settings import SecuritySettings


class Keys:
    """Those that are still valid."""

    def __init__(self) -> None:
        self.active = {"1", "2"}

    async def is_active(self, key_id: str, sooner: float) -> bool:
        self.sooner = sooner
        return key_id in self.active


def a_gate(keys: Keys, **settings: float) -> Gate:
    chosen = SecuritySettings(**settings)  # type: ignore[arg-type]
    return Gate(chosen, keys, Rates(chosen, 100).messages)  # type: ignore[arg-type]


def caller(key_id: str | None, address: str, *, local: bool = False) -> Caller:
    key = ApiKey(key_id, b"", "tests", frozenset({"read"}), 0) if key_id else None
    return Caller(address, key, local)


def ignore(_: ProtocolError) -> None:
    """For connections that nobody ends."""


def test_a_key_and_an_address_hold_so_many_and_no_more() -> None:
    """Each of its own; what is closed makes room."""
    gate = a_gate(Keys(), ws_max_per_key=2, ws_max_per_address=3)
    first, elsewhere = caller("1", "10.0.0.1"), caller("1", "10.0.0.2")
    with gate.holding(first, ignore):
        with gate.holding(first, ignore):
            assert not gate.has_room(first)
            assert not gate.has_room(elsewhere)
            assert gate.has_room(caller("2", "10.0.0.1"))
            with gate.holding(caller("2", "10.0.0.1"), ignore):
                assert not gate.has_room(caller("2", "10.0.0.1"))
                assert gate.has_room(caller("2", "10.0.0.2"))
        assert gate.has_room(first)
        assert gate.has_room(elsewhere)


def test_programs_of_this_machine_hold_what_the_process_can() -> None:
    """A thousand clients of the bench are one address."""
    gate = a_gate(Keys(), ws_max_per_key=1, ws_max_per_address=1)
    local = caller(None, "127.0.0.1", local=True)
    with gate.holding(local, ignore), gate.holding(local, ignore):
        assert gate.has_room(local)


def test_connections_end_with_their_key() -> None:
    """Those of other keys go on."""

    async def scene() -> list[str]:
        keys = Keys()
        gate = a_gate(keys, api_key_cache_seconds=0.01)
        told: list[str] = []
        ended = asyncio.Event()

        def dismiss(error: ProtocolError) -> None:
            told.append(f"{error.code}: {error}")
            ended.set()

        def other(_: ProtocolError) -> None:
            told.append("the other one")

        async with asyncio.timeout(30), gate.watching():
            with gate.holding(caller("1", "a"), dismiss), gate.holding(caller("2", "a"), other):
                await asyncio.sleep(0.05)
                assert told == []
                assert keys.sooner == 0.001  # a tenth of the time for which a key is known
                keys.active.remove("1")
                await ended.wait()
        return told

    assert asyncio.run(scene())[0] == "key_ended: API key 1 is no longer valid: use another one"
    assert "the other one" not in asyncio.run(scene())
