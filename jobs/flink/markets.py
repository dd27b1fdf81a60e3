"""What a symbol's class decides: its calendar, and the thresholds of its anomalies."""

from functools import cache

from jobs.domain.anomalies import Thresholds
from jobs.domain.context import Market
from jobs.domain.indicators import Indicators
from jobs.domain.quality import QualityRules
from jobs.settings import JobSettings
from schemas.symbol_classes import SymbolClasses


class Markets:
    """Of each class one market and one set of thresholds, made when its first symbol is seen."""

    def __init__(self, settings: JobSettings) -> None:
        self._classes = SymbolClasses(settings)
        self._thresholds = cache(lambda name: settings.thresholds(name, settings.rules.horizon))
        self._indicators = Indicators(settings.indicators)
        self._markets: dict[str, Market] = {}

    def market(self, symbol: str) -> Market:
        """What bars need to know of a symbol's market."""
        name = self._classes.name(symbol)
        market = self._markets.get(name)
        if market is None:
            calendar = self._classes.calendar(symbol)
            quality = QualityRules(self._thresholds(name).outlier_percent)
            market = self._markets[name] = Market(calendar, self._indicators, quality)
        return market

    def thresholds(self, symbol: str) -> Thresholds:
        """What the anomalies of a symbol are judged by."""
        return self._thresholds(self._classes.name(symbol))
