"""Where lookups go, and how long their answers are good."""

from typing import Literal

from pydantic import Field

from schemas.settings import EnvironmentSettings

LookupProvider = Literal["finnhub", "fmp"]


class LookupSettings(EnvironmentSettings):
    """Keys are never shown: neither in logs, nor in errors, nor in addresses."""

    lookup_provider: LookupProvider | None = Field(
        None,
        description="who is asked for companies, and for quotes and history of what is not streamed: finnhub"
        " or fmp; empty: the first of these whose key is set, and without a key nobody",
    )
    finnhub_api_key: str = Field("", repr=False, description="key of Finnhub")
    fmp_api_key: str = Field("", repr=False, description="key of Financial Modeling Prep")
    lookup_url: str = Field(
        "",
        description="address of that provider's REST API; empty: https://finnhub.io/api/v1 or"
        " https://financialmodelingprep.com/stable",
    )
    lookup_timeout_seconds: float = Field(
        5.0, gt=0, le=60, description="longest wait for an answer to a lookup"
    )
    lookup_requests_per_minute: int = Field(
        30, ge=1, le=6_000, description="lookups that the provider is asked in a minute, by each API process"
    )
    lookup_company_seconds: float = Field(
        86_400.0, gt=0, description="how long what is known of a company is good"
    )
    lookup_quote_seconds: float = Field(60.0, gt=0, description="how long a quote that was looked up is good")
    lookup_history_seconds: float = Field(
        3_600.0, gt=0, description="how long daily history that was looked up is good"
    )
    lookup_failed_seconds: float = Field(
        30.0, gt=0, description="how long it is remembered that the provider knows nothing, or fails"
    )
    lookup_warm_symbols: int = Field(
        20,
        ge=0,
        le=10_000,
        description="companies of so many of SYMBOLS are looked up when the API starts; 0: none",
    )

    @property
    def lookups_from(self) -> tuple[LookupProvider, str] | None:
        """The provider that is asked, and its key; None: nobody is."""
        keys: dict[LookupProvider, str] = {"finnhub": self.finnhub_api_key, "fmp": self.fmp_api_key}
        names: tuple[LookupProvider, ...] = (
            ("finnhub", "fmp") if self.lookup_provider is None else (self.lookup_provider,)
        )
        return next(((name, keys[name]) for name in names if keys[name]), None)
