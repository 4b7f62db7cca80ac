from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from service.client.enrol import EnrolReport, enrol_fleet
from service.client.errors import RefusedError, UnreachableError
from service.client.fleet.vessels import ChipFile, Fleet, FleetVessel, vessel_id
from service.client.remote import enrolling, retrying
from service.client.remote.client import Client
from tests.support.fakes.service import FakeService, problem


def fleet_of(folder: Path, **chips: list[str]) -> Fleet:
    """Vessels by key with chips of these contents; the file name is the content, `.tif`."""
    vessels = []
    for key, contents in chips.items():
        files = []
        for number, content in enumerate(contents):
            path = folder / f"{key}_{number}.tif"
            path.write_text(content)
            files.append(ChipFile(path, {"modality": "sar"}))
        attributes = {"name": f"SHIP {key}"}
        vessels.append(FleetVessel(key, vessel_id("test", key), attributes, tuple(files)))
    return Fleet("test", tuple(vessels))


def enrol(service: FakeService, fleet: Fleet) -> EnrolReport:
    with Client(transport=service.transport()) as client:
        return enrol_fleet(client, fleet)


def test_all_chips_go_in_one_request(tmp_path: Path) -> None:
    service = FakeService()
    fleet = fleet_of(tmp_path, a=["1", "2"], b=["3"], c=["4"])
    report = enrol(service, fleet)
    assert (report.created, report.known, report.chips, report.refused) == (3, 0, 4, [])
    assert report.enrolled == {vessel.id for vessel in fleet.vessels}
    assert service.requests == [("POST", "/gallery/bulk")]
    a = service.vessels[str(vessel_id("test", "a"))]
    assert a == {"id": str(vessel_id("test", "a")), "name": "SHIP a", "source": "test"}
    assert service.chips[a["id"]] == ["a_0.tif", "a_1.tif"]
    assert service.metadata["a_1.tif"] == {"modality": "sar"}


def test_repeating_changes_nothing_and_counts_known_vessels(tmp_path: Path) -> None:
    service = FakeService()
    fleet = fleet_of(tmp_path, a=["1", "2"], b=["3"])
    enrol(service, fleet)
    before = {key: list(names) for key, names in service.chips.items()}
    report = enrol(service, fleet)
    assert (report.created, report.known, report.chips) == (0, 2, 3)
    assert service.chips == before


@pytest.mark.parametrize(
    ("limit", "value"),
    [("CHIPS_PER_REQUEST", 2), ("BYTES_PER_REQUEST", 13), ("MANIFEST_BYTES", 300)],
)
def test_requests_carry_limited_numbers_and_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(enrolling, limit, value)
    service = FakeService()
    report = enrol(service, fleet_of(tmp_path, a=["x" * 6, "y" * 6, "z" * 20, "1", "2"]))
    assert (report.created, report.known, report.chips) == (1, 0, 5)
    assert len(service.requests) == 3


def test_files_of_one_name_go_in_different_requests(tmp_path: Path) -> None:
    service, vessels = FakeService(), []
    for folder in ("port", "sea"):
        path = tmp_path / folder / 'a "b".tif'
        path.parent.mkdir()
        path.write_text(folder)
        vessels.append(FleetVessel(folder, vessel_id("test", folder), {}, (ChipFile(path),)))
    report = enrol(service, Fleet("test", tuple(vessels)))
    assert (report.chips, len(service.requests)) == (2, 2)


def test_a_chip_that_stands_twice_with_other_facts_is_refused_once(tmp_path: Path) -> None:
    [vessel] = fleet_of(tmp_path, a=["1", "1", "1"]).vessels
    first, same, other = vessel.chips
    other = replace(other, metadata={"modality": "sar", "captured_at": "2025-01-01T00:00:00Z"})
    vessel = replace(vessel, chips=(first, same, other))
    report = enrol(FakeService(), Fleet("test", (vessel,)))
    [refusal] = report.refused
    assert refusal.files == ("a_2.tif",)
    assert "same chip as a_0.tif, with other facts" in refusal.reason
    assert report.chips == 1


def test_warnings_of_the_service_name_the_vessel_and_the_file(tmp_path: Path) -> None:
    service = FakeService(warnings=["one of the vessels is wrong"])
    report = enrol(service, fleet_of(tmp_path, a=["1"]))
    assert report.warnings == ["SHIP a (a_0.tif): one of the vessels is wrong"]
    assert report.document()["warnings"] == report.warnings
    report = enrol(service, fleet_of(tmp_path, b=["2", "3"], c=["4"]))
    assert report.warnings == ["SHIP b (b_0.tif) and 2 more: one of the vessels is wrong"]


def test_a_refused_chip_does_not_exclude_the_others(tmp_path: Path) -> None:
    service = FakeService(bad={b"bad"})
    report = enrol(service, fleet_of(tmp_path, a=["bad", "2", "3"], b=["4"]))
    assert (report.created, report.chips) == (2, 3)
    (refusal,) = report.refused
    assert (refusal.vessel, refusal.files) == ("SHIP a", ("a_0.tif",))
    assert (refusal.kind, refusal.reason) == ("chip-corrupt", "the chip is damaged")
    assert service.chips[str(vessel_id("test", "a"))] == ["a_1.tif", "a_2.tif"]


def test_a_vessel_whose_chips_are_all_bad_is_not_registered(tmp_path: Path) -> None:
    service = FakeService(bad={b"bad", b"worse"})
    report = enrol(service, fleet_of(tmp_path, a=["bad", "worse"]))
    assert (report.created, report.known, report.chips) == (0, 0, 0)
    (refusal,) = report.refused
    assert refusal.files == ("a_0.tif", "a_1.tif")
    assert not service.vessels
    assert not report.enrolled


def test_a_vessel_with_other_attributes_is_refused_as_a_whole(tmp_path: Path) -> None:
    service = FakeService()
    fleet = fleet_of(tmp_path, a=["1", "2"])
    enrol(service, fleet)
    (vessel,) = fleet.vessels
    other = FleetVessel(vessel.key, vessel.id, {"name": "OTHER"}, vessel.chips)
    report = enrol(service, Fleet("test", (other,)))
    (refusal,) = report.refused
    assert (refusal.kind, refusal.files) == ("conflict", ("a_0.tif", "a_1.tif"))


def test_identical_files_are_sent_once_and_missing_ones_are_refused(tmp_path: Path) -> None:
    service = FakeService()
    fleet = fleet_of(tmp_path, a=["1", "1", "2"])
    (tmp_path / "a_2.tif").unlink()
    advances: list[int] = []
    with Client(transport=service.transport()) as client:
        report = enrol_fleet(client, fleet, advance=advances.append)
    assert report.chips == 1
    (refusal,) = report.refused
    assert (refusal.kind, refusal.files) == ("file", ("a_2.tif",))
    assert sum(advances) == 3


def test_requests_and_chips_refused_by_overload_are_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "FIRST_BACKOFF_S", 0.0)
    service = FakeService(overloaded=2, busy=1)
    report = enrol(service, fleet_of(tmp_path, a=["1"], b=["2"]))
    assert (report.created, report.refused) == (2, [])
    assert len(service.requests) == 4


def test_what_a_broken_response_did_not_acknowledge_is_sent_again(tmp_path: Path) -> None:
    service = FakeService(breaks_off_after=1)
    advances: list[int] = []
    with Client(transport=service.transport()) as client:
        fleet = fleet_of(tmp_path, a=["1", "2", "3"])
        report = enrol_fleet(client, fleet, advance=advances.append)
    assert (report.created, report.chips, sum(advances)) == (1, 3, 3)
    assert len(service.requests) == 2


def test_a_chip_with_which_the_service_takes_no_request_is_found(tmp_path: Path) -> None:
    service = FakeService(too_large={b"large"})
    report = enrol(service, fleet_of(tmp_path, a=["1", "2", "large", "4"]))
    (refusal,) = report.refused
    assert (refusal.kind, refusal.files, report.chips) == ("body-too-large", ("a_2.tif",), 3)


def test_a_caller_whom_the_service_refuses_ends_the_run(tmp_path: Path) -> None:
    transport = httpx.MockTransport(lambda _: problem(403, "forbidden", "a reader's key"))
    with pytest.raises(RefusedError, match="a reader's key"):
        enrol_fleet(Client(transport=transport), fleet_of(tmp_path, a=["1"], b=["2"]))


def test_an_unreachable_service_ends_the_run(tmp_path: Path) -> None:
    def refuse_connection(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    client = Client(transport=httpx.MockTransport(refuse_connection))
    with pytest.raises(UnreachableError):
        enrol_fleet(client, fleet_of(tmp_path, a=["1"], b=["2"], c=["3"]))


def test_ctrl_c_counts_what_was_acknowledged(tmp_path: Path) -> None:
    service = FakeService()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with Client(transport=service.transport()) as client:
        fleet = fleet_of(tmp_path, a=["1"], b=["2"], c=["3"])
        report = enrol_fleet(client, fleet, advance=interrupt)
    assert report.stopped
    assert (report.created, report.chips, report.refused) == (1, 1, [])
    assert report.enrolled == {fleet.vessels[0].id}


def test_the_json_report_lists_refused_chips(tmp_path: Path) -> None:
    service = FakeService(bad={b"bad"})
    document = enrol(service, fleet_of(tmp_path, a=["bad"])).document()
    assert document.keys() >= {"dataset", "vessels", "created", "known", "chips", "refused"}
    assert document["refused"] == [
        {
            "vessel": "SHIP a",
            "files": ("a_0.tif",),
            "kind": "chip-corrupt",
            "reason": "the chip is damaged",
        }
    ]
    assert "enrolled" not in document
