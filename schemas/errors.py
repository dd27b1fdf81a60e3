"""The project's exceptions.

TickstreamError
├── ConfigurationError   a setting or a file is wrong: says which and what to write instead
├── UnavailableError     a server that we need does not answer
└── PoisonError          one record that can never be processed; carries a stable ``reason``
"""


class TickstreamError(Exception):
    """Base of all errors that we raise on purpose; the message says what to do."""


class ConfigurationError(TickstreamError):
    """A setting or a file is wrong."""


class UnavailableError(TickstreamError):
    """A server that we need does not answer."""


class PoisonError(TickstreamError):
    """A record that can never be processed: it goes to the dead-letter topic, the part goes on."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
