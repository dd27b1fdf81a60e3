"""The application; its OpenAPI tells of keys, scopes and limits, from the rules that the guard obeys."""

from typing import Any

from fastapi import FastAPI

from api.errors import (
    ApiError,
    ErrorBody,
    Forbidden,
    KeyNeeded,
    PayloadTooLarge,
    RateLimited,
    StorageUnavailable,
    UriTooLong,
    documented,
)
from api.security.access import HISTORY_COST, needed_scope
from api.security.keys import SCOPE_MEANINGS
from api.security.settings import SecuritySettings, parse_rate

SCHEME = "ApiKey"
REF = {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}
RETRY_AFTER = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
EXAMPLE_KEY = "5f0c2a9d4b7e8136"
METHODS = frozenset({"get", "post", "put", "patch", "delete"})
WRITES = frozenset({"post", "put", "patch"})


class DocumentedApi(FastAPI):
    """Adds to every operation which key it needs and how it can be refused."""

    def openapi(self) -> dict[str, Any]:
        """The document; made once."""
        if not self.openapi_schema:
            document = super().openapi()
            document["components"].setdefault("securitySchemes", {})[SCHEME] = {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key, `ts_...`. Reading from the API's own machine needs none. Scopes: "
                + "; ".join(f"`{scope}`: {meaning}" for scope, meaning in SCOPE_MEANINGS.items()),
            }
            for path, item in document["paths"].items():
                for method in item.keys() & METHODS:
                    _describe(item[method], method, path)
        return self.openapi_schema or {}


def _describe(operation: dict[str, Any], method: str, path: str) -> None:
    answers = operation["responses"]
    scope = needed_scope(method.upper(), path)
    if scope is not None:
        # The empty one: reading from loopback.
        operation["security"] = [{SCHEME: [scope]}, {}] if scope == "read" else [{SCHEME: [scope]}]
        answers["401"] = _answer("No API key, or one that is not valid", KeyNeeded(scope))
        answers["403"] = _answer(f"The API key lacks scope `{scope}`", Forbidden(EXAMPLE_KEY, scope))
        answers["503"] = answers.get("503") or _answer(
            "The storage does not answer, so the key is not known",
            StorageUnavailable("no node can be reached"),
        )
    if method in WRITES:
        answers["413"] = _answer("The body is too long", PayloadTooLarge(_default("api_max_body_bytes")))
    answers["414"] = _answer("Path and query are too long", UriTooLong(_default("api_max_url_bytes")))
    answers["429"] = _answer("The rate limit is used up", _rate_limited(), headers=RETRY_AFTER)


def _default(setting: str) -> Any:
    return SecuritySettings.model_fields[setting].default


def _rate_limited() -> RateLimited:
    """With what an API key may ask for in a second."""
    most = parse_rate(_default("api_rate_key"))[0].amount
    return RateLimited(f"this counts as {HISTORY_COST}, and 3 of {most} are left", 1, {})


def _answer(description: str, error: ApiError, **more: Any) -> dict[str, Any]:
    answer = documented(description, error)
    example = answer["content"]["application/json"]["example"]
    content = {"application/json": {"schema": REF, "example": example}}
    return {"description": description, "content": content, **more}
