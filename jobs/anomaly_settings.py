"""Settings of the anomaly rules: a default for every symbol, and others for the classes that differ.

``ANOMALY_PRICE_SPIKE_PERCENT="5,crypto=8,us_equities=4"``: 4 for US equities, 8 for crypto, 5 for all others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import NoDecode

from jobs.domain.anomalies import LatencyLimits, Thresholds
from jobs.domain.anomalies.latency import PATHS
from jobs.domain.anomalies.thresholds import SECOND_US
from schemas.errors import ConfigurationError
from schemas.intervals import parse_interval
from schemas.settings import EnvironmentSettings, Names, split_names
from schemas.symbol_classes import CLASSES


@dataclass(frozen=True, slots=True)
class Values:
    """A number for everything, and others by name; as text ``5,crypto=8``."""

    default: float
    others: tuple[tuple[str, float], ...] = ()

    def of(self, name: str) -> float:
        """The number for this name."""
        return dict(self.others).get(name, self.default)

    def __str__(self) -> str:
        return ",".join([f"{self.default:g}", *(f"{name}={value:g}" for name, value in self.others)])


def _reader(
    kind: str, names: Iterable[str], above: float, below: float = inf
) -> Callable[[object, ValidationInfo], object]:
    """Reads the text of Values whose names are of one kind; every number is above and below these."""
    known = tuple(names)
    bounds = f"above {above:g}" + (f" and below {below:g}" if isfinite(below) else "")

    def read(value: object, info: ValidationInfo) -> object:
        if isinstance(value, Values):
            return value
        values = _parse(str(value))
        if values is None or not (
            all(above < number < below for number in (values.default, *dict(values.others).values()))
            and {name for name, _ in values.others} <= set(known)
        ):
            raise ValueError(
                f"{str(info.field_name).upper()}={value} is not understood: write a number {bounds}, and"
                f" after it {kind.upper()}=NUMBER for what differs, like 5,{known[-1]}=4; each {kind} is one"
                f" of {', '.join(known)}"
            )
        return values

    return read


def _parse(text: str) -> Values | None:
    default, *others = text.split(",")
    pairs = [other.partition("=") for other in others]
    try:
        return Values(float(default), tuple((name.strip(), float(number)) for name, _, number in pairs))
    except ValueError:
        return None


PerClass = Annotated[Values, NoDecode, BeforeValidator(_reader("class", CLASSES, 0))]
"""A number above 0, per class of symbols."""
PercentPerClass = Annotated[Values, NoDecode, BeforeValidator(_reader("class", CLASSES, 0, 100))]
PerPath = Annotated[Values, NoDecode, BeforeValidator(_reader("path", PATHS, 0))]

PER_CLASS = "; per class of symbols"


class AnomalySettings(EnvironmentSettings):
    """The thresholds of all anomaly rules; see ``jobs.domain.anomalies``."""

    anomaly_cooldown_seconds: PerClass = Field(
        Values(300), description="no second alert of a kind for the same symbol within this" + PER_CLASS
    )
    anomaly_price_spike_percent: PercentPerClass = Field(
        Values(5), description="a movement of the price beyond this is a spike" + PER_CLASS
    )
    anomaly_price_spike_seconds: PerClass = Field(
        Values(60), description="the time within which it moves so far" + PER_CLASS
    )
    anomaly_volume_sigma: PerClass = Field(
        Values(3), description="a bar's volume so many standard deviations above the mean is one" + PER_CLASS
    )
    anomaly_volume_least_ratio: PerClass = Field(
        Values(1.5),
        description="and at least so many times the mean: in a steady market a standard deviation is a few"
        " percent of it" + PER_CLASS,
    )
    anomaly_volume_ratio: PerClass = Field(
        Values(3), description="a volume of more than so many times the mean is one anyway" + PER_CLASS
    )
    anomaly_volume_bars: int = Field(
        20,
        ge=2,
        le=500,
        description="final bars that the mean is taken of; without so many nothing is judged",
    )
    anomaly_rsi_indicator: str = Field(
        "rsi_14", pattern=r"^[a-z0-9_]+$", description="the indicator of a bar that the zones are about"
    )
    anomaly_rsi_intervals: Names = Field(
        ("5m", "15m", "1h", "4h", "1d"),
        description="bars whose RSI is watched; that of 1m leaves its zones by chance all the time",
    )
    anomaly_rsi_overbought: PercentPerClass = Field(
        Values(70), description="overbought begins above this RSI" + PER_CLASS
    )
    anomaly_rsi_overbought_exit: PercentPerClass = Field(
        Values(65), description="and ends below this" + PER_CLASS
    )
    anomaly_rsi_oversold: PercentPerClass = Field(
        Values(30), description="oversold begins below this RSI" + PER_CLASS
    )
    anomaly_rsi_oversold_exit: PercentPerClass = Field(
        Values(35), description="and ends above this" + PER_CLASS
    )
    anomaly_stale_seconds: PerClass = Field(
        Values(30), description="a feed is stale after no less than this without a trade" + PER_CLASS
    )
    anomaly_stale_factor: PerClass = Field(
        Values(10), description="and after so many times the symbol's mean time between trades" + PER_CLASS
    )
    anomaly_price_outlier_percent: PercentPerClass = Field(
        Values(10),
        description="a high or low that stands further from open, close and VWAP of its bar is an outlier"
        + PER_CLASS,
    )
    anomaly_crossed_percent: PercentPerClass = Field(
        Values(0.1),
        description="a bid above the ask by more of the mid price than this is serious" + PER_CLASS,
    )
    anomaly_clock_skew_ms: int = Field(
        500, ge=0, description="a trade dated further ahead of its receipt than this has a wrong clock"
    )
    anomaly_latency_ms: PerPath = Field(
        Values(100),
        description="median latency beyond which there is an alert; per path:"
        " source_to_kafka, trade_to_bar (its time beyond the slice)",
    )
    anomaly_latency_window_seconds: int = Field(10, ge=1, description="the time that the median is taken of")

    _split_intervals = field_validator("anomaly_rsi_intervals", mode="before")(split_names)

    @field_validator("anomaly_rsi_intervals", mode="after")
    @classmethod
    def _check_intervals(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(parse_interval(name) for name in names)
        except ConfigurationError as error:
            raise ValueError(f"ANOMALY_RSI_INTERVALS: {error}") from error

    @model_validator(mode="after")
    def _check_zones(self) -> Self:
        for name in CLASSES:
            limits = self.thresholds(name)
            if not (
                limits.rsi_oversold <= limits.rsi_oversold_exit < limits.rsi_overbought
                and limits.rsi_oversold < limits.rsi_overbought_exit <= limits.rsi_overbought
            ):
                raise ValueError(
                    "ANOMALY_RSI_OVERSOLD <= ANOMALY_RSI_OVERSOLD_EXIT < ANOMALY_RSI_OVERBOUGHT and"
                    " ANOMALY_RSI_OVERSOLD < ANOMALY_RSI_OVERBOUGHT_EXIT <= ANOMALY_RSI_OVERBOUGHT must hold;"
                    f" of {name} oversold is {limits.rsi_oversold:g}, ended at {limits.rsi_oversold_exit:g},"
                    f" overbought {limits.rsi_overbought:g}, ended at {limits.rsi_overbought_exit:g}"
                )
        return self

    def thresholds(self, symbol_class: str, horizon_us: int = 300 * SECOND_US) -> Thresholds:
        """The thresholds of a class of symbols. ``horizon_us``: how long a bar may be corrected."""
        return Thresholds(
            spike_percent=self.anomaly_price_spike_percent.of(symbol_class),
            spike_window=_us(self.anomaly_price_spike_seconds, symbol_class),
            volume_sigma=self.anomaly_volume_sigma.of(symbol_class),
            volume_ratio=self.anomaly_volume_ratio.of(symbol_class),
            volume_least_ratio=self.anomaly_volume_least_ratio.of(symbol_class),
            volume_bars=self.anomaly_volume_bars,
            rsi_indicator=self.anomaly_rsi_indicator,
            rsi_intervals=self.anomaly_rsi_intervals,
            rsi_overbought=self.anomaly_rsi_overbought.of(symbol_class),
            rsi_overbought_exit=self.anomaly_rsi_overbought_exit.of(symbol_class),
            rsi_oversold=self.anomaly_rsi_oversold.of(symbol_class),
            rsi_oversold_exit=self.anomaly_rsi_oversold_exit.of(symbol_class),
            stale_least=_us(self.anomaly_stale_seconds, symbol_class),
            stale_factor=self.anomaly_stale_factor.of(symbol_class),
            outlier_percent=self.anomaly_price_outlier_percent.of(symbol_class),
            crossed_percent=self.anomaly_crossed_percent.of(symbol_class),
            cooldown=_us(self.anomaly_cooldown_seconds, symbol_class),
            horizon=horizon_us,
        )

    @property
    def latency_limits(self) -> LatencyLimits:
        """What the latency of each path is judged by."""
        return LatencyLimits(
            thresholds={path: round(self.anomaly_latency_ms.of(path) * 1000) for path in PATHS},
            window=self.anomaly_latency_window_seconds * SECOND_US,
            cooldown=round(self.anomaly_cooldown_seconds.default * SECOND_US),
        )

    @property
    def clock_skew_us(self) -> int:
        """How far ahead of its receipt a trade may be dated."""
        return self.anomaly_clock_skew_ms * 1000


def _us(seconds: Values, symbol_class: str) -> int:
    return round(seconds.of(symbol_class) * SECOND_US)
