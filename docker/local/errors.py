"""What can go wrong while the local system starts, beyond the project's common errors."""

from schemas.errors import TickstreamError


class Interrupted(TickstreamError):
    """The start was given up on request."""


class PreflightError(TickstreamError):
    """This machine lacks something; ``problems`` says what, each with what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class PartFailed(TickstreamError):
    """A part died or did not become ready."""
