"""The disk fills up under a running service.

The service refuses with 507, damages nothing, and recovers by itself when there is space again.
"""

import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.faults.forked_service import start_service
from tests.support.faults.inspection import (
    assert_consistent_on_disk,
    chips_of,
    listed_vessels,
    sound_audit_entries,
    stored_chips,
)
from tests.support.faults.scale import Scale
from tests.support.faults.ship_chips import cut_chip
from tests.support.faults.small_disk import MIB, NoMountError, SmallDisk, small_disk

LARGE_DISK, SMALL_DISK = 420 * MIB, 3 * MIB
TOO_LITTLE_FOR_GALLERY = 48 * MIB
LIMIT_S = 60.0
ENTRIES_PER_PAGE = 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    yield from mounted_disk(tmp_path / "disk", LARGE_DISK)


@pytest.fixture
def audit_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    yield from mounted_disk(tmp_path / "small", SMALL_DISK)


def mounted_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    try:
        with small_disk(folder, size) as disk:
            yield disk
    except NoMountError as error:
        pytest.skip(f"this machine does not permit mounting a file system: {error}")


class Analyst:
    """A client that sends a new chip with each request."""

    def __init__(self, api: httpx.Client) -> None:
        self.api = api
        self.dice = random.Random(5)
        self.chips: dict[str, bytes] = {}

    def enrol(self, name: str) -> httpx.Response:
        """Enrol a vessel; the same name has the same chip."""
        chip = self.chips.setdefault(name, cut_chip(self.dice))
        files = [("chips", ("a.tif", chip))]
        return self.api.post("/gallery", data={"vessel": json.dumps({"name": name})}, files=files)

    def match(self, store: bool) -> httpx.Response:
        files = {"chip": cut_chip(self.dice)}
        return self.api.post("/match", files=files, data={"store": json.dumps(store)})

    def last_match(self) -> httpx.Response:
        """Match until the last page of the audit log, which is already on disk, is used up."""
        for _ in range(ENTRIES_PER_PAGE):
            answer = self.match(store=False)
        return answer

    def await_match(self, match_id: str) -> None:
        """Wait until a match that was answered is stored."""
        deadline = time.monotonic() + LIMIT_S
        while self.api.get(f"/matches/{match_id}").status_code != 200:
            assert time.monotonic() < deadline, "a match that waits is not stored"
            time.sleep(0.1)

    def failing_parts(self) -> list[str]:
        parts = self.api.get("/readyz").json()["parts"]
        return sorted(name for name, problem in parts.items() if problem)

    def await_failing_parts(self, *expected: str) -> None:
        """Wait until exactly these parts fail."""
        deadline = time.monotonic() + LIMIT_S
        while self.failing_parts() != sorted(expected):
            assert time.monotonic() < deadline, (self.failing_parts(), expected)
            time.sleep(0.1)
        assert self.api.get("/readyz").status_code == (503 if expected else 200)
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
def test_the_disk_of_all_stores_fills_up(scale: Scale, disk: SmallDisk, tmp_path: Path) -> None:
    data = disk.path / "data"
    often = {"CROSSFIX_RECOVERY_INTERVAL_S": "1"}
    service = start_service(
        disk.mounted_at / "data", tmp_path / "service.log", often, namespace_of=disk.holder
    )
    with service.client() as api:
        analyst = Analyst(api)
        vessels = {analyst.enrol("FIRST").json()["id"]}
        for turn in range(scale.disk_fillings):
            disk.fill(TOO_LITTLE_FOR_GALLERY)
            chips = stored_chips(data)
            assert_full(analyst.enrol(f"SHIP {turn}"))
            waiting = analyst.match(store=True)
            assert waiting.status_code == 200, waiting.text
            assert waiting.json()["stored"] is False
            assert analyst.match(store=False).status_code == 200
            analyst.await_failing_parts("gallery")
            disk.fill(0)
            analyst.await_failing_parts("audit", "chips", "gallery")
            assert_full(analyst.enrol(f"SHIP {turn}"))
            lost = analyst.match(store=True).json()
            assert lost["stored"] is False
            assert "is lost" in lost["query"]["warnings"][-1]
            assert_full(analyst.last_match())
            analyst.assert_readable(vessels)
            assert stored_chips(data) == chips, "refused requests store no chips"
            disk.empty()
            analyst.await_failing_parts()
            analyst.await_match(waiting.json()["match_id"])
            again = analyst.enrol(f"SHIP {turn}")
            assert again.status_code == 201, "the refused request left nothing behind"
            vessels.add(again.json()["id"])
            assert analyst.match(store=False).status_code == 200
            analyst.assert_readable(vessels)
            sound_audit_entries(data)
    service.stop()
    assert_consistent_on_disk(shutil.copytree(data, tmp_path / "copy"))


@pytest.mark.timeout(300)
def test_the_disk_of_the_audit_log_alone_fills_up(
    scale: Scale, audit_disk: SmallDisk, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "audit").symlink_to(audit_disk.path, target_is_directory=True)
    service = start_service(data, tmp_path / "service.log")
    with service.client() as api:
        analyst = Analyst(api)
        vessels = {analyst.enrol("FIRST").json()["id"]}
        for turn in range(scale.disk_fillings):
            audit_disk.fill(0)
            analyst.await_failing_parts("audit")
            assert_full(analyst.last_match())
            answer = analyst.enrol(f"SHIP {turn}")
            # The entry of an enrolment is shorter than that of a match and may still fit.
            enrolled = answer.status_code == 201
            if enrolled:
                vessels.add(answer.json()["id"])
            else:
                assert_full(answer)
            analyst.assert_readable(vessels)
            audit_disk.empty()
            analyst.await_failing_parts()
            again = analyst.enrol(f"SHIP {turn}")
            assert again.status_code == (200 if enrolled else 201), again.text
            vessels.add(again.json()["id"])
            sound_audit_entries(data)
    service.stop()
    assert_consistent_on_disk(data)
