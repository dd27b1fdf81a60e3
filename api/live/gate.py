"""Who may hold how many WebSockets at a time, and that nobody holds one whose key is no longer valid."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator

from api.live.protocol import ProtocolError
from api.security.callers import Caller
from api.security.rates import Rate
from api.security.settings import SecuritySettings
from api.security.verifier import KeyVerifier

LOOKS = 10
"""At the keys of connections, in the time for which a key is known without asking the storage."""

Dismiss = Callable[[ProtocolError], None]
"""Ends a connection, and tells its client why."""


class Gate:
    """Counts the connections of the callers that the guard let pass."""

    def __init__(self, settings: SecuritySettings, keys: KeyVerifier, rate: Rate) -> None:
        """``rate``: of messages from one client."""
        self.rate = rate
        self._settings = settings
        self._keys = keys
        self._held: Counter[tuple[str, str]] = Counter()
        self._keyed: dict[str, list[Dismiss]] = {}

    def has_room(self, caller: Caller) -> bool:
        """Whether the caller may hold one more. Programs on loopback are bound by WS_MAX_CLIENTS alone."""
        return all(self._held[name] < most for name, most in self._bounds(caller))

    @contextlib.contextmanager
    def holding(self, caller: Caller, dismiss: Dismiss) -> Iterator[None]:
        """For as long as a connection lasts."""
        names = [name for name, _ in self._bounds(caller)]
        self._held.update(names)
        if caller.key_id is not None:
            self._keyed.setdefault(caller.key_id, []).append(dismiss)
        try:
            yield
        finally:
            self._held.subtract(names)
            for name in names:
                if not self._held[name]:
                    del self._held[name]
            if caller.key_id is not None:
                self._keyed[caller.key_id].remove(dismiss)
                if not self._keyed[caller.key_id]:
                    del self._keyed[caller.key_id]

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Meanwhile, connections whose key is revoked or expires are ended."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def _watch(self) -> None:
        # A revoked key's connections end within the time after which its requests are refused: each key is
        # asked for anew at the last look before what is known of it is too old.
        period = self._settings.api_key_cache_seconds / LOOKS
        while True:
            await asyncio.sleep(period)
            for key_id in list(self._keyed):
                if not await self._keys.is_active(key_id, sooner=period):
                    error = ProtocolError(
                        "key_ended", f"API key {key_id} is no longer valid: use another one"
                    )
                    for dismiss in list(self._keyed.get(key_id, ())):
                        dismiss(error)

    def _bounds(self, caller: Caller) -> list[tuple[tuple[str, str], int]]:
        bounds = []
        if caller.key_id is not None:
            bounds.append((("key", caller.key_id), self._settings.ws_max_per_key))
        if not caller.local:
            bounds.append((("address", caller.address), self._settings.ws_max_per_address))
        return bounds
