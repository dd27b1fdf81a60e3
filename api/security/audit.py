"""The audit log: what was changed and what was refused, by whom. Written whatever LOG_LEVEL is; a line names
the id of a key, never the key."""

import logging
from typing import Any

import structlog

from api.security.callers import Caller

NAME = "api.audit"
MOST_TEXT = 200
"""Characters of what a client has sent that go into a line."""

log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
"""Written by whatever writes every other line; with a level of its own."""


def write(method: str, path: str, caller: Caller, status: int) -> None:
    """Something was changed, or was to be: ``status`` is the answer."""
    outcome = "done" if status < 400 else "failed"
    _line("audit_write", method, path, caller.address, caller.key_id, outcome=outcome, status=status)


def refusal(method: str, path: str, address: str, key_id: str | None, code: str) -> None:
    """A request or a handshake was turned away; ``code`` is that of the answer."""
    _line("audit_refusal", method, path, address, key_id, outcome=code)


def key_change(action: str, key_id: str, **details: Any) -> None:
    """Somebody made, rotated or revoked a key by command."""
    log.info("audit_key", logger=NAME, action=action, key_id=key_id, **details)


def _line(event: str, method: str, path: str, address: str, key_id: str | None, **details: Any) -> None:
    log.info(
        event,
        logger=NAME,
        method=method[:MOST_TEXT],
        path=path[:MOST_TEXT],
        address=address,
        key_id=key_id,
        **details,
    )
