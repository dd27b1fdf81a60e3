"""Which symbols somebody has stopped."""

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType

Watcher = Callable[[frozenset[str]], None]


class StoppedStreams:
    """Changed by the thread that publishes; read, and watched, by any."""

    def __init__(self) -> None:
        self._since: Mapping[str, int] = MappingProxyType({})
        self._watchers: list[Watcher] = []
        self._lock = threading.Lock()

    @property
    def since(self) -> Mapping[str, int]:
        """Symbol -> the time of the market (us) from which on it is stopped. Never changed, but replaced."""
        return self._since

    def set(self, since: Mapping[str, int]) -> None:
        """These are stopped now, and no others."""
        with self._lock:
            self._since = MappingProxyType(dict(since))
            watchers = tuple(self._watchers)
            for watcher in watchers:
                watcher(frozenset(since))

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Calls it with the symbols now and after each change, in the thread of the change; it must not wait.
        Returns what ends that."""
        with self._lock:
            self._watchers.append(watcher)
            watcher(frozenset(self._since))

        def forget() -> None:
            with self._lock:
                self._watchers.remove(watcher)

        return forget
