"""What the API answers when it cannot: one shape, a stable code, a message that says what to do.

ApiError (TickstreamError)
├── KeyNeeded            401 key_needed, with WWW-Authenticate
├── InvalidKey           401 invalid_key, likewise
├── Forbidden            403 forbidden
├── OriginRefused        403 origin_refused
├── UnknownSymbol        404 unknown_symbol
├── UnknownStream        404 unknown_stream
├── UnknownCompany       404 unknown_company
├── NothingThere         404 not_found
├── PayloadTooLarge      413 payload_too_large
├── UriTooLong           414 uri_too_long
├── InvalidParameter     422 invalid_parameter
├── AsOfTooOld           422 as_of_too_old
├── UpgradeRequired      426 upgrade_required, with Upgrade
├── RateLimited          429 rate_limited, with Retry-After
├── LookupNotConfigured  503 lookup_not_configured
└── TryAgain             503, with Retry-After
    ├── TooManyDownloads     too_many_downloads
    ├── ProducerUnavailable  producer_unavailable
    ├── KafkaUnavailable     kafka_unavailable
    ├── LookupUnavailable    lookup_unavailable
    └── StorageUnavailable   storage_unavailable
"""

import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocket

from schemas.errors import TickstreamError

RETRY_AFTER_SECONDS = 2
DOWNLOAD_RETRY_SECONDS = 5


class ErrorDetail(BaseModel):
    code: str = Field(description="stable, for programs", examples=["invalid_parameter"])
    message: str = Field(
        description="what is wrong and what to do, for people",
        examples=["limit: '5000': input should be less than or equal to 1000"],
    )
    request_id: str = Field(
        description="the same as the X-Request-ID header and in the logs",
        examples=["4bf92f3577b34da6a3ce929d0e0e4736"],
    )


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class ApiError(TickstreamError):
    """An answer other than success, raised from anywhere within a request."""

    status = 500
    code = "internal"
    headers: Mapping[str, str] = {}


class KeyNeeded(ApiError):
    status = 401
    code = "key_needed"
    headers = {"WWW-Authenticate": 'Bearer realm="tickstream"'}  # noqa: RUF012 -- read only

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"this needs an API key with scope {scope}: send `Authorization: Bearer ts_...`;"
            f" `python -m api keys create NAME --scopes {scope}`, where the API runs, makes one"
        )


class InvalidKey(ApiError):
    status = 401
    code = "invalid_key"
    headers = {"WWW-Authenticate": 'Bearer realm="tickstream", error="invalid_token"'}  # noqa: RUF012 -- read only


class Forbidden(ApiError):
    status = 403
    code = "forbidden"

    def __init__(self, key_id: str, scope: str) -> None:
        super().__init__(f"API key {key_id} lacks scope {scope}: use one that has it")


class OriginRefused(ApiError):
    status = 403
    code = "origin_refused"

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"pages of {origin[:200]!r} may not open a WebSocket here: WS_ORIGINS, where the API runs, names"
            " those that may"
        )


class PayloadTooLarge(ApiError):
    status = 413
    code = "payload_too_large"

    def __init__(self, most: int) -> None:
        super().__init__(f"a body may have {most} bytes")


class UriTooLong(ApiError):
    status = 414
    code = "uri_too_long"

    def __init__(self, most: int) -> None:
        super().__init__(f"path and query may have {most} bytes together")


class RateLimited(ApiError):
    status = 429
    code = "rate_limited"

    def __init__(self, why: str, seconds: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"{why}: try again in {seconds} s")
        self.headers = {**headers, "Retry-After": str(seconds)}


class UnknownSymbol(ApiError):
    status = 404
    code = "unknown_symbol"

    def __init__(self, symbol: str) -> None:
        super().__init__(f"no symbol {symbol!r}: /api/v1/symbols lists those there are")


class UnknownStream(ApiError):
    status = 404
    code = "unknown_stream"

    def __init__(self, symbol: str) -> None:
        super().__init__(f"nothing produces {symbol!r}: /api/v1/streams lists what is; SYMBOLS names it")


class UnknownCompany(ApiError):
    status = 404
    code = "unknown_company"

    def __init__(self, symbol: str, provider: str) -> None:
        super().__init__(f"{provider} knows no {symbol!r}: look at the spelling")


class NothingThere(ApiError):
    status = 404
    code = "not_found"

    def __init__(self, path: str) -> None:
        super().__init__(f"there is nothing at {path}: /docs lists what there is")


class UpgradeRequired(ApiError):
    status = 426
    code = "upgrade_required"
    headers = {"Upgrade": "websocket"}  # noqa: RUF012 -- read only

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is a WebSocket: open it with a client for those, such as `websockets`")


class InvalidParameter(ApiError):
    status = 422
    code = "invalid_parameter"


class AsOfTooOld(ApiError):
    status = 422
    code = "as_of_too_old"

    def __init__(self, interval: str, ttl_days: int, oldest: str) -> None:
        super().__init__(
            f"as_of: versions of bars are kept for {ttl_days} days (VERSIONS_TTL_DAYS), so how {interval}"
            f" bars were known can be said from {oldest} on: ask for that time or a later one"
        )


class TryAgain(ApiError):
    """Not now; it may be better soon."""

    status = 503
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}  # noqa: RUF012 -- read only


class TooManyDownloads(TryAgain):
    code = "too_many_downloads"
    headers = {"Retry-After": str(DOWNLOAD_RETRY_SECONDS)}  # noqa: RUF012 -- read only

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} downloads are running (API_MAX_DOWNLOADS): try again in {DOWNLOAD_RETRY_SECONDS} s"
        )


class StorageUnavailable(TryAgain):
    code = "storage_unavailable"

    def __init__(self, why: str) -> None:
        super().__init__(f"the storage does not answer ({why}): try again in {RETRY_AFTER_SECONDS} s")


class ProducerUnavailable(TryAgain):
    code = "producer_unavailable"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the producer does not answer ({why}): start it, or set PRODUCER_METRICS_URL; /ready says more"
        )


class KafkaUnavailable(TryAgain):
    code = "kafka_unavailable"

    def __init__(self, why: str) -> None:
        super().__init__(f"Kafka does not take the order ({why}): try again in {RETRY_AFTER_SECONDS} s")


class LookupNotConfigured(ApiError):
    status = 503
    code = "lookup_not_configured"

    def __init__(self) -> None:
        super().__init__(
            "no provider is asked for companies and history: set FINNHUB_API_KEY or FMP_API_KEY where the API"
            " runs (LOOKUP_PROVIDER chooses between them), and start it again"
        )


class LookupUnavailable(TryAgain):
    code = "lookup_unavailable"

    def __init__(self, provider: str, why: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{provider} {why}")
        self.provider = provider
        self.why = why
        self.retry_after_s = retry_after_s
        self.headers = {"Retry-After": str(max(RETRY_AFTER_SECONDS, math.ceil(retry_after_s)))}


EXAMPLE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def documented(description: str, error: ApiError) -> dict[str, Any]:
    """An answer as OpenAPI has it, with ``error`` as its example."""
    detail = ErrorDetail(code=error.code, message=str(error), request_id=EXAMPLE_ID)
    example = ErrorBody(error=detail).model_dump()
    return {
        "model": ErrorBody,
        "description": description,
        "content": {"application/json": {"example": example}},
    }


COMMON_RESPONSES: dict[int | str, dict[str, Any]] = {
    422: documented(
        "A parameter is wrong; the message names it",
        InvalidParameter("limit: '5000': input should be less than or equal to 1000"),
    ),
    500: documented(
        "A fault of ours; the request id finds it in the logs", ApiError("a fault of ours: the log has it")
    ),
    503: documented(
        "The storage does not answer; Retry-After says when to try again",
        StorageUnavailable("no node can be reached"),
    ),
}
SYMBOL_RESPONSES = {404: documented("Unknown symbol", UnknownSymbol("NOPE")), **COMMON_RESPONSES}

HTTP_CODES = {404: NothingThere.code, 405: "method_not_allowed", 413: PayloadTooLarge.code}


def error_response(
    status: int, code: str, message: str, request_id: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An answer in the one shape that all errors have."""
    body = ErrorBody(error=ErrorDetail(code=code, message=message, request_id=request_id))
    return JSONResponse(body.model_dump(), status_code=status, headers=dict(headers or {}))


def install_error_handlers(app: FastAPI) -> None:
    """Every way a request can fail within the application ends in ``error_response``; what nobody foresaw is
    answered by ``RequestMiddleware``."""

    @app.exception_handler(ApiError)
    async def api_error(request: Request, error: ApiError) -> JSONResponse:
        return error_response(error.status, error.code, str(error), request.state.request_id, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        message = "; ".join(_describe(problem) for problem in error.errors())
        return error_response(422, InvalidParameter.code, message, request.state.request_id)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        code = HTTP_CODES.get(error.status_code, "http_error")
        message = str(error.detail)
        if error.status_code == NothingThere.status:
            message = str(NothingThere(request.url.path))
        elif error.status_code == 405:
            message = f"{request.url.path} does not take {request.method}"
        return error_response(error.status_code, code, message, request.state.request_id, error.headers)


async def refuse_handshake(socket: WebSocket, error: ApiError) -> None:
    """Answers a WebSocket that is not accepted, in the one shape; with 403 alone where the server cannot."""
    if "websocket.http.response" not in socket.scope.get("extensions", {}):
        await socket.close()
        return
    await socket.send_denial_response(
        error_response(error.status, error.code, str(error), socket.state.request_id, error.headers)
    )


def _describe(problem: Mapping[str, Any]) -> str:
    """``from: '2024-13-01' is not a time: write ...`` from one of pydantic's findings."""
    name = ".".join(str(part) for part in problem["loc"][1:])
    message = plain_message(problem)
    if problem["type"] in PLAIN or problem["type"] == "value_error" or not isinstance(problem["input"], str):
        return f"{name}: {message}" if name else message
    return f"{name}: {problem['input'][:50]!r}: {message[0].lower()}{message[1:]}"


PLAIN = {
    "extra_forbidden": "there is no such parameter here",
    "missing": "is needed",
    "tuple_type": "give a list",
    "too_short": "give at least {min_length}",
    "too_long": "give at most {max_length}, not {actual_length}",
}
"""What pydantic says in words of Python, by its types."""


def plain_message(problem: Mapping[str, Any]) -> str:
    """What is wrong, in words that say nothing of how the program is written."""
    plain = PLAIN.get(problem["type"])
    if plain is None:
        return str(problem["msg"]).removeprefix("Value error, ")
    return plain.format(**problem.get("ctx", {}))
