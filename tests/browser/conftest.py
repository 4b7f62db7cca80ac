"""One browser and one filled service for the tests of a file.

The synchronous interface of playwright keeps an event loop running in the thread of the tests, so
the browser is closed before the tests of another file start loops of their own.
"""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser.chromium import WatchedPage, desk_page, running_chromium
from tests.support.browser.harbour import Harbour, fill
from tests.support.processes.service_process import ServiceProcess, running_service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as one:
        yield one


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with running_service(tmp_path_factory.mktemp("desk")) as process:
        yield process


@pytest.fixture(scope="module")
def harbour(service: ServiceProcess) -> Harbour:
    with service.client() as client:
        return fill(client)


@pytest.fixture
def api(service: ServiceProcess) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture
def desk(browser: Browser, service: ServiceProcess) -> Iterator[WatchedPage]:
    with desk_page(browser, service.url) as watched:
        yield watched


@pytest.fixture
def page(desk: WatchedPage) -> Page:
    return desk.open()
