"""When another source is followed, and when the preferred one is again."""

from pydantic import Field

from producer.failover.policy import Policy
from schemas.settings import EnvironmentSettings


class FailoverSettings(EnvironmentSettings):
    failover_after_seconds: float = Field(
        3.0,
        gt=0,
        le=3600,
        description="how long a source must have been unfit, and another one fit, before that is followed",
    )
    failover_return_seconds: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="how long a better source must have been fit without a break before it is followed again",
    )
    failover_hold_seconds: float = Field(
        30.0,
        ge=0,
        le=86_400,
        description="least time on a source that is fit, before a better one is followed",
    )
    silence_seconds: float = Field(
        30.0,
        gt=0,
        le=86_400,
        description="without a trade for so long, and for 10 times the symbol's usual distance between"
        " trades, a source is silent; only while the market is open",
    )
    stale_seconds: float = Field(
        60.0, gt=0, le=86_400, description="a source whose trades come so late, one after another, is unfit"
    )

    @property
    def failover_policy(self) -> Policy:
        """The settings in microseconds."""

        def us(seconds: float) -> int:
            return round(seconds * 1_000_000)

        return Policy(
            patience=us(self.failover_after_seconds),
            settled=us(self.failover_return_seconds),
            hold=us(self.failover_hold_seconds),
            silence=us(self.silence_seconds),
            stale=us(self.stale_seconds),
        )
