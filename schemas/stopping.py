"""How a process that waits is asked to end."""

import _thread
import signal
import threading

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def set_on_signals(event: threading.Event) -> None:
    """From now on each of SIGNALS sets the event. For the main thread."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: set_by_handler(event))


def set_by_handler(event: threading.Event) -> None:
    """Sets the event from within a signal's handler.

    A handler runs between any two steps of the main thread. Where that is about to wait for the event, or was
    just waiting, it holds the lock that ``set`` takes, and would wait for itself: another thread sets it.
    """
    _thread.start_new_thread(event.set, ())
