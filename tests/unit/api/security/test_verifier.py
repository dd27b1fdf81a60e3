"""Keys in the short cache, before a storage that the test holds."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from api.errors import InvalidKey, StorageUnavailable
from api.metrics import SecurityMetrics
from api.security import verifier as module
from api.security.keys import ApiKey, digest, new_key
from api.security.verifier import KeyVerifier

NOON = 1_723_204_800_000_000


class Storage:
    """Keys by id; counts what it is asked."""

    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}
        self.asked: list[str] = []
        self.problem: Exception | None = None
        self.hangs = False

    def add(self, **changes: object) -> str:
        """A new key; returns its text."""
        key_id, text = new_key()
        key = ApiKey(key_id, digest(text), "tests", frozenset({"read"}), NOON)
        self.keys[key_id] = replace(key, **changes)  # type: ignore[arg-type]
        return text

    async def find(self, key_id: str) -> ApiKey | None:
        self.asked.append(key_id)
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if self.problem:
            raise self.problem
        return self.keys.get(key_id)


class Stage:
    """A verifier whose clocks the test moves."""

    def __init__(self) -> None:
        self.storage = Storage()
        self.seconds = 0.0
        self.now = NOON
        self.metrics = SecurityMetrics(CollectorRegistry())
        self.verifier = KeyVerifier(
            self.storage.find, 10.0, self.metrics, lambda: self.now, lambda: self.seconds
        )

    async def refused(self, text: str) -> str:
        """Why a key is refused."""
        with pytest.raises(InvalidKey) as refusal:
            await self.verifier.verify(text)
        return str(refusal.value)


def play(scene: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(30):
            await scene(Stage())

    asyncio.run(run())


def test_a_key_is_looked_up_once_in_ten_seconds() -> None:
    """By id, and answered from memory until then."""

    async def scene(stage: Stage) -> None:
        text = stage.storage.add()
        assert stage.verifier.cached(text) is None
        for moment in (0.0, 5.0, 9.9, 10.0, 19.9):
            stage.seconds = moment
            key = await stage.verifier.verify(text)
            assert (key.name, stage.verifier.cached(text)) == ("tests", key)
        assert stage.storage.asked == [text.split("_")[1]] * 2

    play(scene)


def test_who_asks_at_the_same_time_shares_one_lookup() -> None:
    """A crowd after a restart must not become a crowd of queries."""

    async def scene(stage: Stage) -> None:
        text = stage.storage.add()
        keys = await asyncio.gather(*(stage.verifier.verify(text) for _ in range(20)))
        assert {key.key_id for key in keys} == {text.split("_")[1]}
        assert len(stage.storage.asked) == 1

    play(scene)


def test_a_wrong_secret_is_refused_without_asking_again() -> None:
    """Nor does it tell whether there is such an id."""

    async def scene(stage: Stage) -> None:
        text = stage.storage.add()
        await stage.verifier.verify(text)
        wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
        assert stage.verifier.cached(wrong) is None
        assert await stage.refused(wrong) == await stage.refused(new_key()[1]) == "there is no such API key"
        assert stage.storage.asked.count(text.split("_")[1]) == 1

    play(scene)


def test_what_does_not_look_like_a_key_is_never_looked_up() -> None:
    """The message says what one looks like, and does not repeat what was sent."""

    async def scene(stage: Stage) -> None:
        assert await stage.refused("hunter2") == "that is no API key: keys look like ts_<id>_<secret>"
        assert stage.storage.asked == []

    play(scene)


def test_a_revoked_or_expired_key_says_so_to_who_has_it() -> None:
    """Within ten seconds of the revocation, and at the very time of the expiry."""

    async def scene(stage: Stage) -> None:
        revoked, ending = stage.storage.add(), stage.storage.add(expires_at=NOON + 3)
        await stage.verifier.verify(revoked)
        await stage.verifier.verify(ending)
        key_id = revoked.split("_")[1]
        stage.storage.keys[key_id] = replace(stage.storage.keys[key_id], revoked_at=NOON + 1)
        stage.now = NOON + 3
        assert stage.verifier.cached(ending) is None
        assert "is expired" in await stage.refused(ending)
        assert stage.verifier.cached(revoked) is not None
        assert await stage.verifier.is_active(key_id)
        stage.seconds = 10.0
        assert await stage.refused(revoked) == f"API key {key_id} is revoked: make another one"
        assert not await stage.verifier.is_active(key_id)

    play(scene)


def test_while_the_storage_is_away_known_keys_go_on_and_unknown_ones_wait() -> None:
    """503 for them, never open; and the storage is asked once in ten seconds, not at each request."""

    async def scene(stage: Stage) -> None:
        known, unknown = stage.storage.add(), stage.storage.add()
        await stage.verifier.verify(known)
        stage.storage.problem = StorageUnavailable("gone")
        stage.seconds = 60.0
        stage.storage.asked.clear()
        for _ in range(3):
            assert (await stage.verifier.verify(known)).key_id == known.split("_")[1]
        assert len(stage.storage.asked) == 1
        assert await stage.verifier.is_active(unknown.split("_")[1])  # a connection that was let in stays
        with pytest.raises(StorageUnavailable):
            await stage.verifier.verify(unknown)
        stage.storage.problem = None
        assert (await stage.verifier.verify(unknown)).key_id == unknown.split("_")[1]

    play(scene)


def test_a_storage_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known keys go on after a second, others are told to come again."""
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 0.05)

    async def scene(stage: Stage) -> None:
        known, unknown = stage.storage.add(), stage.storage.add()
        await stage.verifier.verify(known)
        stage.storage.hangs = True
        stage.seconds = 60.0
        assert (await stage.verifier.verify(known)).key_id == known.split("_")[1]
        with pytest.raises(StorageUnavailable, match="no answer within"):
            await stage.verifier.verify(unknown)

    play(scene)


def test_a_connection_is_asked_for_before_what_is_known_of_its_key_is_too_old() -> None:
    """So that it ends with the key, not as long again after it."""

    async def scene(stage: Stage) -> None:
        text = stage.storage.add()
        key_id = text.split("_")[1]
        await stage.verifier.verify(text)
        stage.storage.keys[key_id] = replace(stage.storage.keys[key_id], revoked_at=NOON)
        stage.seconds = 8.9
        assert await stage.verifier.is_active(key_id, sooner=1.0)
        stage.seconds = 9.0
        assert await stage.verifier.is_active(key_id)
        assert not await stage.verifier.is_active(key_id, sooner=1.0)

    play(scene)


def test_a_key_was_good_if_its_secret_is_right() -> None:
    """Whatever has become of it since the storage was asked."""

    async def scene(stage: Stage) -> None:
        text, never_asked = stage.storage.add(), stage.storage.add()
        await stage.verifier.verify(text)
        stage.seconds = 60.0
        assert stage.verifier.was_good(text)
        wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
        assert not any(map(stage.verifier.was_good, (wrong, never_asked, "hunter2")))

    play(scene)


def test_made_up_ids_push_out_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are remembered apart, and no more than so many of them."""
    monkeypatch.setattr(module, "MOST_UNKNOWN", 3)

    async def scene(stage: Stage) -> None:
        text = stage.storage.add()
        await stage.verifier.verify(text)
        made_up = [new_key()[1] for _ in range(5)]
        for each in made_up:
            await stage.refused(each)
        stage.storage.asked.clear()
        await stage.verifier.verify(text)
        for each in made_up[2:]:
            await stage.refused(each)
        assert stage.storage.asked == []
        await stage.refused(made_up[0])
        assert stage.storage.asked == [made_up[0].split("_")[1]]

    play(scene)
