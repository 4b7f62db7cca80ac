"""The disk fills up under the running service: clear refusals, nothing damaged, and it goes on by
itself when there is room again.
"""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.faults.forked import start_service
from tests.support.faults.inspection import (
    assert_audit_whole,
    assert_nothing_half_there,
    chips_of,
    kept_chips,
    listed_vessels,
)
from tests.support.faults.scale import Scale
from tests.support.faults.ship_chips import cut_chip
from tests.support.faults.small_disk import MIB, NoMountError, SmallDisk, small_disk

ROOMY, NARROW = 420 * MIB, 3 * MIB
TOO_LITTLE_TO_WRITE = 48 * MIB
LIMIT_S = 60.0
ENTRIES_A_PAGE = 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    yield from mounted(tmp_path / "disk", ROOMY)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[SmallDisk]:
    yield from mounted(tmp_path / "narrow", NARROW)


def mounted(folder: Path, size: int) -> Iterator[SmallDisk]:
    try:
        with small_disk(folder, size) as disk:
            yield disk
    except NoMountError as refused:
        pytest.skip(f"this machine lets nobody mount a file system: {refused}")


class Asking:
    """Requests of an analyst, each with a chip that nobody sent before."""

    def __init__(self, api: httpx.Client) -> None:
        self.api = api
        self.dice = random.Random(5)
        self.chips: dict[str, bytes] = {}

    def enrol(self, name: str) -> httpx.Response:
        """The same chip for the same name."""
        chip = self.chips.setdefault(name, cut_chip(self.dice))
        files = [("chips", ("a.tif", chip))]
        return self.api.post("/gallery", data={"vessel": json.dumps({"name": name})}, files=files)

    def match(self, store: bool) -> httpx.Response:
        files = {"chip": cut_chip(self.dice)}
        return self.api.post("/match", files=files, data={"store": json.dumps(store)})

    def last_match(self) -> httpx.Response:
        """On a full disk: the last page of the audit log still takes some entries."""
        for _ in range(ENTRIES_A_PAGE):
            answer = self.match(store=False)
        return answer

    def bad_parts(self) -> list[str]:
        parts = self.api.get("/readyz").json()["parts"]
        return sorted(name for name, problem in parts.items() if problem)

    def await_parts(self, *bad: str) -> None:
        """Until exactly these parts do not work."""
        deadline = time.monotonic() + LIMIT_S
        while self.bad_parts() != sorted(bad):
            assert time.monotonic() < deadline, (self.bad_parts(), bad)
            time.sleep(0.1)
        assert self.api.get("/readyz").status_code == (503 if bad else 200)
        assert self.api.get("/livez").status_code == 200

    def assert_readable(self, vessels: set[str]) -> None:
        assert listed_vessels(self.api).keys() == vessels
        for vessel_id in list(vessels)[:2]:
            assert len(chips_of(self.api, vessel_id)) == 1


def assert_full(answer: httpx.Response) -> None:
    assert answer.status_code == 507, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:crossfix:problem:store-full"
    assert "disk" in problem["detail"]


@pytest.mark.timeout(900)
def test_everything_on_a_disk_that_fills_up(scale: Scale, disk: SmallDisk, tmp_path: Path) -> None:
    data = disk.path / "data"
    service = start_service(data, tmp_path / "service.log")
    with service.client() as api:
        asking = Asking(api)
        vessels = {asking.enrol("FIRST").json()["id"]}
        for turn in range(scale.disk_fillings):
            disk.leave(TOO_LITTLE_TO_WRITE)
            chips = kept_chips(data)
            assert_full(asking.enrol(f"SHIP {turn}"))
            assert_full(asking.match(store=True))
            assert asking.match(store=False).status_code == 200
            asking.await_parts("gallery")
            disk.leave(0)
            asking.await_parts("audit", "chips", "gallery")
            assert_full(asking.enrol(f"SHIP {turn}"))
            assert_full(asking.match(store=True))
            assert_full(asking.last_match())
            asking.assert_readable(vessels)
            assert kept_chips(data) == chips, "refusals fill no disk"
            disk.empty()
            asking.await_parts()
            again = asking.enrol(f"SHIP {turn}")
            assert again.status_code == 201, "the refused request had left nothing"
            vessels.add(again.json()["id"])
            assert asking.match(store=False).status_code == 200
            asking.assert_readable(vessels)
            assert_audit_whole(data)
    service.stop()
    assert_nothing_half_there(data)


@pytest.mark.timeout(300)
def test_the_audit_log_on_a_disk_of_its_own_that_fills_up(
    scale: Scale, narrow: SmallDisk, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "audit").symlink_to(narrow.path, target_is_directory=True)
    service = start_service(data, tmp_path / "service.log")
    with service.client() as api:
        asking = Asking(api)
        vessels = {asking.enrol("FIRST").json()["id"]}
        for turn in range(scale.disk_fillings):
            narrow.leave(0)
            asking.await_parts("audit")
            assert_full(asking.last_match())
            answer = asking.enrol(f"SHIP {turn}")
            fitted = answer.status_code == 201  # its shorter entry may still find a place
            if fitted:
                vessels.add(answer.json()["id"])
            else:
                assert_full(answer)
            asking.assert_readable(vessels)
            narrow.empty()
            asking.await_parts()
            again = asking.enrol(f"SHIP {turn}")
            assert again.status_code == (200 if fitted else 201), again.text
            vessels.add(again.json()["id"])
            assert_audit_whole(data)
    service.stop()
    assert_nothing_half_there(data)
