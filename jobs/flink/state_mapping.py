"""Flink's map state as the mapping that the domain asks for."""

from collections.abc import Iterator, MutableMapping

from pyflink.common import Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor


class StateMapping(MutableMapping[str, bytes]):
    """Entries of the key that is being processed. Deleting what is not there is no error, as in Flink."""

    def __init__(self, runtime_context: RuntimeContext, name: str) -> None:
        descriptor = MapStateDescriptor(name, Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE()))
        self._state: MapState = runtime_context.get_map_state(descriptor)

    def __getitem__(self, key: str) -> bytes:
        value = self._state.get(key)
        if value is None:
            raise KeyError(key)
        return bytes(value)

    def __setitem__(self, key: str, value: bytes) -> None:
        self._state.put(key, value)

    def __delitem__(self, key: str) -> None:
        self._state.remove(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._state.keys())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def read_all(self) -> None:
        """Reads all entries of the key at once, for as long as PyFlink keeps them: it asks for no other one
        then, be it there or not. Where there are more than ``STATE_CACHE_ENTRIES``, it changes nothing."""
        self._state.items()
