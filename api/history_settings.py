"""Settings of what is answered from history."""

from pydantic import Field

from schemas.settings import SessionSettings


class HistorySettings(SessionSettings):
    """With the calendars, which say what may be filled."""

    api_settled_seconds: int = Field(
        900,
        ge=1,
        le=86_400,
        description="how far a symbol's trades must be ahead of a page of final bars until clients may keep"
        " it for an hour; more than HORIZON_SECONDS and DEDUP_MEMORY_SECONDS",
    )
    api_download_rows: int = Field(
        1_000_000, ge=1, le=100_000_000, description="most rows of one CSV or Parquet file"
    )
    api_max_downloads: int = Field(
        4, ge=1, le=1000, description="CSV and Parquet files sent at the same time; further ones get a 503"
    )
