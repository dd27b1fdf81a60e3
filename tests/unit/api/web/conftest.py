"""A browser and a market for the tests of the live page."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.api import eventually
from tests.support.browser import launch, watched_page
from tests.support.page_market import Market

OpenPage = Callable[..., Page]
expect.set_options(timeout=20_000)
"""The machine is busy with the other tests."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for a module: Playwright's loop must be gone before other tests run theirs."""
    with sync_playwright() as playwright:
        found = launch(playwright)
        yield found
        found.close()


@pytest.fixture
def market() -> Iterator[Market]:
    """Ten symbols with a day of bars."""
    running = Market()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def open_page(browser: Browser, market: Market) -> Iterator[OpenPage]:
    """Opens the page of the market at a place; afterwards no rule may have been broken."""
    with ExitStack() as stack:

        def opened(place: str = "", *, live: bool = True, **options: object) -> Page:
            page = stack.enter_context(watched_page(browser, **options))
            page.set_default_timeout(20_000)
            before = market.alerted
            page.goto(market.address + place)
            if live:
                page.wait_for_selector("#connection[data-state=live]")
                eventually(lambda: market.alerted > before, 20)
            return page

        yield opened
