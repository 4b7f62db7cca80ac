"""The manifest of a bulk enrolment: which file belongs to which line, and what is refused."""

import io
import json
from uuid import UUID

import pytest
from fastapi import UploadFile

from service.api import bulk_manifest
from service.api.bulk_manifest import parse_manifest
from service.contract.chip import Modality
from service.identity.enrol import NewVessel
from service.identity.errors import InvalidRequestError

STAR = {"name": "EXAMPLE STAR"}


def files(*names: str) -> list[UploadFile]:
    return [UploadFile(io.BytesIO(name.encode()), filename=name) for name in names]


def manifest(*lines: object) -> str:
    return "\n".join(map(json.dumps, lines))


def test_files_are_found_by_name_in_any_order() -> None:
    text = manifest(
        {"chip": "a.tif", "vessel": STAR, "modality": "sar", "gsd_m": 1.0},
        {"chip": "b.tif", "vessel_id": str(UUID(int=5))},
    )
    a, b = (line.chip() for line in parse_manifest(text, files("b.tif", "a.tif")))
    assert (a.number, a.vessel, a.upload.name) == (1, NewVessel(name="EXAMPLE STAR"), "a.tif")
    assert (a.upload.data, a.upload.metadata.modality) == (b"a.tif", Modality.SAR)
    assert (b.number, b.vessel, b.upload.data) == (2, UUID(int=5), b"b.tif")


def test_empty_lines_are_counted_and_left_out() -> None:
    text = "\n" + manifest({"chip": "a", "vessel": STAR}) + "\r\n\n"
    assert [line.number for line in parse_manifest(text, files("a"))] == [2]


def test_a_byte_order_mark_before_the_manifest_is_no_json() -> None:
    text = "\ufeff" + manifest({"chip": "a", "vessel": STAR})
    assert [line.name for line in parse_manifest(text, files("a"))] == ["a"]


def test_names_are_compared_as_they_are_shown() -> None:
    text = manifest({"chip": "caf\u0065\u0301  1.tif", "vessel": STAR})
    (line,) = parse_manifest(text, files("caf\u00e9 1.tif"))
    assert line.chip().upload.name == "caf\u00e9 1.tif"


@pytest.mark.parametrize(
    ("text", "names", "mention"),
    [
        (manifest({"chip": "a"}, {"chip": "b"}), ["a"], "line 2: no file is named 'b'"),
        (manifest({"chip": "a"}), ["a", "b"], "the manifest has no line for the file 'b'"),
        (manifest({"chip": "a"}), ["a", "a"], "two files have the name 'a'"),
        (manifest({"chip": "a"}, {"chip": "a"}), ["a"], "two lines of the manifest have the name"),
        (manifest({"chip": "a"}) + "\n{", ["a"], "line 2: not JSON"),
        (manifest({"chip": 1}), ["a"], "line 1: expected a JSON object with the file name"),
        (manifest(["a"]), ["a"], "line 1: expected a JSON object with the file name"),
        ('{"chip": "a", "chip": "b"}', ["a"], "'chip' stands twice"),
        ("chip,vessel\na,b", ["a"], "line 1: not JSON"),
        ("", ["a"], "the manifest has no line for the file 'a'"),
    ],
)
def test_a_manifest_that_does_not_fit_its_files_is_refused_whole(
    text: str, names: list[str], mention: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_manifest(text, files(*names))
    assert mention in str(refused.value)


def test_the_number_of_chips_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_manifest, "MOST_CHIPS", 1)
    with pytest.raises(InvalidRequestError, match="send at most 1 in one request"):
        parse_manifest(manifest({"chip": "a"}, {"chip": "b"}), files("a", "b"))


@pytest.mark.parametrize(
    ("line", "mention"),
    [
        ({}, "name the vessel of the chip once"),
        ({"vessel": STAR, "vessel_id": str(UUID(int=5))}, "name the vessel of the chip once"),
        ({"vessel_id": 5}, "'5' is not the id of a vessel"),
        ({"vessel": "STAR"}, "vessel: expected a JSON object"),
        ({"vessel": {"imo": "9074728"}}, "vessel: imo"),
        ({"vessel": STAR, "gsd": 1.0}, "gsd: there is no such field"),
        ({"vessel": STAR, "lat": 1.0}, "lat and lon belong together"),
    ],
)
def test_a_line_that_is_wrong_is_refused_alone(line: dict[str, object], mention: str) -> None:
    (parsed,) = parse_manifest(manifest({"chip": "a", **line}), files("a"))
    with pytest.raises(InvalidRequestError) as refused:
        parsed.chip()
    assert mention in str(refused.value)
