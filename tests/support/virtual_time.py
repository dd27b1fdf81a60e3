"""An event loop whose time jumps to the next timer when nothing else is left to do: hours in milliseconds."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.support.provider_frames import NOW_US

T = TypeVar("T")


class _Jump(selectors.BaseSelector):
    """Waits for nothing: what it would have waited for, the loop's time goes forward by. Only where there is
    a network, all of it in this loop, it waits for ``grace_s``, in which that brings what it has."""

    def __init__(self, inner: selectors.BaseSelector, grace_s: float) -> None:
        self._inner = inner
        self._grace_s = grace_s
        self.waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return self._inner.select(0.01)
        ready = self._inner.select(min(timeout, self._grace_s))
        if not ready and timeout > 0:
            self.waited_s += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Any:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Everything that waits by asyncio waits in virtual time."""

    def __init__(self, grace_s: float = 0.0) -> None:
        self._jump = _Jump(selectors.DefaultSelector(), grace_s)
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.waited_s

    def now_us(self) -> int:
        """The wall clock of this loop."""
        return NOW_US + round(self.time() * 1e6)


def run_for(seconds: float, main: Coroutine[Any, Any, None], loop: VirtualLoop) -> None:
    """Runs ``main`` for so long in virtual time, or until it ends; raises what it raises."""

    async def limited() -> None:
        task = asyncio.ensure_future(main)
        done, _ = await asyncio.wait((task,), timeout=seconds)
        if done:
            task.result()
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    try:
        loop.run_until_complete(limited())
    finally:
        loop.close()
