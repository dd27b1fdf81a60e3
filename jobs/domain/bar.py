"""A minute and a bar while they can still change."""

from dataclasses import dataclass

from jobs.domain.totals import NOTHING, Totals


@dataclass(slots=True)
class Minute:
    """The trades of one minute while it can still change: ``logged`` those that can be taken out again, whose
    trades lie in ``chunks`` chunks of the trade store, and ``plain`` all others."""

    start: int
    plain: Totals = NOTHING
    logged: Totals = NOTHING
    chunks: int = 0

    def totals(self) -> Totals:
        return self.plain.merge(self.logged) if self.chunks else self.plain


@dataclass(slots=True)
class Bar:
    """One bar while it can still change, without its minutes that can.

    ``events`` counts everything applied to it, ``late`` what came after it was final, ``missed`` the
    microseconds that nobody observed; of gaps both have only what is settled (see coverage).
    """

    start: int
    end: int
    events: int = 0
    late: int = 0
    final: bool = False
    settled: Totals = NOTHING
    missed: int = 0
