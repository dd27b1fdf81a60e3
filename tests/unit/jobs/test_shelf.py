"""What is kept beside its bytes is given once, and for no other bytes."""

from jobs.domain.shelf import Shelf


def test_a_thing_is_given_for_its_own_bytes() -> None:
    """The very thing, not one that is equal."""
    shelf: Shelf[list[int]] = Shelf()
    thing = [1]
    shelf.put("AAPL", b"1", thing)
    assert shelf.take("AAPL", bytes([ord("1")])) is thing


def test_a_thing_is_given_once() -> None:
    """Whoever has taken it may have changed it, and failed."""
    shelf: Shelf[list[int]] = Shelf()
    shelf.put("AAPL", b"1", [1])
    shelf.take("AAPL", b"1")
    assert shelf.take("AAPL", b"1") is None


def test_a_thing_of_other_bytes_is_not_given() -> None:
    """The state may be an older one after a restore; then it is not asked for again either."""
    shelf: Shelf[list[int]] = Shelf()
    shelf.put("AAPL", b"1", [1])
    assert shelf.take("AAPL", b"2") is None
    assert shelf.take("AAPL", b"1") is None
    shelf.put("AAPL", b"1", [1])
    assert shelf.take("AAPL", None) is None


def test_the_one_that_was_put_back_first_goes_first() -> None:
    """Taken and put back counts as new."""
    shelf: Shelf[str] = Shelf(capacity=2)
    shelf.put("A", b"", "a")
    shelf.put("B", b"", "b")
    shelf.put("A", b"", str(shelf.take("A", b"")))
    shelf.put("C", b"", "c")
    assert shelf.take("B", b"") is None
    assert (shelf.take("A", b""), shelf.take("C", b"")) == ("a", "c")
