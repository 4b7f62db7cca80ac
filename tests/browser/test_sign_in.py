"""Signing in at the desk with a key, and what happens when the key is revoked."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from service.access.roles import Role
from service.storage.local.keys import KeyFile
from tests.support.browser.chromium import WatchedPage, desk_page
from tests.support.browser.harbour import chips_of
from tests.support.processes.service_process import ServiceProcess, running_service


@dataclass
class Guarded:
    """A service that needs keys."""

    service: ServiceProcess
    file: Path

    def new_key(self, name: str, role: Role) -> tuple[str, str]:
        """Make a key; return its id and the key."""
        record, key = KeyFile(self.file).create(name, role, datetime.now(UTC))
        return record.id, key


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    file = folder / "keys.json"
    KeyFile(file).create("first", Role.ADMIN, datetime.now(UTC))
    with running_service(folder, settings={"CROSSFIX_KEYS_FILE": str(file)}) as service:
        yield Guarded(service, file)


@pytest.fixture
def locked(browser: Browser, guarded: Guarded) -> Iterator[WatchedPage]:
    with desk_page(browser, guarded.service.url) as watched:
        yield watched


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def test_a_key_is_asked_for_once_and_a_revoked_one_ends_the_session(
    locked: WatchedPage, guarded: Guarded
) -> None:
    page = locked.open("#/history")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, "cfx_wrong")
    expect(page.locator("#field-key-error")).to_contain_text("unknown, revoked or expired")
    key_id, key = guarded.new_key("desk analyst", Role.CURATOR)
    page.wait_for_timeout(1500)  # a running service reads a changed key file within a second
    sign_in(page, f"  {key} ")
    expect(page.get_by_text("desk analyst (curator)")).to_be_visible()
    expect(page.get_by_text("Nothing was asked yet.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("desk analyst (curator)")).to_be_visible()
    assert page.evaluate("document.cookie") == ""
    assert key not in page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    page.get_by_role("link", name="Gallery").click()
    page.get_by_role("button", name="Add vessel").click()
    form = page.get_by_role("dialog", name="Add a vessel")
    form.get_by_label("Name", exact=True).fill("KEPT STAR")
    form.locator("input[type=file]").set_input_files([str(chips_of("0001")[0])])
    KeyFile(guarded.file).revoke(key_id, datetime.now(UTC))
    page.wait_for_timeout(1500)
    form.get_by_role("button", name="Add vessel").click()
    again = page.get_by_role("dialog", name="Sign in")
    expect(again).to_contain_text("The session has ended")
    expect(form).to_be_hidden()
    _, new_key = guarded.new_key("desk analyst", Role.CURATOR)
    page.wait_for_timeout(1500)
    sign_in(page, new_key)
    expect(page.locator("h1")).to_have_text("KEPT STAR")


def test_a_reader_may_look_and_sign_out_but_not_change(
    locked: WatchedPage, guarded: Guarded
) -> None:
    _, key = guarded.new_key("reading analyst", Role.READER)
    page = locked.open("#/gallery")
    page.wait_for_timeout(1500)
    sign_in(page, key)
    expect(page.get_by_role("button", name="Add vessel")).to_be_disabled()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
