"""What OpenAPI shows beside the shapes: descriptions, and examples that work."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from api.columns import CANDLE, INDICATORS, TRADE
from api.cursors import (
    alert_cursor,
    alert_place,
    candle_cursor,
    candle_place,
    gap_cursor,
    gap_place,
    trade_cursor,
    trade_place,
)
from api.errors import ErrorBody
from api.main import create_app
from api.parameters import AlertPage, BarPage, GapPage, HistoryPage
from tests.unit.api.test_app import NOWHERE, Client, with_client

DOCUMENT = create_app(NOWHERE).openapi()
WRAPPED = {"anyOf", "allOf", "oneOf"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and what is said of it."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def examples(schema: dict[str, Any]) -> list[Any]:
    """Those of a schema, or of what it may be."""
    own = schema.get("examples", [schema["example"]] if "example" in schema else [])
    return [*own, *(each for name in WRAPPED for part in schema.get(name, ()) for each in examples(part))]


def is_told_elsewhere(schema: dict[str, Any]) -> bool:
    """Made of another schema, which has examples of its own."""
    parts = [part for name in WRAPPED for part in schema.get(name, ())]
    inner = [schema.get("items"), schema.get("additionalProperties")]
    return "$ref" in schema or any(
        isinstance(part, dict) and is_told_elsewhere(part) for part in (*parts, *inner)
    )


def test_every_parameter_is_described_and_has_an_example() -> None:
    """Of every endpoint, in its path and in its query."""
    bare = [
        (path, parameter["name"])
        for path, _, operation in operations()
        for parameter in operation.get("parameters", ())
        if not parameter.get("description") or not examples(parameter["schema"])
    ]
    assert bare == []


def test_every_field_of_every_answer_has_an_example() -> None:
    """But those that are made of others."""
    bare = [
        (name, field)
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if not is_told_elsewhere(described) and not examples(described)
    ]
    assert bare == []


def test_every_endpoint_says_what_it_does() -> None:
    """In more than its name."""
    assert [path for path, _, operation in operations() if len(operation.get("description", "")) < 20] == []


def test_the_examples_of_parameters_are_taken() -> None:
    """Each by itself beside those that must be there: nothing is refused for how it is written."""

    async def use(client: Client) -> list[tuple[str, Any, str]]:
        refused = []
        for path, method, operation in operations():
            if method != "get":
                continue
            asked = operation.get("parameters", ())
            first = {each["name"]: examples(each["schema"])[0] for each in asked}
            address = path.format(
                **{each["name"]: first[each["name"]] for each in asked if each["in"] == "path"}
            )
            needed = {
                each["name"]: first[each["name"]]
                for each in asked
                if each["in"] == "query" and each["required"]
            }
            for each in asked:
                for example in examples(each["schema"]) if each["in"] == "query" else ():
                    answer = await client.get(address, params={**needed, each["name"]: example})
                    if answer.status_code == 422:
                        refused.append((path, {each["name"]: example}, answer.json()["error"]["code"]))
        return refused

    refused = with_client(use)
    # What was known in 2024 is not kept any more; how it is written is right.
    assert {code for _, example, code in refused if "as_of" in example} == {"as_of_too_old"}
    assert [each for each in refused if "as_of" not in each[1]] == []


@pytest.mark.parametrize(
    ("page", "place", "cursor"),
    [
        (BarPage, candle_place, candle_cursor),
        (HistoryPage, trade_place, trade_cursor),
        (AlertPage, alert_place, alert_cursor),
        (GapPage, gap_place, gap_cursor),
    ],
)
def test_the_example_of_a_cursor_is_one_that_is_given_out(
    page: type[BaseModel], place: Any, cursor: Any
) -> None:
    """Each endpoint has its own."""
    (example,) = page.model_fields["cursor"].examples or ()
    assert cursor(place(example)) == example


def test_every_error_has_its_own_example() -> None:
    """Not that of another: code and message belong to the status."""
    codes = {"422": {"invalid_parameter"}, "500": {"internal"}}
    unknown = {"unknown_symbol", "unknown_stream", "unknown_company"}
    absent = {
        "storage_unavailable", "producer_unavailable", "kafka_unavailable", "lookup_not_configured",
    }  # fmt: skip
    for path, _, operation in operations():
        if not path.startswith("/api/v1/"):
            continue
        for status, expected in {**codes, "404": unknown, "503": absent}.items():
            if status in operation["responses"]:
                content = operation["responses"][status]["content"]["application/json"]
                assert content["example"]["error"]["code"] in expected, (path, status)
                assert content["example"]["error"]["message"]


@pytest.mark.parametrize(
    ("status", "code", "names"),
    [
        ("401", "key_needed", "`python -m api keys create NAME --scopes {scope}`"),
        ("403", "forbidden", "lacks scope {scope}"),
        ("413", "payload_too_large", "65536 bytes"),
        ("414", "uri_too_long", "8192 bytes"),
        ("429", "rate_limited", "this counts as 5, and 3 of 250 are left: try again in 1 s"),
    ],
)
def test_every_refusal_has_its_example(status: str, code: str, names: str) -> None:
    """Of every endpoint that refuses so, with the scope that it needs itself."""
    told = set()
    for path, method, operation in operations():
        (scope,) = operation.get("security", [{"ApiKey": [""]}])[0]["ApiKey"]
        if status in operation["responses"]:
            content = operation["responses"][status]["content"]["application/json"]
            error = ErrorBody.model_validate(content["example"]).error
            assert error.code == code, (path, method)
            assert names.format(scope=scope) in error.message
            told.add(scope)
    assert told >= ({"read", "admin"} if status in ("401", "403") else {"admin"})


def test_the_examples_of_files_have_the_columns_of_files() -> None:
    """Name by name; of indicators, those of the example follow."""
    for name, columns in {"candles": CANDLE, "indicators": INDICATORS, "trades": TRADE}.items():
        answer = DOCUMENT["paths"][f"/api/v1/{name}/{{symbol}}"]["get"]["responses"]["200"]
        head, row = csv.reader(io.StringIO(answer["content"]["text/csv"]["example"]))
        assert head[: len(columns)] == [column.name for column in columns]
        assert len(row) == len(head)
