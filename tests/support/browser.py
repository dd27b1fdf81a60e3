"""Chromium for the tests of the live page, driven by Playwright, which brings no browser of its own here."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
IGNORED = ("Failed to load resource", "WebSocket connection to")
"""Chromium itself writes these to the console when a server is away: what the page makes of it is tested."""


def chromium() -> str:
    """Path of the browser: CHROMIUM in the environment, or the first there is."""
    named = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert named, f"no {NAMES[0]} here: `make browser` installs it, or says what to install"
    return named


def launch(playwright: Playwright) -> Browser:
    """A headless browser; its own sandbox does not work for root, and in most containers."""
    return playwright.chromium.launch(
        executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    )


@contextmanager
def watched_page(browser: Browser, **options: object) -> Iterator[Page]:
    """A page that must break no rule: no error, no violation of its policy, no request to another host."""
    with browser.new_context(**options) as context:  # type: ignore[arg-type]
        page = context.new_page()
        wrong: list[str] = []
        hosts: set[str] = set()
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        page.on("websocket", lambda socket: hosts.add(socket.url.split("/")[2]))
        yield page
        said = [text for text in wrong if not text.startswith(IGNORED)]
        assert not said, said
        assert len(hosts) <= 1, hosts
