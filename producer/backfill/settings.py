"""The settings of a backfill, beside those of the producer."""

from pathlib import Path

from pydantic import Field

from producer.settings import ProducerSettings


class BackfillSettings(ProducerSettings):
    """Where histories are, how often they may be asked, and where a backfill keeps what it has reached."""

    backfill_dir: Path = Field(
        Path(".tickstream/backfill"),
        description="where a backfill notes how far it has come, and writes its recordings",
    )
    backfill_attempts: int = Field(
        8, ge=1, description="failures in a row after which a backfill stops; the same command goes on"
    )
    horizon_seconds: int = Field(300, ge=1, description="how old a trade may be and still correct its bars")
    polygon_rest_url: str = Field("https://api.massive.com", description="Polygon's REST API")
    polygon_requests_per_minute: float = Field(
        5.0, gt=0, description="what the plan of the key allows; a free one 5"
    )
    binance_rest_url: str = Field("https://api.binance.com", description="Binance's REST API")
    binance_requests_per_minute: float = Field(
        200.0, gt=0, description="Binance allows a weight of 6000 a minute; a page of trades weighs 25"
    )
    coinbase_rest_url: str = Field(
        "https://api.exchange.coinbase.com", description="Coinbase Exchange's REST API"
    )
    coinbase_requests_per_minute: float = Field(
        300.0, gt=0, description="Coinbase allows 10 requests a second without a key"
    )
