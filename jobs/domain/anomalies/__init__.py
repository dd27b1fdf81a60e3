"""What is out of the ordinary: one small class per rule, each with the state of one symbol.

| type             | seen on            | ends as                                                      |
|------------------|--------------------|--------------------------------------------------------------|
| price_spike      | slices             | retracted when its 1m bars no longer hold what it was seen on |
| volume_anomaly   | live, final bars   | retracted by a later version of its bar                      |
| rsi_overbought   | final bars         | resolved when the RSI leaves the zone; retracted             |
| rsi_oversold     | final bars         | likewise                                                     |
| price_outlier    | final 1m bars      | retracted by a later version of its bar                      |
| stale_feed       | the watermark      | resolved by the next trade; retracted by late trades         |
| clock_skew       | slices             | never: those trades had a wrong clock                        |
| crossed_quote    | slices of quotes   | never: they were crossed                                     |
| latency          | wall-clock windows | resolved when it is below again                              |

What they have in common (identity, revisions, cooldown, retraction) is in ``alert_book``.
"""

from jobs.domain.anomalies.latency import LatencyLimits, LatencyMonitor
from jobs.domain.anomalies.quotes import QuoteAnomalies
from jobs.domain.anomalies.slice_seen import SliceSeen
from jobs.domain.anomalies.symbol import SymbolAnomalies
from jobs.domain.anomalies.thresholds import Thresholds

__all__ = [
    "LatencyLimits",
    "LatencyMonitor",
    "QuoteAnomalies",
    "SliceSeen",
    "SymbolAnomalies",
    "Thresholds",
]
