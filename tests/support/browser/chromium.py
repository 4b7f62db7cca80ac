"""A headless Chromium, and pages that fail a test when they report an error."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

WAIT_MS = 60_000
expect.set_options(timeout=WAIT_MS)
EXPECTED_STATUSES = ("400", "401", "404", "409", "415", "422")
"""Refusals that a page shows to the analyst; Chromium logs each of them as an error."""


def executable() -> str:
    """Return the path of Debian's chromium.

    Raises:
        RuntimeError: it is not installed; the tests of the desk cannot run without it.
    """
    path = os.environ.get("CROSSFIX_TEST_CHROMIUM") or shutil.which("chromium")
    if path is None:
        raise RuntimeError(
            "chromium is missing, and the desk cannot be tested without a browser; install it "
            "with: sudo apt-get install -y chromium (`make test` does so as root)"
        )
    return path


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start Chromium; end it at the end of the block."""
    with sync_playwright() as playwright:
        arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=executable(), args=arguments)
        yield browser
        browser.close()


@dataclass
class WatchedPage:
    """A page of the desk, and the errors that it reported."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)

    def open(self, place: str = "") -> Page:
        """Go to a place of the desk, e.g. `#/history`."""
        self.page.goto(f"{self.url}/{place}")
        return self.page


@contextmanager
def desk_page(
    browser: Browser,
    url: str,
    *,
    width: int = 1280,
    height: int = 720,
    dark: bool = False,
    scale: float = 1.0,
) -> Iterator[WatchedPage]:
    """Open an empty page for the desk at `url`; an error in the page fails the block's test.

    Errors are: exceptions, errors on the console (violations of the content security policy among
    them), and requests to other hosts.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        device_scale_factor=scale,
    )
    context.set_default_timeout(WAIT_MS)
    watched = WatchedPage(context.new_page(), url)

    def on_console(message: ConsoleMessage) -> None:
        refused = any(f"status of {one}" in message.text for one in EXPECTED_STATUSES)
        if message.type == "error" and not refused:
            watched.errors.append(message.text)

    def on_request(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and parts.netloc != urlsplit(url).netloc:
            watched.errors.append(f"a request to another host: {request.url}")

    watched.page.on("console", on_console)
    watched.page.on("pageerror", lambda error: watched.errors.append(str(error)))
    watched.page.on("request", on_request)
    try:
        yield watched
        assert not watched.errors, watched.errors
    finally:
        context.close()
