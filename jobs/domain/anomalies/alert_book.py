"""The alerts of one symbol that may still change: identity, revisions, cooldown and retraction, for all
rules.

**Identity.** ``alert_id`` is made of type, symbol, interval and a time: the start of the bar that it was seen
on (for what is seen on slices: the 1m bar), or when a silence began. ``event_time`` is that time, the same in
every revision. So a second run over the same trades gives the same ids at the same times, and an upsert hides
it, also where its slices were cut differently.

**Revisions** count from 1: raised, another severity, resolved, retracted, raised again. Each names the bar
version that brought it about.

**Cooldown.** Within it, by event time and for each (type, interval), no second alert is raised. What is
suppressed leaves no trace. A retraction lifts the cooldown that its alert began: there was no such alert.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from schemas.events import Alert, AlertStatus, Candle, Severity

SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
Steps = tuple[float, float, float]
"""From where on something is medium, high and critical."""

BarVersion = tuple[int, int | None]
"""(start, version) of a bar; None: a version that was not published."""

Key = tuple[str, str | None, int]
"""(type, interval, time)"""


def severity_of(measure: float, steps: Steps) -> Severity:
    """The severity of something that has passed its threshold: low, and one more for each step reached."""
    return SEVERITIES[sum(measure >= step for step in steps)]


def alert_id(type: str, symbol: str, scope: str, interval: str | None, time: int) -> str:
    """The same for the same cause; ``scope`` and ``interval`` only where there is one."""
    return ":".join(filter(None, (type, symbol, scope, interval, str(time))))


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule has found. ``time`` is its identity, ``at`` (us, event time) what the cooldown goes by,
    ``until`` the event time until which it may be revised, None: until it is resolved."""

    type: str
    interval: str | None
    time: int
    at: int
    until: int | None
    severity: Severity
    value: float
    threshold: float
    message: str
    bar: BarVersion | None = None
    """That it was seen on."""


@dataclass(slots=True)
class Record:
    """An alert as it was last published."""

    type: str
    interval: str | None
    time: int
    at: int
    until: int | None
    revision: int
    severity: Severity
    status: AlertStatus
    value: float
    threshold: float
    evidence: list[Any] = field(default_factory=list)
    """What its rule needs to judge it again: numbers."""


@dataclass(slots=True)
class AlertBook:
    """The alerts of one symbol that may still change. At most one for each bar that may be revised, of each
    type and interval, and the conditions that last."""

    cooldown: int
    symbol: str = ""
    scope: str = ""
    """What else tells two alerts of one type and time apart."""
    records: dict[Key, Record] = field(default_factory=dict)
    raised_at: dict[tuple[str, str | None], int] = field(default_factory=dict)
    """(type, interval) -> ``at`` of the last alert that was raised"""

    def find(self, type: str, interval: str | None, time: int) -> Record | None:
        """The alert with this identity."""
        return self.records.get((type, interval, time))

    def of(self, *types: str) -> list[Record]:
        """All alerts of these types, a list of its own."""
        return [record for record in self.records.values() if record.type in types]

    def report(self, finding: Finding, now: int, *, may_fall: bool = False) -> list[Alert]:
        """Raises an alert, or again, or to the severity found; ``may_fall``: also to a lower one. Nothing
        where it stands so already, or where the cooldown of another one holds it down."""
        record = self.find(finding.type, finding.interval, finding.time)
        if record is None or record.status == "retracted":
            if self._cooling(finding):
                return []
            self.raised_at[finding.type, finding.interval] = finding.at
        elif record.status == "raised":
            risen = SEVERITIES.index(finding.severity) - SEVERITIES.index(record.severity)
            if risen == 0 or (risen < 0 and not may_fall):
                return []
        if record is None:
            record = self.records[finding.type, finding.interval, finding.time] = Record(
                finding.type, finding.interval, finding.time, finding.at, finding.until, 0,
                finding.severity, "raised", finding.value, finding.threshold,
            )  # fmt: skip
        record.at, record.until = finding.at, finding.until
        record.severity, record.status = finding.severity, "raised"
        record.value, record.threshold = finding.value, finding.threshold
        return [self._revise(record, finding.message, finding.bar, now)]

    def resolve(
        self, record: Record, until: int, message: str, now: int, bar: BarVersion | None = None
    ) -> list[Alert]:
        """It is over; nothing where it is not raised. It may be revised ``until`` then."""
        if record.status != "raised":
            return []
        record.status, record.until = "resolved", until
        return [self._revise(record, message, bar, now)]

    def retract(self, record: Record, message: str, now: int, bar: BarVersion | None = None) -> list[Alert]:
        """It never was; nothing where that was said already."""
        if record.status == "retracted":
            return []
        kind = (record.type, record.interval)
        if self.raised_at.get(kind) == record.at:
            del self.raised_at[kind]
        record.status = "retracted"
        return [self._revise(record, message, bar, now)]

    def retract_for(self, record: Record, candle: Candle, now: int) -> list[Alert]:
        """The version of a bar took the cause away."""
        version = f"version {candle.version} of the {candle.interval} bar"
        message = f"withdrawn: {version} no longer shows what was reported"
        return self.retract(record, message, now, (candle.start, candle.version))

    def cools_until(self, type: str, interval: str | None) -> int:
        """When the next alert of this kind may be raised; 0: now."""
        raised = self.raised_at.get((type, interval))
        return 0 if raised is None else raised + self.cooldown

    def forget(self, event_time: int) -> None:
        """Drops what can no longer change when the symbol's greatest event time is this."""
        if self.records:
            old = [
                key
                for key, record in self.records.items()
                if record.until is not None and record.until < event_time
            ]
            for key in old:
                del self.records[key]
        if self.raised_at:
            cooled = [kind for kind, at in self.raised_at.items() if at + 2 * self.cooldown < event_time]
            for kind in cooled:
                del self.raised_at[kind]

    def dump(self) -> list[Any]:
        """Lists of numbers and text."""
        records = [
            [r.type, r.interval, r.time, r.at, r.until, r.revision, r.severity, r.status,
             r.value, r.threshold, r.evidence]
            for r in self.records.values()
        ]  # fmt: skip
        return [self.symbol, records, [[*kind, at] for kind, at in self.raised_at.items()]]

    def load(self, fields: Iterable[Any]) -> None:
        """Takes up what ``dump`` gave."""
        self.symbol, records, raised = fields
        self.records = {(row[0], row[1], row[2]): Record(*row) for row in records}
        self.raised_at = {(type_, interval): at for type_, interval, at in raised}

    def _cooling(self, finding: Finding) -> bool:
        raised = self.raised_at.get((finding.type, finding.interval))
        return raised is not None and abs(finding.at - raised) < self.cooldown

    def _revise(self, record: Record, message: str, bar: BarVersion | None, now: int) -> Alert:
        record.revision += 1
        start, version = bar or (None, None)
        return Alert(
            alert_id=alert_id(record.type, self.symbol, self.scope, record.interval, record.time),
            revision=record.revision,
            symbol=self.symbol,
            type=record.type,
            severity=record.severity,
            status=record.status,
            event_time=record.time,
            updated_at=now,
            value=record.value,
            threshold=record.threshold,
            message=message,
            interval=record.interval,
            bar_start=start,
            bar_version=version,
        )
