"""Candles, indicators and trades as JSON: parameters, tags, and how long they may be kept."""

import httpx
import pytest

from tests.support.api import a_trade
from tests.unit.api.fake_market import NOW, SYMBOL, Market, a_version, ask, at, final_bars, get

MINUTE_US = 60_000_000
BASE = at(2026, 3, 16, 12)
STARTS = [BASE + i * MINUTE_US for i in range(60)]
SETTLED, UNSETTLED = "private, max-age=3600", "private, no-cache"


def test_what_is_not_asked_for_is_not_there() -> None:
    """No indicators, no mark of filled bars, no time as of which."""
    body = get(Market(final_bars(BASE)), f"/candles/{SYMBOL}?limit=1").json()
    assert not body["candles"][0].keys() & {"indicators", "filled"}
    assert "as_of" not in body
    body = get(Market(final_bars(BASE)), f"/candles/{SYMBOL}?limit=1&fill=forward&include=indicators").json()
    assert body["candles"][0]["filled"] is False
    assert body["candles"][0]["indicators"] == {"sma_20": 3.0}


def test_as_of_is_taken_in_every_spelling_and_named_in_the_answer() -> None:
    """ISO 8601, milliseconds, and a time to come, which is now; for candles and indicators."""
    made = BASE + 90_000_000
    market = Market([a_version(BASE, 2, BASE + 5_000_000), a_version(BASE, 3, made)])
    for spelling in ("2026-03-16T12:01:29Z", str((made - 1_000_000) // 1000)):
        body = get(market, f"/candles/{SYMBOL}?as_of={spelling}").json()
        assert (body["as_of"], [bar["version"] for bar in body["candles"]]) == ("2026-03-16T12:01:29Z", [2])
        (shown,) = get(market, f"/indicators/{SYMBOL}?as_of={spelling}").json()["indicators"]
        assert (shown["version"], shown["values"]) == (2, {"sma_20": 2.0})
    body = get(market, f"/candles/{SYMBOL}?as_of=2030-01-01").json()
    assert (body["as_of"], body["candles"][0]["version"]) == ("2026-03-17T12:30:30Z", 3)
    assert get(market, f"/candles/{SYMBOL}?as_of=2026-03-16").json()["candles"] == []


def test_an_as_of_of_too_long_ago_says_how_far_back_it_goes() -> None:
    """A code of its own, and a time that is taken."""
    market = Market(final_bars(BASE))
    error = get(market, f"/candles/{SYMBOL}?as_of=2026-03-10").json()["error"]
    assert error["code"] == "as_of_too_old"
    assert "from 2026-03-10T12:46:30Z on" in error["message"]
    assert get(market, f"/candles/{SYMBOL}?as_of=2026-03-10T12:46:30Z").status_code == 200


@pytest.mark.parametrize(
    ("query", "code"),
    [("fill=backward", "invalid_parameter"), ("format=xml", "invalid_parameter"),
     ("limit=1001&format=csv", "invalid_parameter"), ("as_of=soon", "invalid_parameter"),
     ("cursor=abc&format=parquet", "invalid_parameter")],
)  # fmt: skip
def test_what_cannot_be_is_422(query: str, code: str) -> None:
    """Before anything is read."""
    market = Market(final_bars(BASE))
    response = get(market, f"/candles/{SYMBOL}?{query}")
    assert (response.status_code, response.json()["error"]["code"]) == (422, code)
    assert market.asked == []


@pytest.mark.parametrize(
    ("path", "cache"),
    [
        ("/candles/A?to=2026-03-16T12:30:00Z", SETTLED),
        ("/candles/A?to=2026-03-16T12:30:00Z&fill=forward", SETTLED),
        ("/indicators/A?to=2026-03-16T12:30:00Z", SETTLED),
        ("/candles/A?as_of=2026-03-16T12:30:00Z", SETTLED),
        ("/candles/A?to=2026-03-16T12:50:00Z", UNSETTLED),
        ("/candles/A", UNSETTLED),
        ("/candles/A?to=2026-03-17", UNSETTLED),
        ("/trades/A?to=2026-03-16T12:30:00Z", UNSETTLED),
    ],
)
def test_only_what_can_hardly_change_may_be_kept(path: str, cache: str) -> None:
    """By the client alone; everything else is asked for again, and may be answered with 304."""
    market = Market(final_bars(*STARTS), [a_trade(SYMBOL, BASE + 5, 1)])
    response = get(market, path)
    assert response.headers["Cache-Control"] == cache
    tag = response.headers["ETag"]
    assert tag.startswith('"')
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = get(market, path, **{"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        assert again.headers["Cache-Control"] == cache
    assert get(market, path, **{"If-None-Match": '"other"'}).content == response.content


def test_a_new_version_has_another_tag() -> None:
    """The page is sent anew."""
    path = f"/candles/{SYMBOL}"
    before = get(Market(final_bars(BASE)), path).headers["ETag"]
    market = Market([*final_bars(BASE), a_version(BASE, 5, NOW)])
    response = get(market, path, **{"If-None-Match": before})
    assert (response.status_code, response.json()["candles"][0]["version"]) == (200, 5)
    assert response.headers["ETag"] != before


def test_the_cursor_of_a_filled_page_leads_on_within_a_hole() -> None:
    """All else unchanged; the close comes from before the page."""
    market = Market([a_version(BASE, 3, NOW, 5.0), a_version(BASE + 9 * MINUTE_US, 3, NOW, 6.0)])

    async def use(client: httpx.AsyncClient) -> list[tuple[str, float, bool]]:
        rows, cursor = [], {}
        while True:
            body = (
                await client.get(f"/candles/{SYMBOL}", params={"fill": "forward", "limit": 4, **cursor})
            ).json()
            rows += [(bar["start"][14:16], bar["close"], bar["filled"]) for bar in body["candles"]]
            if body["next_cursor"] is None:
                return rows
            cursor = {"cursor": body["next_cursor"]}

    holes = [(f"0{minute}", 5.0, True) for minute in range(8, 0, -1)]
    assert ask(market, use) == [("09", 6.0, False), *holes, ("00", 5.0, False)]
