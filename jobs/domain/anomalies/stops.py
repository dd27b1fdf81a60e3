"""The times in which somebody has stopped a symbol on purpose, as far as they still matter to its silence.

They come from the ledger of gaps, which tells a stop again while it lasts, and a long one as one record for
each hour. Where bars are rebuilt from Kafka they are read long before the trades of their time: hence
several, and they count only from when the watermark has reached them. All times are microseconds since 1970
UTC.
"""

from collections.abc import Iterable
from typing import Any

MOST = 32
"""Stops that are remembered; the oldest one goes first. In live operation there is one."""
FOREVER = 2**63


class Stops:
    """``[start, end]`` of each, ascending and apart from each other; the last one may still last."""

    def __init__(self) -> None:
        self.times: list[list[int]] = []
        self.lasting = False

    def add(self, start: int, end: int, *, closed: bool) -> None:
        """Takes in a record of a stop."""
        if not self.times or end >= self.times[-1][1]:
            self.lasting = not closed
        apart = [each for each in self.times if each[1] < start or each[0] > end]
        one = [each for each in self.times if each not in apart]
        merged = [min([start, *(each[0] for each in one)]), max([end, *(each[1] for each in one)])]
        self.times = sorted([*apart, merged])[-MOST:]

    def forget(self, time: int) -> None:
        """Drops what was over before a trade at that time."""
        self.times = [
            each for each in self.times if each[1] > time or (self.lasting and each[1] == self.times[-1][1])
        ]

    def ends(self, at: int) -> int | None:
        """When the stop ends that holds a time: FOREVER while it lasts, None where no stop does."""
        if self.lasting and self.times[-1][0] <= at:
            return FOREVER
        return next((end for start, end in self.times if start <= at < end), None)

    def last_end(self, at: int) -> int:
        """When the last stop ended that was over by then; 0: there was none."""
        return max((end for _, end in self.times if end <= at), default=0)

    def dump(self) -> list[Any]:
        return [self.times, self.lasting]

    def load(self, fields: Iterable[Any]) -> None:
        self.times, self.lasting = fields
