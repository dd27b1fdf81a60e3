"""API keys by themselves."""

import re

import pytest

from api.security.keys import ApiKey, digest, id_of, new_key

NOON = 1_723_204_800_000_000
TEXT = "ts_0123456789abcdef_" + "A" * 43
KEY = ApiKey("0123456789abcdef", digest(TEXT), "tests", frozenset({"read"}), NOON)


def test_a_key_is_an_id_and_256_random_bits() -> None:
    """No two are alike; the id can be read from the text."""
    made = [new_key() for _ in range(50)]
    assert len({key_id for key_id, _ in made}) == len({text for _, text in made}) == 50
    for key_id, text in made:
        assert re.fullmatch(rf"ts_{key_id}_[A-Za-z0-9_-]{{43}}", text)
        assert id_of(text) == key_id


def test_what_is_stored_is_the_sha256_of_the_text() -> None:
    """As `printf %s KEY | sha256sum` gives it; changing this would lock everybody out."""
    assert digest("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert KEY.belongs_to(TEXT)


@pytest.mark.parametrize("other", [TEXT[:-1] + "B", TEXT.replace("0", "1", 1), "", TEXT + "A"])
def test_another_text_is_not_the_key(other: str) -> None:
    """Not even one that differs in a letter."""
    assert not KEY.belongs_to(other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ts_",
        TEXT[:-1],
        TEXT + "A",
        TEXT.upper(),
        " " + TEXT,
        TEXT + "\n",
        "ts_0123456789abcdeg_" + "A" * 43,
    ],
)
def test_what_is_no_key_has_no_id(text: str) -> None:
    """Nothing is looked up for it."""
    assert id_of(text) is None


def test_a_key_ends_at_its_time_or_when_it_is_revoked() -> None:
    """Revoked counts more: it was somebody's decision."""
    ending = ApiKey("1", b"", "n", frozenset(), NOON, expires_at=NOON + 5)
    revoked = ApiKey("1", b"", "n", frozenset(), NOON, expires_at=NOON + 5, revoked_at=NOON + 2)
    assert [ending.state(NOON + offset) for offset in (0, 4, 5)] == ["active", "active", "expired"]
    assert [revoked.state(NOON + offset) for offset in (3, 9)] == ["revoked", "revoked"]
    assert KEY.state(NOON * 2) == "active"


def test_admin_includes_every_scope() -> None:
    """The others only themselves."""
    allowed = {
        name: [
            scope
            for scope in ("read", "alerts", "admin")
            if ApiKey("", b"", "", frozenset({name}), 0).may(scope)
        ]
        for name in ("read", "alerts", "admin")
    }
    assert allowed == {"read": ["read"], "alerts": ["alerts"], "admin": ["read", "alerts", "admin"]}
