"""Trades that are taken back: one is cancelled, another one gets a new price and size."""

from collections import deque
from dataclasses import replace

import numpy as np

from producer.simulator.columns import TradeColumns
from producer.simulator.market import TICK
from schemas.events import Correction, Trade

LENGTH_S = 10.0
PICK_UNTIL_S = 8.0
SEND_AFTER_S = 9.5
"""The trades that are taken back are then one and a half seconds old, or older where there are few."""


class Corrector:
    """One round of the scenario, for one symbol: its trades are stamped correctable, which makes the jobs
    keep each by itself; at the end the last but one that was picked is corrected, and the last one cancelled.
    """

    def __init__(self) -> None:
        self._picked: deque[Trade] = deque(maxlen=2)
        self._sent = False

    def take(
        self, trades: TradeColumns, symbol: int, seconds: float, now_us: int
    ) -> tuple[TradeColumns, tuple[Correction, ...]]:
        """The trades of a batch, stamped, and the corrections that follow them. ``symbol`` is an index,
        ``seconds`` the time since the round began."""
        chosen = trades.symbol == symbol
        stamped = replace(trades, correctable=trades.correctable | chosen)
        if seconds < PICK_UNTIL_S:
            self._picked.extend(stamped[int(row)] for row in np.flatnonzero(chosen)[-2:])
        if self._sent or seconds < SEND_AFTER_S:
            return stamped, ()
        self._sent = True
        return stamped, self._corrections(now_us)

    def _corrections(self, now_us: int) -> tuple[Correction, ...]:
        if not self._picked:
            return ()
        *others, last = self._picked
        corrected = [
            replace(
                correction(trade, "correct", now_us),
                price=round(trade.price + TICK, 2),
                size=trade.size + 1.0,
                exchange=trade.exchange,
            )
            for trade in others
        ]
        return *corrected, correction(last, "cancel", now_us)


def correction(trade: Trade, kind: str, now_us: int) -> Correction:
    """A correction of the trade. A trade is taken back once at most, so its own number names it: no run of
    the simulator can use that for another one."""
    return Correction(
        symbol=trade.symbol,
        event_time=now_us,
        received_at=now_us,
        correction_id=f"{trade.trade_id}-{kind}",
        sequence=trade.sequence,
        source=trade.source,
        trade_id=trade.trade_id,
        trade_time=trade.event_time,
        kind=kind,
    )
